#include "ui/plots/heat_grid.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>

#include "ui/format.h"
#include "ui/theme.h"

namespace retort::ui {

struct HeatGrid::Geometry {
  QRect area;
  double cellWidth = 0, cellHeight = 0;
  QRectF cell(int layer, int kind) const {
    return {area.left() + (layer + 1) * cellWidth, area.top() + kind * cellHeight, cellWidth - 1, cellHeight - 1};
  }
};

HeatGrid::HeatGrid(QWidget* parent) : Chart(parent) { setMouseTracking(true); }

void HeatGrid::setCells(std::map<std::pair<QString, int>, HeatCell> cells, const QString& measure) {
  m_cells = std::move(cells);
  m_measure = measure;
  m_kinds.clear();
  m_layers = 0;
  m_largest = 0;
  for (const auto& [place, cell] : m_cells) {
    if (!m_kinds.contains(place.first)) m_kinds << place.first;
    m_layers = std::max(m_layers, place.second + 1);
    m_largest = std::max(m_largest, cell.value);
  }
  update();
}

void HeatGrid::setSelectedTensor(const QString& tensor) {
  m_selected = tensor;
  update();
}

ChartTable HeatGrid::table() const {
  ChartTable table;
  table.header = {tr("Tensor"), tr("Type"), m_measure};
  for (const auto& [place, cell] : m_cells) table.rows.push_back({cell.tensor, cell.type, significant(cell.value, 4)});
  return table;
}

HeatGrid::Geometry HeatGrid::geometryFor(const QSize& size) const {
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
  int names = 0;
  for (const QString& kind : m_kinds) names = std::max(names, metrics.horizontalAdvance(kind));
  Geometry geometry;
  geometry.area = QRect(kGapLarge + names + kGap, kGapSmall, size.width() - names - kGap - 2 * kGapLarge, size.height() - kGapSmall - 2 * metrics.height() - kGap);
  geometry.cellWidth = geometry.area.width() / static_cast<double>(m_layers + 1);
  geometry.cellHeight = std::min(26.0, geometry.area.height() / static_cast<double>(std::max<qsizetype>(1, m_kinds.size())));
  return geometry;
}

void HeatGrid::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  draw(painter, size());
}
void HeatGrid::drawTo(QPaintDevice* device, const QSize& size) {
  QPainter painter(device);
  draw(painter, size);
}

void HeatGrid::draw(QPainter& painter, const QSize& size) const {
  const QFont font = Theme::instance().font(Theme::Size::Small);
  const QFontMetrics metrics(font);
  painter.setFont(font);
  if (m_cells.empty()) return;
  const Geometry geometry = geometryFor(size);
  const QColor cold = color(Role::Raised), hot = Theme::instance().series(5);
  painter.setPen(color(Role::Text));
  for (qsizetype k = 0; k < m_kinds.size(); ++k)
    painter.drawText(QRectF(kGapLarge, geometry.area.top() + static_cast<double>(k) * geometry.cellHeight, geometry.area.left() - kGapLarge - kGap, geometry.cellHeight),
                     Qt::AlignVCenter | Qt::AlignRight, m_kinds[k]);
  for (const auto& [place, cell] : m_cells) {
    const QRectF box = geometry.cell(place.second, static_cast<int>(m_kinds.indexOf(place.first)));
    painter.fillRect(box, Theme::mix(cold, hot, m_largest > 0 ? cell.value / m_largest : 0));
    if (cell.tensor == m_selected) {
      painter.setPen(QPen(color(Role::Text), 1.6));
      painter.drawRect(box);
    }
  }
  painter.setPen(color(Role::Muted));
  const double bottom = geometry.area.top() + geometry.cellHeight * static_cast<double>(m_kinds.size());
  const int step = std::max(1, static_cast<int>(28 / geometry.cellWidth));
  for (int layer = 0; layer < m_layers; layer += step)
    painter.drawText(QRectF(geometry.cell(layer, 0).left() - 20, bottom, geometry.cellWidth + 40, metrics.height()), Qt::AlignHCenter, QString::number(layer));
  const double keyTop = bottom + metrics.height() + kGapSmall;
  QLinearGradient gradient(geometry.area.left(), 0, geometry.area.left() + 120, 0);
  gradient.setColorAt(0, cold);
  gradient.setColorAt(1, hot);
  painter.fillRect(QRectF(geometry.area.left(), keyTop + 3, 120, 8), gradient);
  painter.drawText(QPointF(geometry.area.left() + 128, keyTop + metrics.ascent()), tr("0 … %1  %2; layers from left to right").arg(significant(m_largest, 3), m_measure));
}

const HeatCell* HeatGrid::cellAt(const QPoint& position) const {
  const Geometry geometry = geometryFor(size());
  for (const auto& [place, cell] : m_cells)
    if (geometry.cell(place.second, static_cast<int>(m_kinds.indexOf(place.first))).contains(position)) return &cell;
  return nullptr;
}

void HeatGrid::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (const HeatCell* cell = cellAt(event->position().toPoint())) emit tensorChosen(cell->tensor);
}

void HeatGrid::keyPressEvent(QKeyEvent* event) {
  auto at = std::find_if(m_cells.begin(), m_cells.end(), [this](const auto& entry) { return entry.second.tensor == m_selected; });
  if (m_cells.empty()) return Chart::keyPressEvent(event);
  if (at == m_cells.end()) {
    at = m_cells.begin();
  } else if (event->key() == Qt::Key_Right || event->key() == Qt::Key_Down) {
    if (std::next(at) != m_cells.end()) ++at;
  } else if (event->key() == Qt::Key_Left || event->key() == Qt::Key_Up) {
    if (at != m_cells.begin()) --at;
  } else {
    return Chart::keyPressEvent(event);
  }
  emit tensorChosen(at->second.tensor);
}

bool HeatGrid::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    if (const HeatCell* cell = cellAt(help->pos()))
      QToolTip::showText(help->globalPos(), QStringLiteral("%1 · %2 · %3 %4").arg(cell->tensor, cell->type, m_measure, significant(cell->value, 4)), this);
    else QToolTip::hideText();
    return true;
  }
  return Chart::event(event);
}

}  // namespace retort::ui
