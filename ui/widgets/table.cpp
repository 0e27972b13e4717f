#include "ui/widgets/table.h"

#include <QApplication>
#include <QClipboard>
#include <QHeaderView>
#include <QKeyEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "ui/plots/markers.h"
#include "ui/theme.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/line_text.h"
#include "ui/widgets/sparkline.h"

namespace retort::ui {
namespace {

Role tone_role(int tone, bool muted) {
  switch (static_cast<Tone>(tone)) {
    case Tone::Muted: return Role::Muted;
    case Tone::Good: return Role::Good;
    case Tone::Warn: return Role::Warn;
    case Tone::Bad: return Role::Bad;
    case Tone::Normal: break;
  }
  return muted ? Role::Muted : Role::Text;
}

void paint_check(QPainter* painter, const QRect& area, Qt::CheckState state) {
  const QRectF box(area.left() + kGap + 0.5, area.center().y() - 7.5, 15, 15);
  painter->setPen(QPen(color(state == Qt::Checked ? Role::Accent : Role::LineStrong), 1.2));
  painter->setBrush(state == Qt::Checked ? color(Role::Accent) : Qt::transparent);
  painter->drawRoundedRect(box, 3, 3);
  if (state != Qt::Checked) return;
  painter->setPen(QPen(color(Role::OnAccent), 1.8, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
  painter->drawPolyline(QPolygonF{QPointF(box.left() + 3.5, box.center().y()), QPointF(box.left() + 6.3, box.bottom() - 4.2),
                                  QPointF(box.right() - 3.2, box.top() + 4.2)});
}

}  // namespace

QSize CellDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  QSize size = QStyledItemDelegate::sizeHint(option, index);
  size.setWidth(size.width() + 2 * kGap);
  if (index.data(kUnitRole).isValid()) {
    const QFontMetrics small(Theme::instance().font(Theme::Size::Small));
    size.rwidth() += kGapSmall + std::max(small.horizontalAdvance(index.data(kUnitRole).toString()), small.horizontalAdvance(index.data(kUnitSampleRole).toString()));
  }
  for (const int role : {int(kMarkerRole), int(kIconRole)})
    if (index.data(role).isValid()) size.rwidth() += 18;
  return size.expandedTo({0, kRowHeight});
}

void CellDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing);
  const bool selected = option.state & QStyle::State_Selected;
  painter->fillRect(option.rect, color(selected ? Role::AccentSoft : Role::Surface));
  if (const double heat = index.data(kHeatRole).toDouble(); heat > 0.02) {
    QColor shade = Theme::instance().series(5);
    shade.setAlphaF(static_cast<float>(0.45 * std::min(heat, 1.0)));
    painter->fillRect(option.rect.adjusted(1, 1, -1, -2), shade);
  }
  painter->fillRect(QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), color(Role::Line));
  if (option.state & QStyle::State_HasFocus) {
    painter->setPen(QPen(color(Role::Accent), 1));
    painter->drawRect(QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -1.5));
  }

  QRect area = option.rect.adjusted(kGap, 0, -kGap, -1);
  const QVariant check = index.data(Qt::CheckStateRole);
  if (check.isValid()) {
    paint_check(painter, option.rect, static_cast<Qt::CheckState>(check.toInt()));
    area.setLeft(area.left() + 24);
  }
  if (const QVariant swatch = index.data(kSwatchRole); swatch.isValid()) {
    painter->setPen(Qt::NoPen);
    painter->setBrush(swatch.value<QColor>());
    painter->drawRoundedRect(QRectF(area.left(), area.center().y() - 4.5, 10, 10), 2, 2);
    area.setLeft(area.left() + 16);
  }
  if (const QVariant series = index.data(kMarkerRole); series.isValid()) {
    paintMarker(*painter, series.toInt(), 9, QPointF(area.left() + 5, area.center().y() + 0.5), Theme::instance().series(series.toInt()), Qt::NoPen);
    area.setLeft(area.left() + 18);
  }
  if (const QString icon = index.data(kIconRole).toString(); !icon.isEmpty()) {
    painter->drawPixmap(QPointF(area.right() - 13, area.center().y() - 6.5), Theme::instance().pixmap(icon, color(Role::Accent), 14, painter->device()->devicePixelRatioF()));
    area.setRight(area.right() - 18);
  }
  if (const QVariant bars = index.data(kHistogramRole); bars.isValid()) {
    std::vector<double> values;
    for (const QVariant& value : bars.toList()) values.push_back(value.toDouble());
    paintBars(*painter, QRectF(area).adjusted(0, 5, 0, -4), values, Theme::instance().series(0));
    painter->restore();
    return;
  }
  const Theme& theme = Theme::instance();
  const QFont font = qvariant_cast<QFont>(index.data(Qt::FontRole).isValid() ? index.data(Qt::FontRole) : QVariant(theme.font()));
  const bool enabled = index.flags().testFlag(Qt::ItemIsEnabled);
  const QColor ink = enabled ? color(tone_role(index.data(kToneRole).toInt(), index.data(kMutedRole).toBool())) : color(Role::Faint);
  if (const QVariant progress = index.data(kProgressRole); progress.isValid()) {
    const QRectF bar(area.left(), area.bottom() - 5, area.width(), 3);
    painter->setPen(Qt::NoPen);
    painter->setBrush(color(Role::Line));
    painter->drawRoundedRect(bar, 1.5, 1.5);
    painter->setBrush(color(Role::Accent));
    painter->drawRoundedRect(QRectF(bar.left(), bar.top(), bar.width() * std::clamp(progress.toDouble(), 0.0, 1.0), bar.height()), 1.5, 1.5);
    area.setBottom(area.bottom() - 5);
  }
  const QString text = index.data(Qt::DisplayRole).toString();
  if (const QVariant unit = index.data(kUnitRole); unit.isValid()) {
    // The unit has a column of its own, so that figures end at the same place.
    const QFont small = theme.font(Theme::Size::Small);
    const QString sample = index.data(kUnitSampleRole).toString();
    const double least = sample.isEmpty() ? unit.toString().isEmpty() ? 0 : 24 : lineWidth(small, sample);
    const int unitWidth = static_cast<int>(std::ceil(std::max(least, lineWidth(small, unit.toString()))));
    painter->setPen(ink);
    drawLine(*painter, font, area.adjusted(0, 0, -unitWidth - (unitWidth ? kGapSmall : 0), 0), Qt::AlignRight | Qt::AlignVCenter, text, Qt::ElideNone);
    painter->setPen(color(enabled ? Role::Muted : Role::Faint));
    drawLine(*painter, small, QRect(area.right() - unitWidth + 1, area.top(), unitWidth, area.height()), Qt::AlignLeft | Qt::AlignVCenter, unit.toString());
  } else {
    const QVariant wish = index.data(Qt::TextAlignmentRole);
    const Qt::Alignment alignment = wish.isValid() ? Qt::Alignment(wish.toInt()) : Qt::AlignLeft | Qt::AlignVCenter;
    painter->setPen(ink);
    drawLine(*painter, font, area, alignment, text, Qt::ElideMiddle);
    if (const QString second = index.data(kSecondRole).toString(); !second.isEmpty()) {
      const int after = static_cast<int>(std::min<double>(lineWidth(font, text), area.width())) + kGap;
      painter->setPen(color(enabled ? Role::Muted : Role::Faint));
      const QRect rest = area.adjusted(after, 0, 0, 0);
      if (rest.width() > 24) drawLine(*painter, font, rest, Qt::AlignLeft | Qt::AlignVCenter, second);
    }
  }
  painter->restore();
}

