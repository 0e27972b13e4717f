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
  m_plot->setMinimumSize(240, 150);
  connect(m_plot, &QCustomPlot::mousePress, this, [this](QMouseEvent* event) {
    setFocus(Qt::MouseFocusReason);
    if (const PlotPoint* point = pointAt(event->position())) emit chosen(point->id);
  });
  connect(m_plot, &QCustomPlot::mouseMove, this, [this](QMouseEvent* event) {
    const PlotPoint* point = pointAt(event->position());
    if (point) QToolTip::showText(event->globalPosition().toPoint(), point->hover, m_plot);
    else QToolTip::hideText();
  });
  connect(m_plot, &QCustomPlot::mouseDoubleClick, this, [this] { invalidate(); });
}

void ScatterPlot::setAxes(const PlotAxis& x, const PlotAxis& y) {
  m_x = x;
  m_y = y;
  invalidate();
}

void ScatterPlot::setPoints(std::vector<PlotPoint> points, std::vector<std::int64_t> front) {
  m_points = std::move(points);
  m_front = std::move(front);
  invalidate();
}

void ScatterPlot::setNoiseFloor(std::optional<double> floor, const QString& label) {
  m_floor = floor;
  m_floorLabel = label;
  invalidate();
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
  if (m_dirty) rebuildNow();
  QCPPainter painter;
  painter.begin(device);
  painter.setMode(QCPPainter::pmVectorized);
  m_plot->toPainter(&painter, size.width(), size.height());
  painter.end();
  m_plot->replot(QCustomPlot::rpQueuedReplot);
}

// A logarithmic axis has no zero: such points (the original's own loss) stand at its lower edge, and so does what is
// thousands of times smaller than the rest and would press that together.
double ScatterPlot::shown(double value, bool x) const {
  const PlotAxis& axis = x ? m_x : m_y;
  const double scaled = value * axis.scale;
  return axis.logarithmic ? std::max(scaled, m_edge[x ? 0 : 1]) : scaled;
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
    double edge = 0;
    for (const PlotPoint& point : m_points) {
      const double scaled = (x ? point.x : point.y) * axis.scale;
      if (scaled >= high / 3000 && (edge == 0 || scaled < edge)) edge = scaled;
    }
    if (edge == 0) edge = low;
    m_edge[x ? 0 : 1] = low < edge || std::any_of(m_points.begin(), m_points.end(), [&](const PlotPoint& p) { return (x ? p.x : p.y) <= 0; }) ? edge / 3 : edge;
    m_low[x ? 0 : 1] = m_edge[x ? 0 : 1] / (x ? 1.8 : 5);   // names of the points at the lower edge find room below them
    m_high[x ? 0 : 1] = high * 1.6;
  } else {
    const double margin = high > low ? (high - low) * 0.1 : std::max(std::abs(high) * 0.1, 1e-9);
    // Names of the leftmost points find room on their left too.
    const double before = x ? 2 * margin : margin;
    m_low[x ? 0 : 1] = low >= 0 ? std::max(0.0, low - before) : low - before;
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
  graph->setScatterStyle(QCPScatterStyle(markerPath(Theme::marker(point.series), size), isHollow(point.series) ? QPen(hue, 1.8) : QPen(chosen ? color(Role::Text) : color(Role::Surface), chosen ? 1.6 : 0.8),
                                         QBrush(isHollow(point.series) ? color(Role::Surface) : hue), 6));   // 6: the path is drawn as it is
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

// Stands at the edge instead of below it: the arrow says so, the tool tip how far.
QString ScatterPlot::shownName(const PlotPoint& point) const {
  const bool below = m_y.logarithmic && point.y > 0 && point.y * m_y.scale < m_edge[1];
  return below ? point.name + QStringLiteral(" ↓") : point.name;
}

QPointF ScatterPlot::pixelOf(double x, double y) const { return {m_plot->xAxis->coordToPixel(shown(x, true)), m_plot->yAxis->coordToPixel(shown(y, false))}; }

// What names must not cover, in pixels.
LabelField ScatterPlot::obstacles() const {
  LabelField field;
  const QRectF whole = m_plot->axisRect()->rect();
  field.area = whole.adjusted(2, 0, -2, 0);
  for (const PlotPoint& point : m_points) {
    const QPointF at = pixelOf(point.x, point.y), low = pixelOf(point.x_low, point.y_low), high = pixelOf(point.x_high, point.y_high);
    const double radius = selected() == point.id ? 7 : 6;
    field.marks.emplace_back(at.x() - radius, at.y() - radius, 2 * radius, 2 * radius);
    if (point.y_high > point.y_low && low.y() - high.y() > 2 * radius) field.marks.emplace_back(at.x() - 3, high.y(), 6, low.y() - high.y());
    if (point.x_high > point.x_low && high.x() - low.x() > 2 * radius) field.marks.emplace_back(low.x(), at.y() - 3, high.x() - low.x(), 6);
  }
  std::optional<QPointF> before;
  for (const std::int64_t id : m_front) {
    const auto point = std::find_if(m_points.begin(), m_points.end(), [&](const PlotPoint& p) { return p.id == id; });
    if (point == m_points.end()) continue;
    const QPointF at = pixelOf(point->x, point->y);
    if (before) {
      field.lines.emplace_back(*before, QPointF(at.x(), before->y()));
      field.lines.emplace_back(QPointF(at.x(), before->y()), at);
    }
    before = at;
  }
  if (m_x.goal) {
    const double x = m_plot->xAxis->coordToPixel(std::clamp(*m_x.goal, m_low[0], m_high[0]));
    field.lines.emplace_back(x, whole.top(), x, whole.bottom());
  }
  if (m_y.goal) {
    const double y = m_plot->yAxis->coordToPixel(std::clamp(*m_y.goal, m_low[1], m_high[1]));
    field.lines.emplace_back(whole.left(), y, whole.right(), y);
  }
  if (m_floor && *m_floor > m_low[1]) {
    const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
    const double y = m_plot->yAxis->coordToPixel(*m_floor), w = metrics.horizontalAdvance(m_floorLabel);
    field.marks.emplace_back(whole.right() - w, y - metrics.height(), w, metrics.height());
  }
  return field;
}

// A name that finds no free place is shortened; where that finds none either it is left out: the point's tool tip has it, and the table.
void ScatterPlot::addLabels() {
  std::vector<LabelWish> wishes;
  std::vector<QStringList> forms;
  for (const PlotPoint& point : m_points) {
    const bool chosen = selected() == point.id;
    const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small, chosen));
    LabelWish wish{pixelOf(point.x, point.y), {}, chosen};
    QStringList names;
    for (const int width : {10000, 180, 155, 130, 105, 80}) {
      const QString name = metrics.elidedText(shownName(point), Qt::ElideMiddle, width);
      if (names.contains(name)) continue;
      names << name;
      wish.sizes.emplace_back(metrics.horizontalAdvance(name) + 2, metrics.height());
    }
    wishes.push_back(std::move(wish));
    forms.push_back(std::move(names));
  }
  const auto places = placeLabels(obstacles(), wishes);
  for (std::size_t i = 0; i < m_points.size(); ++i)
    if (places[i]) addLabel(m_points[i], forms[i][static_cast<qsizetype>(places[i]->form)], wishes[i].point, places[i]->box);
}

