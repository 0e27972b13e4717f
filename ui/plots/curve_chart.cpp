#include "ui/plots/curve_chart.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/plots/markers.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr double kLeft = 64;
constexpr int kTraining = 0, kValidation = 5;    // series, blue and vermilion: apart for every eye
constexpr double kWideRange = 20;                // a loss that falls by more is drawn on a logarithmic axis

double lossOf(const TrainingSample& s) { return s.loss; }
double divergenceOf(const TrainingSample& s) { return s.divergence; }
double accuracyOf(const TrainingSample& s) { return s.accuracy.value_or(std::nan("")); }

}  // namespace

CurveChart::CurveChart(QWidget* parent) : Chart(parent) {
  setMouseTracking(true);
  connect(this, &Chart::chosen, this, [this](std::int64_t step) { setSelected(step); });
}

void CurveChart::setCurve(TrainingCurve curve) {
  m_curve = std::move(curve);
  m_panels.clear();
  m_panels.push_back(panelOf(tr("Loss, nats"), lossOf, false));
  if (m_curve.hasAccuracy) m_panels.push_back(panelOf(tr("Right answers, %"), accuracyOf, true));
  else if (m_curve.hasDivergence) m_panels.push_back(panelOf(tr("Divergence from the teacher, nats"), divergenceOf, false));
  update();
}

CurveChart::Panel CurveChart::panelOf(const QString& title, double (*value)(const TrainingSample&), bool percent) const {
  Panel panel{title, value, false, percent, 0, 1};
  // Of what is drawn: single steps of a small batch would squeeze the lines that matter.
  std::vector<double> seen;
  for (const Bucket& bucket : buckets(panel, 80)) seen.push_back(bucket.mean);
  for (const TrainingSample& s : m_curve.samples)
    if (s.validation && std::isfinite(value(s))) seen.push_back(value(s));
  double least = 1e300, most = 0;
  for (const double v : seen)
    if (v > 0) least = std::min(least, v), most = std::max(most, v);
  panel.logarithmic = !percent && most > kWideRange * least;
  std::tie(panel.low, panel.high) = axisRange(seen, panel.logarithmic);
  if (percent) panel.high = std::min(panel.high, 1.0);
  return panel;
}

// Training steps are noise around a mean: equal stripes with their mean and spread show both, whatever their number.
std::vector<CurveChart::Bucket> CurveChart::buckets(const Panel& panel, int most) const {
  std::vector<const TrainingSample*> steps;
  for (const TrainingSample& s : m_curve.samples)
    if (!s.validation && std::isfinite(panel.value(s))) steps.push_back(&s);
  const std::size_t each = std::max<std::size_t>(1, (steps.size() + static_cast<std::size_t>(most) - 1) / static_cast<std::size_t>(most));
  std::vector<Bucket> result;
  for (std::size_t from = 0; from < steps.size(); from += each) {
    const std::size_t to = std::min(from + each, steps.size());
    Bucket bucket{0, 0, 1e300, -1e300};
    for (std::size_t i = from; i < to; ++i) {
      const double value = panel.value(*steps[i]);
      bucket.step += static_cast<double>(steps[i]->step);
      bucket.mean += value;
      bucket.low = std::min(bucket.low, value);
      bucket.high = std::max(bucket.high, value);
    }
    bucket.step /= static_cast<double>(to - from);
    bucket.mean /= static_cast<double>(to - from);
    result.push_back(bucket);
  }
  return result;
}

ChartTable CurveChart::table() const {
  ChartTable table;
  table.header = {tr("Step"), tr("Kind"), tr("Loss, nats"), tr("Divergence, nats"), tr("Right, %"), tr("Learning rate"), tr("Seconds")};
  for (const TrainingSample& s : m_curve.samples)
    table.rows.push_back({QString::number(s.step), s.validation ? tr("validation") : tr("training"), significant(s.loss, 5), significant(s.divergence, 5),
                          s.accuracy ? QString::number(100 * *s.accuracy, 'f', 2) : QString(), significant(s.rate, 4), QString::number(s.seconds, 'f', 1)});
  return table;
}

std::vector<std::int64_t> CurveChart::order() const {
  std::vector<std::int64_t> steps;
  for (const TrainingSample& s : m_curve.samples)
    if (s.validation) steps.push_back(s.step);
  if (!steps.empty()) return steps;
  for (const TrainingSample& s : m_curve.samples) steps.push_back(s.step);
  return steps;
}