bool CellDelegate::editorEvent(QEvent* event, QAbstractItemModel* model, const QStyleOptionViewItem& option, const QModelIndex& index) {
  // The box is painted here, so its place is known here too.
  if (event->type() != QEvent::MouseButtonRelease || !index.flags().testFlag(Qt::ItemIsUserCheckable))
    return QStyledItemDelegate::editorEvent(event, model, option, index);
  if (static_cast<QMouseEvent*>(event)->position().x() > option.rect.left() + 28) return false;
  const bool checked = index.data(Qt::CheckStateRole).toInt() == Qt::Checked;
  return model->setData(index, checked ? Qt::Unchecked : Qt::Checked, Qt::CheckStateRole);
}

// Names of columns, drawn without the style sheet: twelve of its sections take a millisecond.
class TableHeader : public QHeaderView {
 public:
  using QHeaderView::QHeaderView;

 protected:
  void paintSection(QPainter* painter, const QRect& rect, int section) const override {
    painter->fillRect(rect, color(Role::Surface));
    painter->fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), color(Role::LineStrong));
    const QVariant wish = model()->headerData(section, orientation(), Qt::TextAlignmentRole);
    const Qt::Alignment alignment = wish.isValid() ? Qt::Alignment(wish.toInt()) : defaultAlignment();
    QRect area = rect.adjusted(kGap, 0, -kGap, -1);
    if (isSortIndicatorShown() && sortIndicatorSection() == section) {
      const QString arrow = sortIndicatorOrder() == Qt::AscendingOrder ? QStringLiteral("up") : QStringLiteral("down");
      painter->drawPixmap(QPointF(rect.right() - 10, area.center().y() - 4), Theme::instance().pixmap(arrow, color(Role::Muted), 9, painter->device()->devicePixelRatioF()));
      if (alignment & Qt::AlignRight) area.setRight(rect.right() - 12);
    }
    painter->setPen(color(Role::Muted));
    const QFont font = Theme::instance().font();
    const QStringList lines = model()->headerData(section, orientation(), Qt::DisplayRole).toString().split(QLatin1Char('\n'));
    const double height = QFontMetrics(font).height();
    double y = area.center().y() + 1 - height * static_cast<double>(lines.size()) / 2;
    for (const QString& line : lines) {
      drawLine(*painter, font, QRectF(area.left(), y, area.width(), height), alignment & Qt::AlignHorizontal_Mask, line);
      y += height;
    }
  }
};

