#include "ui/pages/recipes/parameter_table.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
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

constexpr int kRow = 44, kHeadingRow = 46, kFieldHeight = 22, kValueWidth = 158, kBrowse = 24;

using Kind = DistillParameter::Kind;

const DistillParameter& parameterOf(const QModelIndex& index) { return static_cast<const ParameterModel*>(index.model())->parameter(index.row()); }

// Two lines, the second smaller and muted.
void paintTexts(QPainter* painter, const QRect& first, const QRect& second, const QModelIndex& index, Role role, bool emphasis) {
  const Theme& theme = Theme::instance();
  const QFont body = theme.font(Theme::Size::Body, emphasis), small = theme.font(Theme::Size::Small);
  painter->setFont(body);
  painter->setPen(color(role));
  painter->drawText(first, Qt::AlignVCenter, QFontMetrics(body).elidedText(index.data().toString(), Qt::ElideRight, first.width()));
  if (second.isEmpty()) return;
  painter->setFont(small);
  painter->setPen(color(Role::Muted));
  painter->drawText(second, Qt::AlignVCenter, QFontMetrics(small).elidedText(index.data(kSecondRole).toString(), Qt::ElideRight, second.width()));
}

// The reason of a row that can do nothing has the whole row's width: each of its cells paints a part.
void paintReason(QPainter* painter, const QStyleOptionViewItem& option, const QRect& below, const QModelIndex& index) {
  const auto* table = qobject_cast<const QTableView*>(option.widget);
  if (!table) return;
  QRect line = below;
  line.setLeft(table->columnViewportPosition(ParameterModel::Name) + kGap);
  line.setRight(table->columnViewportPosition(ParameterModel::Value) + table->columnWidth(ParameterModel::Value) - kGapSmall);
  const QFont small = Theme::instance().font(Theme::Size::Small);
  painter->save();
  painter->setClipRect(option.rect);
  painter->setFont(small);
  painter->setPen(color(Role::Muted));
  painter->drawText(line, Qt::AlignVCenter, QFontMetrics(small).elidedText(index.siblingAtColumn(ParameterModel::Name).data(kSecondRole).toString(), Qt::ElideRight, line.width()));
  painter->restore();
}

// What stands in an empty field of a path.
QString shownPath(const DistillParameter& parameter, const QString& path) {
  if (!path.isEmpty()) return homeShortened(path);
  return parameter.zero.isEmpty() ? QStringLiteral("–") : parameter.zero;
}

}  // namespace

QRect ParameterDelegate::field(const QRect& cell) { return {cell.left() + kGapSmall, cell.top() + 4, cell.width() - kGap - kGapSmall, kFieldHeight}; }

void ParameterDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  const bool selected = option.state & QStyle::State_Selected;
  painter->fillRect(option.rect, color(selected ? Role::AccentSoft : Role::Surface));
  painter->fillRect(QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), color(Role::Line));
  const DistillParameter& parameter = parameterOf(index);
  const int top = option.rect.top() + (parameter.kind == Kind::Heading ? option.rect.height() - kRow + 2 : 4);
  const QRect below(option.rect.left() + kGap, top + kFieldHeight, option.rect.width() - kGap - kGapSmall, kRow - 4 - kFieldHeight - 2);
  const QRect first(below.left(), top, below.width(), kFieldHeight);
  if (parameter.kind == Kind::Heading) return paintTexts(painter, first, below, index, Role::Text, true);
  const bool idle = index.data(kIdleRole).toBool();
  if (index.column() == ParameterModel::Name) paintTexts(painter, first, idle ? QRect() : below, index, idle ? Role::Muted : Role::Text, false);
  else paintValue(painter, option, idle ? QRect() : below, index);
  if (idle) paintReason(painter, option, below, index);
}

void ParameterDelegate::paintValue(QPainter* painter, const QStyleOptionViewItem& option, const QRect& below, const QModelIndex& index) const {
  const Theme& theme = Theme::instance();
  const DistillParameter& parameter = parameterOf(index);
  const QFont small = theme.font(Theme::Size::Small);
  const QFontMetrics smallMetrics(small);
  const bool idle = index.data(kIdleRole).toBool(), changed = !index.data(kMutedRole).toBool(), isPath = parameter.kind == Kind::Path;
  const QRect box = field(option.rect);
  painter->setRenderHint(QPainter::Antialiasing);
  painter->setPen(QPen(color(option.state & QStyle::State_HasFocus ? Role::Accent : idle ? Role::Line : Role::LineStrong), 1));
  painter->setBrush(color(Role::Surface));
  painter->drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4);
  QRect inside = box.adjusted(6, 0, -6, 0);
  const auto icon = [&](const char* name, int size, int right) {
    painter->drawPixmap(QPointF(box.right() - right, box.top() + (kFieldHeight - size) / 2.0), theme.pixmap(QLatin1String(name), color(Role::Muted), size, painter->device()->devicePixelRatioF()));
  };
  if (isPath && !idle) icon("folder", 14, 18);
  if (isPath && changed) icon("close", 12, kBrowse + 14);
  if (isPath) inside.setRight(box.right() - (changed ? 2 : 1) * kBrowse);
  if (parameter.kind == Kind::Choice && !idle) {
    icon("down", 10, 16);
    inside.setRight(box.right() - 20);
  }
  const QString unit = isPath ? QString() : index.data(kUnitRole).toString();
  painter->setFont(small);
  painter->setPen(color(Role::Muted));
  if (!unit.isEmpty()) {
    painter->drawText(inside, Qt::AlignRight | Qt::AlignVCenter, unit);
    inside.setRight(inside.right() - smallMetrics.horizontalAdvance(unit) - kGapSmall);
  }
  if (!below.isEmpty()) painter->drawText(below, Qt::AlignVCenter, smallMetrics.elidedText(index.data(kSecondRole).toString(), Qt::ElideRight, below.width()));
  // What was changed stands out: the default is the muted rule.
  const QFont font = theme.font(Theme::Size::Body, changed && !isPath);
  painter->setFont(font);
  painter->setPen(color(idle || (isPath && !changed) ? Role::Muted : Role::Text));
  const QString value = isPath ? shownPath(parameter, index.data().toString()) : index.data().toString();
  const bool figure = parameter.kind == Kind::Number || parameter.kind == Kind::Whole;
  painter->drawText(inside, Qt::AlignVCenter | (figure ? Qt::AlignRight : Qt::AlignLeft), QFontMetrics(font).elidedText(value, isPath && changed ? Qt::ElideLeft : Qt::ElideRight, inside.width()));
}

