#include "ui/pages/recipes/parameter_table.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFontMetrics>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLineEdit>
#include <QPainter>

#include "ui/format.h"
#include "ui/theme.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr int kRow = 44, kFieldHeight = 22, kValueWidth = 158, kBrowse = 24;

const DistillParameter& parameterOf(const QModelIndex& index) { return static_cast<const ParameterModel*>(index.model())->parameter(index.row()); }

}  // namespace

QRect ParameterDelegate::field(const QRect& cell) { return {cell.left() + kGapSmall, cell.top() + 4, cell.width() - kGap - kGapSmall, kFieldHeight}; }

void ParameterDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  const Theme& theme = Theme::instance();
  const bool selected = option.state & QStyle::State_Selected;
  painter->fillRect(option.rect, color(selected ? Role::AccentSoft : Role::Surface));
  painter->fillRect(QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), color(Role::Line));
  const QFont body = theme.font(), small = theme.font(Theme::Size::Small);
  const QFontMetrics metrics(body), smallMetrics(small);
  const QRect below(option.rect.left() + kGap, option.rect.top() + 4 + kFieldHeight, option.rect.width() - kGap - kGapSmall, kRow - 4 - kFieldHeight - 2);
  if (index.column() == ParameterModel::Name) {
    const QRect first(below.left(), option.rect.top() + 4, below.width(), kFieldHeight);
    painter->setFont(body);
    painter->setPen(color(Role::Text));
    painter->drawText(first, Qt::AlignVCenter, metrics.elidedText(index.data().toString(), Qt::ElideRight, first.width()));
    painter->setFont(small);
    painter->setPen(color(Role::Muted));
    painter->drawText(below, Qt::AlignVCenter, smallMetrics.elidedText(index.data(kSecondRole).toString(), Qt::ElideRight, below.width()));
    return;
  }
  const DistillParameter& parameter = parameterOf(index);
  const QRect box = field(option.rect);
  painter->setRenderHint(QPainter::Antialiasing);
  painter->setPen(QPen(color(option.state & QStyle::State_HasFocus ? Role::Accent : Role::LineStrong), 1));
  painter->setBrush(color(Role::Surface));
  painter->drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  QRect inside = box.adjusted(6, 0, -6, 0);
  if (parameter.kind == DistillParameter::Kind::Path) {
    painter->drawPixmap(QPointF(box.right() - 18, box.top() + 4), theme.pixmap(QStringLiteral("folder"), color(Role::Muted), 14, painter->device()->devicePixelRatioF()));
    inside.setRight(box.right() - kBrowse);
  } else if (parameter.kind == DistillParameter::Kind::Choice) {
    painter->drawPixmap(QPointF(box.right() - 16, box.top() + 6), theme.pixmap(QStringLiteral("down"), color(Role::Muted), 10, painter->device()->devicePixelRatioF()));
    inside.setRight(box.right() - 20);
  }
  const QString unit = index.data(kUnitRole).toString();
  painter->setFont(small);
  painter->setPen(color(Role::Muted));
  if (!unit.isEmpty()) {
    painter->drawText(inside, Qt::AlignRight | Qt::AlignVCenter, unit);
    inside.setRight(inside.right() - smallMetrics.horizontalAdvance(unit) - kGapSmall);
  }
  painter->drawText(below, Qt::AlignVCenter, smallMetrics.elidedText(index.data(kSecondRole).toString(), Qt::ElideRight, below.width()));
  // What was changed stands out: the default is the muted rule.
  const bool changed = !index.data(kMutedRole).toBool();
  painter->setFont(theme.font(Theme::Size::Body, changed && parameter.kind != DistillParameter::Kind::Path));
  painter->setPen(color(Role::Text));
  const bool text = parameter.kind == DistillParameter::Kind::Path;
  const QString value = text && index.data().toString().isEmpty() ? QStringLiteral("–") : text ? homeShortened(index.data().toString()) : index.data().toString();
  painter->drawText(inside, Qt::AlignVCenter | (unit.isEmpty() ? Qt::AlignLeft : Qt::AlignRight), metrics.elidedText(value, text ? Qt::ElideLeft : Qt::ElideRight, inside.width()));
}

QWidget* ParameterDelegate::createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex& index) const {
  const DistillParameter& parameter = parameterOf(index);
  if (parameter.kind == DistillParameter::Kind::Flag) return nullptr;
  if (parameter.kind == DistillParameter::Kind::Choice) {
    auto* box = new QComboBox(parent);
    box->addItems(parameter.choices);
    connect(box, &QComboBox::activated, this, [this, box] {
      auto* self = const_cast<ParameterDelegate*>(this);
      emit self->commitData(box);
      emit self->closeEditor(box);
    });
    return box;
  }
  auto* line = new QLineEdit(parent);
  line->setAccessibleName(parameter.title);
  if (!parameter.unit.isEmpty()) line->setAlignment(Qt::AlignRight);
  return line;
}