TableView::TableView(const QString& name, QWidget* parent) : QTableView(parent) {
  setAccessibleName(name);
  auto* header = new TableHeader(Qt::Horizontal, this);
  header->setSectionsClickable(true);
  setHorizontalHeader(header);
  setItemDelegate(new CellDelegate(this));
  setSelectionBehavior(QAbstractItemView::SelectRows);
  setSelectionMode(QAbstractItemView::SingleSelection);
  setEditTriggers(QAbstractItemView::NoEditTriggers);
  setShowGrid(false);
  setWordWrap(false);
  setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  setTabKeyNavigation(false);
  verticalHeader()->hide();
  verticalHeader()->setDefaultSectionSize(kRowHeight);
  verticalHeader()->setMinimumSectionSize(kRowHeight);
  verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  horizontalHeader()->setHighlightSections(false);
  horizontalHeader()->setTextElideMode(Qt::ElideRight);
  horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  horizontalHeader()->setMinimumSectionSize(32);
  connect(&Theme::instance(), &Theme::changed, this, [this] { viewport()->update(); });
}

void TableView::setWidths(const QList<int>& widths) {
  for (int i = 0; i < widths.size(); ++i) {
    if (widths[i] == 0) {
      horizontalHeader()->setSectionResizeMode(i, QHeaderView::Stretch);
    } else {
      horizontalHeader()->setSectionResizeMode(i, QHeaderView::Interactive);
      setColumnWidth(i, widths[i]);
    }
  }
}

void TableView::copySelection() const {
  QModelIndexList rows = selectionModel()->selectedRows();
  std::sort(rows.begin(), rows.end());
  QStringList lines;
  for (const QModelIndex& row : rows) {
    QStringList cells;
    for (int c = 0; c < model()->columnCount(); ++c) {
      const QModelIndex cell = row.siblingAtColumn(c);
      const QString unit = cell.data(kUnitRole).toString();
      cells << cell.data().toString() + (unit.isEmpty() ? QString() : QLatin1Char(' ') + unit);
    }
    lines << cells.join(QLatin1Char('\t'));
  }
  QApplication::clipboard()->setText(lines.join(QLatin1Char('\n')));
}

void TableView::keyPressEvent(QKeyEvent* event) {
  if (event->matches(QKeySequence::Copy)) return copySelection();
  if (event->key() == Qt::Key_Space && currentIndex().isValid()) {
    emit spacePressed(currentIndex());
    return;
  }
  if (event->key() == Qt::Key_Delete && currentIndex().isValid()) {
    emit deletePressed(currentIndex());
    return;
  }
  if (event->modifiers() == Qt::ControlModifier && (event->key() == Qt::Key_Up || event->key() == Qt::Key_Down)) {
    emit moveWanted(event->key() == Qt::Key_Up ? -1 : 1);
    return;
  }
  QTableView::keyPressEvent(event);
}

}  // namespace retort::ui