QWidget* ParameterDelegate::createEditor(QWidget* parent, const QStyleOptionViewItem&, const QModelIndex& index) const {
  const DistillParameter& parameter = parameterOf(index);
  if (parameter.kind == Kind::Flag) return nullptr;
  if (parameter.kind == Kind::Choice) {
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
  if (parameter.kind == Kind::Number || parameter.kind == Kind::Whole) line->setAlignment(Qt::AlignRight);
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
  layOutRows();
  connect(m_model, &ParameterModel::modelReset, this, &ParameterTable::layOutRows);
  connect(&Theme::instance(), &Theme::changed, this, [this] { viewport()->update(); });
}

void ParameterTable::layOutRows() {
  clearSpans();
  for (int row = 0; row < m_model->rowCount(); ++row) {
    const bool heading = m_model->parameter(row).kind == Kind::Heading;
    if (heading) setSpan(row, 0, 1, ParameterModel::Count);
    setRowHeight(row, heading ? kHeadingRow : kRow);
  }
}

void ParameterTable::showPlace(const QString& place) {
  const int row = m_model->rowOf(place);
  if (row < 0) return;
  scrollTo(m_model->index(row, 0), PositionAtTop);
  const int marked = m_model->parameter(row).kind == Kind::Heading ? row + 1 : row;
  if (marked < m_model->rowCount()) setCurrentIndex(m_model->index(marked, ParameterModel::Value));
  scrollTo(m_model->index(row, 0), PositionAtTop);
}

void ParameterTable::start(const QModelIndex& index) {
  const DistillParameter& parameter = m_model->parameter(index.row());
  if (!index.flags().testFlag(Qt::ItemIsEditable)) {
    if (const QString idle = m_model->idleReason(index.row()); !idle.isEmpty()) emit m_model->refused(QStringLiteral("%1: %2").arg(parameter.title, idle));
    return;
  }
  if (parameter.kind == Kind::Flag)
    m_model->setData(index, parameter.text(!parameter.get(m_model->recipe()).toBool()), Qt::EditRole);
  else
    edit(index);
}

void ParameterTable::browse(const QModelIndex& index) {
  const DistillParameter& parameter = m_model->parameter(index.row());
  const QString now = index.data(Qt::EditRole).toString();
  const QString path = parameter.model ? chosenModel(this, parameter.title, now)
                                       : QFileDialog::getOpenFileName(this, parameter.title, now, tr("Text and JSONL (*.txt *.jsonl *.json *.csv *.tsv);;All files (*)"));
  if (!path.isEmpty()) m_model->setData(index, path, Qt::EditRole);
}

QString ParameterTable::chosenModel(QWidget* parent, const QString& title, const QString& now) {
  const QString path = QFileDialog::getOpenFileName(parent, title, now, tr("Models (*.gguf config.json *.safetensors);;All files (*)"));
  // A model that is a folder is chosen by one of its files.
  return path.isEmpty() || path.endsWith(QStringLiteral(".gguf")) ? path : QFileInfo(path).absolutePath();
}

void ParameterTable::keyPressEvent(QKeyEvent* event) {
  const QModelIndex now = currentIndex().isValid() ? currentIndex().siblingAtColumn(ParameterModel::Value) : QModelIndex();
  const bool plain = event->modifiers() == Qt::NoModifier || event->modifiers() == Qt::KeypadModifier;
  if (now.isValid() && plain && (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter || event->key() == Qt::Key_Space)) return start(now);
  if (now.isValid() && plain && event->key() == Qt::Key_F4 && m_model->parameter(now.row()).kind == Kind::Path && now.flags().testFlag(Qt::ItemIsEditable))
    return browse(now);
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
  const DistillParameter& parameter = m_model->parameter(index.row());
  const double fromRight = box.right() - event->position().x();
  if (parameter.kind == Kind::Path && fromRight < kBrowse && index.flags().testFlag(Qt::ItemIsEditable)) browse(index);
  else if (parameter.kind == Kind::Path && m_model->isChanged(index.row()) && fromRight < 2 * kBrowse) m_model->setData(index, QString(), Qt::EditRole);
  else start(index);
}

}  // namespace retort::ui