CurveChart::Geometry CurveChart::geometryFor(const QSize& size) const {
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
  const double line = metrics.height(), width = std::max(80.0, size.width() - kLeft - kGapLarge);
  Geometry geometry;
  std::int64_t last = m_curve.total;
  for (const TrainingSample& s : m_curve.samples) last = std::max(last, s.step);
  geometry.x = {0, static_cast<double>(std::max<std::int64_t>(last, 1)), kLeft, kLeft + width, false};
  const double count = static_cast<double>(m_panels.size());
  const double room = size.height() - line - kGap - count * (line + kGapSmall) - (count - 1) * kGap;
  double y = 0;
  for (std::size_t i = 0; i < m_panels.size(); ++i) {
    const double height = std::max(24.0, m_panels.size() == 1 ? room : i == 0 ? room * 0.6 : room * 0.4);
    geometry.areas.emplace_back(kLeft, y + line + kGapSmall, width, height);
    y += line + kGapSmall + height + kGap;
  }
  return geometry;
}

void CurveChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  draw(painter, size());
  drawFocus(painter);
}

void CurveChart::drawTo(QPaintDevice* device, const QSize& size) {
  QPainter painter(device);
  draw(painter, size);
}

void CurveChart::drawTraining(QPainter& painter, const Panel& panel, const AxisMap& y, const AxisMap& x) const {
  const std::vector<Bucket> means = buckets(panel, static_cast<int>(std::max(8.0, (x.to - x.from) / 4)));
  if (means.empty()) return;
  const QColor hue = Theme::instance().series(kTraining);
  QPolygonF line, band;
  for (const Bucket& b : means) {
    line << QPointF(x.at(b.step), y.at(b.mean));
    band << QPointF(x.at(b.step), y.at(b.high));
  }
  for (auto b = means.rbegin(); b != means.rend(); ++b) band << QPointF(x.at(b->step), y.at(b->low));
  painter.setPen(Qt::NoPen);
  painter.setBrush(Theme::mix(color(Role::Surface), hue, 0.18));
  painter.drawPolygon(band);
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(hue, 1.4));
  painter.drawPolyline(line);
}

void CurveChart::drawValidation(QPainter& painter, const Panel& panel, const AxisMap& y, const AxisMap& x) const {
  const QColor hue = Theme::instance().series(kValidation);
  const TrainingSample* best = m_curve.best();
  QPolygonF line;
  for (const TrainingSample& s : m_curve.samples)
    if (s.validation && std::isfinite(panel.value(s))) line << QPointF(x.at(static_cast<double>(s.step)), y.at(panel.value(s)));
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(hue, 1.6));
  painter.drawPolyline(line);
  const bool dense = line.size() > 60;
  for (const TrainingSample& s : m_curve.samples) {
    if (!s.validation || !std::isfinite(panel.value(s))) continue;
    const bool marked = &s == best || selected() == s.step;
    if (dense && !marked) continue;
    paintMarker(painter, kValidation, marked ? 11 : 7, QPointF(x.at(static_cast<double>(s.step)), y.at(panel.value(s))), hue, QPen(color(Role::Surface), 0.8));
  }
  if (!best || !std::isfinite(panel.value(*best))) return;
  const QString text = panel.percent ? percent(panel.value(*best), 2) : significant(panel.value(*best), 3);
  const QFontMetrics metrics(painter.font());
  const double at = x.at(static_cast<double>(best->step)), width = metrics.horizontalAdvance(text) + 10;
  const bool left = at + width > x.to;
  const double height = y.at(panel.value(*best));
  const QRectF box(left ? at - width : at + 10, std::max(height - metrics.height() - 3, y.to), width - 10, metrics.height());
  QColor behind = color(Role::Surface);
  behind.setAlpha(210);   // readable across the training's line
  painter.fillRect(box.adjusted(-2, 0, 2, 0), behind);
  painter.setPen(color(Role::Text));
  painter.drawText(box, Qt::AlignVCenter | Qt::TextDontClip, text);
}

void CurveChart::drawPanel(QPainter& painter, const Panel& panel, const QRectF& area, const AxisMap& x) const {
  const QFontMetrics metrics(painter.font());
  const AxisMap y{panel.low, panel.high, area.bottom(), area.top(), panel.logarithmic};
  const double scale = panel.percent ? 100 : 1;
  painter.setPen(color(Role::Muted));
  painter.drawText(QPointF(kGapLarge, area.top() - kGapSmall - metrics.descent()), panel.title);
  double above = 1e9;
  for (const double tick : axisTicks(panel.low * scale, panel.high * scale, panel.logarithmic)) {
    const double at = std::round(y.at(tick / scale)) + 0.5;
    painter.setPen(QPen(color(Role::Line), 1));
    painter.drawLine(QPointF(area.left(), at), QPointF(area.right(), at));
    if (above - at < metrics.height()) continue;   // in a low panel some ticks go without their number
    above = at;
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(0, at - 9, kLeft - kGap, 18), Qt::AlignRight | Qt::AlignVCenter, tickText(tick));
  }
  painter.save();
  painter.setClipRect(area.adjusted(-6, -8, 6, 8));
  painter.setRenderHint(QPainter::Antialiasing);
  drawTraining(painter, panel, y, x);
  drawValidation(painter, panel, y, x);
  painter.restore();
}