void ParameterDelegate::setEditorData(QWidget* editor, const QModelIndex& index) const {
  if (auto* box = qobject_cast<QComboBox*>(editor)) {
    box->setCurrentText(index.data(Qt::EditRole).toString());
    box->showPopup();
  } else if (auto* line = qobject_cast<QLineEdit*>(editor)) {
    line->setText(index.data(Qt::EditRole).toString());
    line->selectAll();
  }
}

void ParameterDelegate::setModelData(QWidget* editor, QAbstractItemModel* model, const QModelIndex& index) const {
  if (auto* box = qobject_cast<QComboBox*>(editor)) model->setData(index, box->currentText(), Qt::EditRole);
  else if (auto* line = qobject_cast<QLineEdit*>(editor)) model->setData(index, line->text(), Qt::EditRole);
}

void ParameterDelegate::updateEditorGeometry(QWidget* editor, const QStyleOptionViewItem& option, const QModelIndex&) const {
  editor->setGeometry(field(option.rect).adjusted(0, -2, 0, 4));
}

ParameterTable::ParameterTable(const QString& name, DistillParameter::Group group, QWidget* parent) : QTableView(parent) {
  setAccessibleName(name);
  m_model = new ParameterModel(group, this);
  setModel(m_model);
  setItemDelegate(new ParameterDelegate(this));
  setShowGrid(false);
  setSelectionMode(QAbstractItemView::SingleSelection);
  setSelectionBehavior(QAbstractItemView::SelectRows);
  setEditTriggers(QAbstractItemView::AnyKeyPressed | QAbstractItemView::EditKeyPressed);
  setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setTabKeyNavigation(false);
  verticalHeader()->hide();
  verticalHeader()->setDefaultSectionSize(kRow);
  horizontalHeader()->hide();
  horizontalHeader()->setSectionResizeMode(ParameterModel::Name, QHeaderView::Stretch);
  horizontalHeader()->setSectionResizeMode(ParameterModel::Value, QHeaderView::Fixed);
  setColumnWidth(ParameterModel::Value, kValueWidth);
  connect(&Theme::instance(), &Theme::changed, this, [this] { viewport()->update(); });
}

void ParameterTable::start(const QModelIndex& index) {
  const DistillParameter& parameter = m_model->parameter(index.row());
  if (parameter.kind == DistillParameter::Kind::Flag)
    m_model->setData(index, parameter.text(!parameter.get(m_model->recipe()).toBool()), Qt::EditRole);
  else
    edit(index);
}

void ParameterTable::browse(const QModelIndex& index) {
  const QString path = QFileDialog::getOpenFileName(this, m_model->parameter(index.row()).title, index.data(Qt::EditRole).toString(), tr("Text and JSONL (*.txt *.jsonl *.json *.csv *.tsv);;All files (*)"));
  if (!path.isEmpty()) m_model->setData(index, path, Qt::EditRole);
}

void ParameterTable::keyPressEvent(QKeyEvent* event) {
  const QModelIndex now = currentIndex().isValid() ? currentIndex().siblingAtColumn(ParameterModel::Value) : QModelIndex();
  const bool plain = event->modifiers() == Qt::NoModifier || event->modifiers() == Qt::KeypadModifier;
  if (now.isValid() && plain && (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter || event->key() == Qt::Key_Space)) return start(now);
  if (now.isValid() && plain && (event->key() == Qt::Key_Delete || event->key() == Qt::Key_Backspace)) {
    const DistillParameter& parameter = m_model->parameter(now.row());
    m_model->setData(now, parameter.text(parameter.standard()), Qt::EditRole);
    return;
  }
  // Typing a figure replaces the value, wherever in the row the mark stands.
  if (now.isValid() && currentIndex() != now && !event->text().isEmpty() && event->text().at(0).isPrint() && plain) setCurrentIndex(now);
  QTableView::keyPressEvent(event);
}

void ParameterTable::mouseReleaseEvent(QMouseEvent* event) {
  QTableView::mouseReleaseEvent(event);
  const QModelIndex index = indexAt(event->position().toPoint());
  if (event->button() != Qt::LeftButton || !index.isValid() || index.column() != ParameterModel::Value) return;
  const QRect box = ParameterDelegate::field(visualRect(index));
  if (!box.contains(event->position().toPoint())) return;
  if (m_model->parameter(index.row()).kind == DistillParameter::Kind::Path && event->position().x() > box.right() - kBrowse) browse(index);
  else start(index);
}

}  // namespace retort::ui
