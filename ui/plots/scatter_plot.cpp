#include "ui/plots/scatter_plot.h"

#include <qcustomplot.h>

#include <QToolTip>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/plots/markers.h"
#include "ui/theme.h"

namespace retort::ui {

ScatterPlot::ScatterPlot(QWidget* parent) : Chart(parent), m_plot(new QCustomPlot(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(kGap, 0, kGap, kGap);
  layout->addWidget(m_plot);
  m_plot->setFocusPolicy(Qt::NoFocus);
  m_plot->setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
  m_plot->setMouseTracking(true);
  m_plot->setMinimumSize(280, 180);
  connect(m_plot, &QCustomPlot::mousePress, this, [this](QMouseEvent* event) {
    setFocus(Qt::MouseFocusReason);
    if (const PlotPoint* point = pointAt(event->position())) emit chosen(point->id);
  });
  connect(m_plot, &QCustomPlot::mouseMove, this, [this](QMouseEvent* event) {
    const PlotPoint* point = pointAt(event->position());
    if (point) QToolTip::showText(event->globalPosition().toPoint(), point->hover, m_plot);
    else QToolTip::hideText();
  });
  connect(m_plot, &QCustomPlot::mouseDoubleClick, this, [this] { rebuild(); });
}

void ScatterPlot::setAxes(const PlotAxis& x, const PlotAxis& y) {
  m_x = x;
  m_y = y;
  rebuild();
}

void ScatterPlot::setPoints(std::vector<PlotPoint> points, std::vector<std::int64_t> front) {
  m_points = std::move(points);
  m_front = std::move(front);
  rebuild();
}

void ScatterPlot::setNoiseFloor(std::optional<double> floor, const QString& label) {
  m_floor = floor;
  m_floorLabel = label;
  rebuild();
}

ChartTable ScatterPlot::table() const {
  ChartTable table;
  table.header = {tr("Candidate"), m_x.title, m_y.title, tr("low"), tr("high"), tr("on the front")};
  for (const PlotPoint& point : m_points)
    table.rows.push_back({point.name, significant(point.x * m_x.scale, 5), significant(point.y * m_y.scale, 4),
                          significant(point.y_low * m_y.scale, 4), significant(point.y_high * m_y.scale, 4),
                          point.dominated ? tr("no") : tr("yes")});
  return table;
}

std::vector<std::int64_t> ScatterPlot::order() const {
  std::vector<const PlotPoint*> sorted;
  for (const PlotPoint& point : m_points) sorted.push_back(&point);
  std::stable_sort(sorted.begin(), sorted.end(), [](const PlotPoint* a, const PlotPoint* b) { return a->x < b->x; });
  std::vector<std::int64_t> ids;
  for (const PlotPoint* point : sorted) ids.push_back(point->id);
  return ids;
}

void ScatterPlot::drawTo(QPaintDevice* device, const QSize& size) {
  QCPPainter painter;
  painter.begin(device);
  painter.setMode(QCPPainter::pmVectorized);
  m_plot->toPainter(&painter, size.width(), size.height());
  painter.end();
  m_plot->replot(QCustomPlot::rpQueuedReplot);
}

// A logarithmic axis has no zero: such points (the original's own loss) stand on its lower edge.
double ScatterPlot::shown(double value, bool x) const {
  const PlotAxis& axis = x ? m_x : m_y;
  const double scaled = value * axis.scale;
  return axis.logarithmic ? std::max(scaled, m_low[x ? 0 : 1]) : scaled;
}

void ScatterPlot::fitRanges(bool x) {
  const PlotAxis& axis = x ? m_x : m_y;
  double low = 1e300, high = -1e300;
  for (const PlotPoint& point : m_points)
    for (const double value : {x ? point.x : point.y, x ? point.x_low : point.y_low, x ? point.x_high : point.y_high}) {
      const double scaled = value * axis.scale;
      if (axis.logarithmic && scaled <= 0) continue;
      low = std::min(low, scaled);
      high = std::max(high, scaled);
    }
  if (low > high) low = axis.logarithmic ? 0.001 : 0, high = 1;
  if (axis.logarithmic) {
    m_low[x ? 0 : 1] = low / 1.8;
    m_high[x ? 0 : 1] = high * 1.6;
  } else {
    const double margin = high > low ? (high - low) * 0.1 : std::max(std::abs(high) * 0.1, 1e-9);
    m_low[x ? 0 : 1] = low >= 0 ? std::max(0.0, low - margin) : low - margin;
    m_high[x ? 0 : 1] = high + margin * 1.6;
  }
}

void ScatterPlot::styleAxes() {
  m_plot->setBackground(color(Role::Surface));
  m_plot->setAntialiasedElements(QCP::aeAll);
  const QFont font = Theme::instance().font(Theme::Size::Small);
  const auto style = [&](QCPAxis* axis, const PlotAxis& spec, int index) {
    axis->setBasePen(QPen(color(Role::LineStrong)));
    axis->setTickPen(QPen(color(Role::LineStrong)));
    axis->setSubTickPen(QPen(color(Role::Line)));
    axis->setTickLabelColor(color(Role::Muted));
    axis->setLabelColor(color(Role::Muted));
    axis->setTickLabelFont(font);
    axis->setLabelFont(font);
    axis->setLabel(spec.title);
    axis->grid()->setPen(QPen(color(Role::Line), 0.7));
    axis->grid()->setSubGridVisible(false);
    axis->grid()->setZeroLinePen(QPen(color(Role::LineStrong), 0.7));
    axis->setScaleType(spec.logarithmic ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (spec.logarithmic) axis->setTicker(QSharedPointer<QCPAxisTickerLog>(new QCPAxisTickerLog));
    else axis->setTicker(QSharedPointer<QCPAxisTicker>(new QCPAxisTicker));
    axis->setNumberFormat(QStringLiteral("g"));
    axis->setNumberPrecision(4);
    axis->setRange(m_low[index], m_high[index]);
  };
  style(m_plot->xAxis, m_x, 0);
  style(m_plot->yAxis, m_y, 1);
}

void ScatterPlot::addGoals() {
  const auto shade = [&](bool x, const PlotAxis& axis) {
    if (!axis.goal) return;
    const int index = x ? 0 : 1;
    const double goal = std::clamp(*axis.goal, m_low[index], m_high[index]);
    const double far = axis.goalIsMinimum ? m_low[index] : m_high[index];
    auto* area = new QCPItemRect(m_plot);
    area->setPen(Qt::NoPen);
    QColor soft = color(Role::WarnSoft);
    soft.setAlpha(110);
    area->setBrush(soft);
    area->setClipToAxisRect(true);
    area->topLeft->setCoords(x ? goal : m_low[0], x ? m_high[1] : goal);
    area->bottomRight->setCoords(x ? far : m_high[0], x ? m_low[1] : far);
    auto* line = new QCPItemStraightLine(m_plot);
    line->setPen(QPen(color(Role::Warn), 1, Qt::DashLine));
    line->point1->setCoords(x ? goal : m_low[0], x ? m_low[1] : goal);
    line->point2->setCoords(x ? goal : m_high[0], x ? m_high[1] : goal);
  };
  shade(true, m_x);
  shade(false, m_y);
}

void ScatterPlot::addNoiseFloor() {
  if (!m_floor || *m_floor <= m_low[1]) return;
  auto* band = new QCPItemRect(m_plot);
  band->setPen(Qt::NoPen);
  QColor soft = color(Role::Faint);
  soft.setAlpha(40);
  band->setBrush(QBrush(soft, Qt::BDiagPattern));
  band->topLeft->setCoords(m_low[0], *m_floor);
  band->bottomRight->setCoords(m_high[0], m_low[1]);
  auto* label = new QCPItemText(m_plot);
  label->setText(m_floorLabel);
  label->setFont(Theme::instance().font(Theme::Size::Small));
  label->setColor(color(Role::Muted));
  label->setPositionAlignment(Qt::AlignRight | Qt::AlignBottom);
  label->position->setCoords(m_high[0], *m_floor);
}

void ScatterPlot::addFront() {
  if (m_front.size() < 2) return;
  QCPGraph* line = m_plot->addGraph();
  line->setPen(QPen(color(Role::Accent), 1.4));
  line->setLineStyle(QCPGraph::lsStepLeft);
  for (const std::int64_t id : m_front) {
    const auto point = std::find_if(m_points.begin(), m_points.end(), [&](const PlotPoint& p) { return p.id == id; });
    if (point != m_points.end()) line->addData(shown(point->x, true), shown(point->y, false));
  }
}

void ScatterPlot::addPoint(const PlotPoint& point) {
  const bool chosen = selected() == point.id;
  const QColor hue = point.dominated && !chosen ? Theme::mix(Theme::instance().series(point.series), color(Role::Surface), 0.55)
                                                : Theme::instance().series(point.series);
  const double x = shown(point.x, true), y = shown(point.y, false);
  QCPGraph* graph = m_plot->addGraph();
  graph->setLineStyle(QCPGraph::lsNone);
  const double size = chosen ? 13 : 9;
  graph->setScatterStyle(QCPScatterStyle(markerPath(Theme::marker(point.series), size), QPen(chosen ? color(Role::Text) : color(Role::Surface), chosen ? 1.6 : 0.8),
                                         QBrush(hue), size));
  graph->addData(x, y);
  const auto bars = [&](QCPErrorBars::ErrorType type, double value, double low, double high) {
    if (!(high > low)) return;
    auto* error = new QCPErrorBars(m_plot->xAxis, m_plot->yAxis);
    error->setDataPlottable(graph);
    error->setErrorType(type);
    error->setPen(QPen(hue, 1.3));
    error->setWhiskerWidth(6);
    error->setSymbolGap(4);
    error->addData(value - low, high - value);
  };
  bars(QCPErrorBars::etValueError, y, shown(point.y_low, false), shown(point.y_high, false));
  bars(QCPErrorBars::etKeyError, x, shown(point.x_low, true), shown(point.x_high, true));
}

// Names stand right of their points; where two would cover each other, the later one goes left, above or below.
void ScatterPlot::addLabels() {
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
  std::vector<QRectF> taken;
  const QRectF area = m_plot->axisRect()->rect();
  std::vector<QRectF> marks;
  for (const PlotPoint& point : m_points) {
    const QPointF at(m_plot->xAxis->coordToPixel(shown(point.x, true)), m_plot->yAxis->coordToPixel(shown(point.y, false)));
    marks.emplace_back(at.x() - 5, at.y() - 5, 10, 10);
  }
  for (std::size_t i = 0; i < m_points.size(); ++i) {
    const PlotPoint& point = m_points[i];
    const QPointF at = marks[i].center();
    const double w = metrics.horizontalAdvance(point.name) + 2, h = metrics.height();
    const QPointF places[] = {{at.x() + 9, at.y() - h / 2}, {at.x() - w - 9, at.y() - h / 2}, {at.x() - w / 2, at.y() - h - 8},
                              {at.x() - w / 2, at.y() + 8}, {at.x() + 7, at.y() - h - 6}, {at.x() + 7, at.y() + 6}};
    QRectF best;
    int fewest = 1000;
    for (const QPointF& place : places) {
      const QRectF box(place, QSizeF(w, h));
      int hits = area.contains(box) ? 0 : 10;
      for (const QRectF& other : taken) hits += other.intersects(box) ? 2 : 0;
      for (const QRectF& mark : marks) hits += mark.intersects(box) ? 1 : 0;
      if (hits < fewest) fewest = hits, best = box;
    }
    taken.push_back(best);
    auto* label = new QCPItemText(m_plot);
    label->setText(point.name);
    label->setFont(Theme::instance().font(Theme::Size::Small, selected() == point.id));
    label->setColor(color(point.dominated && selected() != point.id ? Role::Muted : Role::Text));
    label->setPadding({});
    label->setClipToAxisRect(false);
    label->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
    // Anchored to the point in pixels, so that the name follows when the chart is moved or saved at another size.
    auto* anchor = new QCPItemTracer(m_plot);
    anchor->setStyle(QCPItemTracer::tsNone);
    anchor->position->setCoords(shown(point.x, true), shown(point.y, false));
    label->position->setParentAnchor(anchor->position);
    label->position->setCoords(best.left() - at.x(), best.top() - at.y());
  }
}

void ScatterPlot::rebuild() {
  m_plot->clearPlottables();
  m_plot->clearItems();
  fitRanges(true);
  fitRanges(false);
  styleAxes();
  addGoals();
  addNoiseFloor();
  addFront();
  for (const PlotPoint& point : m_points) addPoint(point);
  m_plot->replot(QCustomPlot::rpImmediateRefresh);   // positions in pixels are known from here on
  addLabels();
  m_plot->axisRect()->setupFullAxesBox(false);
  m_plot->xAxis2->setVisible(hasFocus());
  m_plot->yAxis2->setVisible(hasFocus());
  for (QCPAxis* axis : {m_plot->xAxis2, m_plot->yAxis2}) {
    axis->setBasePen(QPen(color(Role::Accent)));
    axis->setTicks(false);
    axis->setTickLabels(false);
  }
  m_plot->replot(QCustomPlot::rpQueuedReplot);
}

void ScatterPlot::focusInEvent(QFocusEvent* event) {
  Chart::focusInEvent(event);
  rebuild();
}
void ScatterPlot::focusOutEvent(QFocusEvent* event) {
  Chart::focusOutEvent(event);
  rebuild();
}

const PlotPoint* ScatterPlot::pointAt(const QPointF& position) const {
  const PlotPoint* nearest = nullptr;
  double best = 14;
  for (const PlotPoint& point : m_points) {
    const double dx = m_plot->xAxis->coordToPixel(shown(point.x, true)) - position.x();
    const double dy = m_plot->yAxis->coordToPixel(shown(point.y, false)) - position.y();
    const double distance = std::hypot(dx, dy);
    if (distance < best) best = distance, nearest = &point;
  }
  return nearest;
}

}  // namespace retort::ui