// What all panels share: the steps below, where a run went on, and the step that is looked at.
void CurveChart::drawSteps(QPainter& painter, const Geometry& geometry) const {
  const QFontMetrics metrics(painter.font());
  const double top = geometry.areas.front().top(), bottom = geometry.areas.back().bottom();
  for (const double tick : axisTicks(0, geometry.x.high, false)) {
    const double at = geometry.x.at(tick);
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(at - 40, bottom + 2, 80, metrics.height()), Qt::AlignHCenter | Qt::AlignTop, integer(static_cast<std::int64_t>(tick)));
  }
  painter.drawText(QRectF(0, bottom + 2, kLeft - 16, metrics.height()), Qt::AlignRight | Qt::AlignTop, tr("step"));
  for (const std::int64_t step : m_curve.resumed) {
    const double at = std::round(geometry.x.at(static_cast<double>(step))) + 0.5;
    painter.setPen(QPen(color(Role::LineStrong), 1, Qt::DotLine));
    painter.drawLine(QPointF(at, top), QPointF(at, bottom));
    painter.setPen(color(Role::Muted));
    painter.drawText(QPointF(at + 3, top + metrics.ascent()), tr("resumed"));
  }
  if (!selected()) return;
  const double at = std::round(geometry.x.at(static_cast<double>(*selected()))) + 0.5;
  painter.setPen(QPen(color(Role::Accent), 1));
  painter.drawLine(QPointF(at, top), QPointF(at, bottom));
}

void CurveChart::drawKey(QPainter& painter, double right) const {
  const QFontMetrics metrics(painter.font());
  double x = right;
  const auto entry = [&](int series, const QString& name) {
    x -= metrics.horizontalAdvance(name);
    painter.setPen(color(Role::Muted));
    painter.drawText(QPointF(x, metrics.ascent()), name);
    x -= 22;
    painter.setPen(QPen(Theme::instance().series(series), 1.6));
    painter.drawLine(QPointF(x, metrics.height() / 2.0), QPointF(x + 16, metrics.height() / 2.0));
    if (series == kValidation) paintMarker(painter, series, 7, QPointF(x + 8, metrics.height() / 2.0), Theme::instance().series(series), QPen(color(Role::Surface), 0.8));
    x -= kGapLarge;
  };
  if (selected()) {
    const QString text = textAt(*selected());
    painter.setPen(color(Role::Text));
    x -= metrics.horizontalAdvance(text);
    painter.drawText(QPointF(x, metrics.ascent()), text);
    return;
  }
  if (m_curve.last(true)) entry(kValidation, tr("validation"));
  entry(kTraining, tr("training"));
}

void CurveChart::draw(QPainter& painter, const QSize& size) const {
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  if (m_curve.samples.empty()) {
    painter.setPen(color(Role::Muted));
    painter.drawText(QRect(QPoint(), size), Qt::AlignCenter, tr("The curve begins with the first step."));
    return;
  }
  const Geometry geometry = geometryFor(size);
  for (std::size_t i = 0; i < m_panels.size(); ++i) drawPanel(painter, m_panels[i], geometry.areas[i], geometry.x);
  drawSteps(painter, geometry);
  drawKey(painter, geometry.x.to);
}

const TrainingSample* CurveChart::sampleAt(double pixel, bool validation) const {
  const Geometry geometry = geometryFor(size());
  const TrainingSample* nearest = nullptr;
  double best = 1e300;
  for (const TrainingSample& s : m_curve.samples) {
    const double distance = std::abs(geometry.x.at(static_cast<double>(s.step)) - pixel);
    if (s.validation == validation && distance < best) nearest = &s, best = distance;
  }
  return nearest;
}

QString CurveChart::textAt(std::int64_t step) const {
  QStringList parts{tr("step %1").arg(integer(step))};
  for (const TrainingSample& s : m_curve.samples) {
    if (s.step != step) continue;
    parts << (s.validation ? tr("validation %1") : tr("training %1")).arg(significant(s.loss, 3));
    if (s.validation && s.divergence != 0) parts << tr("divergence %1").arg(significant(s.divergence, 3));
    if (s.validation && s.accuracy) parts << tr("right %1").arg(percent(*s.accuracy, 2));
  }
  return parts.join(QStringLiteral(" · "));
}

void CurveChart::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  const TrainingSample* sample = sampleAt(event->position().x(), m_curve.last(true) != nullptr);
  if (sample) emit chosen(sample->step);
}

bool CurveChart::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return Chart::event(event);
  auto* help = static_cast<QHelpEvent*>(event);
  const TrainingSample* sample = m_curve.samples.empty() ? nullptr : sampleAt(help->pos().x(), false);
  if (sample) QToolTip::showText(help->globalPos(), QStringLiteral("%1\n%2").arg(textAt(sample->step), tr("learning rate %1 · after %2").arg(significant(sample->rate, 3), secondsQuantity(sample->seconds).text())), this);
  else QToolTip::hideText();
  return true;
}

}  // namespace retort::ui