void ScatterPlot::addLabel(const PlotPoint& point, const QString& name, const QPointF& at, const QRectF& place) {
  // Anchored to the point in pixels, so that the name follows when the chart is moved or saved at another size.
  auto* anchor = new QCPItemTracer(m_plot);
  anchor->setStyle(QCPItemTracer::tsNone);
  anchor->position->setCoords(shown(point.x, true), shown(point.y, false));
  auto* label = new QCPItemText(m_plot);
  label->setText(name);
  label->setFont(Theme::instance().font(Theme::Size::Small, selected() == point.id));
  label->setColor(color(point.dominated && selected() != point.id ? Role::Muted : Role::Text));
  label->setPadding({});
  label->setClipToAxisRect(false);
  QColor behind = color(Role::Surface);
  behind.setAlpha(190);   // a name that is needed stays readable across what it covers
  label->setBrush(behind);
  label->setPositionAlignment(Qt::AlignLeft | Qt::AlignTop);
  label->position->setParentAnchor(anchor->position);
  label->position->setCoords(place.topLeft() - at);
  const auto leader = labelLeader(at, place);
  if (!leader) return;
  auto* line = new QCPItemLine(m_plot);
  line->setPen(QPen(color(Role::LineStrong), 0.9));
  line->setClipToAxisRect(false);
  line->start->setParentAnchor(anchor->position);
  line->start->setCoords(leader->p1() - at);
  line->end->setParentAnchor(anchor->position);
  line->end->setCoords(leader->p2() - at);
}

void ScatterPlot::invalidate() {
  if (std::exchange(m_dirty, true)) return;
  QMetaObject::invokeMethod(this, [this] { if (m_dirty) rebuildNow(); }, Qt::QueuedConnection);
}

void ScatterPlot::resizeEvent(QResizeEvent* event) {
  Chart::resizeEvent(event);
  invalidate();   // which names cover each other depends on the size
}

void ScatterPlot::rebuildNow() {
  m_dirty = false;
  m_plot->clearPlottables();
  m_plot->clearItems();
  fitRanges(true);
  fitRanges(false);
  styleAxes();
  addGoals();
  addNoiseFloor();
  addFront();
  for (const PlotPoint& point : m_points) addPoint(point);
  // The layout alone gives positions in pixels, without painting twice.
  for (const auto phase : {QCPLayoutElement::upPreparation, QCPLayoutElement::upMargins, QCPLayoutElement::upLayout}) m_plot->plotLayout()->update(phase);
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
  invalidate();
}
void ScatterPlot::focusOutEvent(QFocusEvent* event) {
  Chart::focusOutEvent(event);
  invalidate();
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
