#include "ui/plots/profile_chart.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/plots/axis.h"
#include "ui/plots/markers.h"
#include "ui/theme.h"

namespace retort::ui {

struct ProfileChart::Geometry {
  QRectF area;
  AxisMap y;
  double x(std::size_t category, std::size_t count) const {
    return count < 2 ? area.center().x() : area.left() + area.width() * (0.06 + 0.88 * static_cast<double>(category) / static_cast<double>(count - 1));
  }
};

ProfileChart::ProfileChart(QWidget* parent) : Chart(parent) { setMouseTracking(true); }

void ProfileChart::setLines(QStringList categories, std::vector<ProfileLine> lines, const QString& measure, double scale, bool logarithmic) {
  m_categories = std::move(categories);
  m_lines = std::move(lines);
  m_measure = measure;
  m_scale = scale;
  m_logarithmic = logarithmic;
  std::vector<double> seen;
  for (const ProfileLine& line : m_lines)
    for (const auto& value : line.values)
      if (value) seen.insert(seen.end(), {value->value * scale, value->low * scale, value->high * scale});
  std::tie(m_low, m_high) = axisRange(seen, logarithmic);
  update();
}

ChartTable ProfileChart::table() const {
  ChartTable table;
  table.header << tr("Candidate");
  for (const QString& category : m_categories) table.header << category;
  for (const ProfileLine& line : m_lines) {
    QStringList cells{line.name};
    for (const auto& value : line.values) cells << (value ? figureText(*value, m_scale) : QString());
    table.rows.push_back(cells);
  }
  return table;
}

std::vector<std::int64_t> ProfileChart::order() const {
  std::vector<std::int64_t> ids;
  for (const ProfileLine& line : m_lines) ids.push_back(line.id);
  return ids;
}

ProfileChart::Geometry ProfileChart::geometryFor(const QSize& size) const {
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
  int names = 0;
  for (const ProfileLine& line : m_lines) names = std::max(names, metrics.horizontalAdvance(line.name));
  Geometry geometry;
  geometry.area = QRectF(72, kGap + metrics.height(), std::max(80, size.width() - 72 - names - 2 * kGapLarge - kGap), std::max(40, size.height() - kGap - 3 * metrics.height() - kGap));
  geometry.y = {m_low, m_high, geometry.area.bottom(), geometry.area.top(), m_logarithmic};
  return geometry;
}

void ProfileChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  draw(painter, size());
  drawFocus(painter);
}

void ProfileChart::drawTo(QPaintDevice* device, const QSize& size) {
  QPainter painter(device);
  draw(painter, size);
}

void ProfileChart::drawAxes(QPainter& painter, const Geometry& geometry) const {
  const QFontMetrics metrics(painter.font());
  for (const double tick : axisTicks(m_low, m_high, m_logarithmic)) {
    const double y = std::round(geometry.y.at(tick)) + 0.5;
    painter.setPen(QPen(color(Role::Line), 0.8));
    painter.drawLine(QPointF(geometry.area.left(), y), QPointF(geometry.area.right(), y));
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(0, y - 9, geometry.area.left() - kGapSmall, 18), Qt::AlignRight | Qt::AlignVCenter, tickText(tick));
  }
  painter.setPen(color(Role::Muted));
  painter.drawText(QPointF(kGapLarge, metrics.ascent() + 2), m_measure);
  const auto count = static_cast<std::size_t>(m_categories.size());
  const double width = geometry.area.width() / static_cast<double>(std::max<std::size_t>(count, 1));
  for (std::size_t i = 0; i < count; ++i)
    painter.drawText(QRectF(geometry.x(i, count) - width / 2, geometry.area.bottom() + kGapSmall, width, 2 * metrics.height()), Qt::AlignHCenter | Qt::AlignTop | Qt::TextWordWrap, m_categories[static_cast<qsizetype>(i)]);
}

void ProfileChart::drawLine(QPainter& painter, const Geometry& geometry, const ProfileLine& line) const {
  const bool chosen = selected() == line.id, others = selected().has_value() && !chosen;
  const QColor hue = others ? Theme::mix(Theme::instance().series(line.series), color(Role::Surface), 0.45) : Theme::instance().series(line.series);
  QPolygonF points;
  for (std::size_t i = 0; i < line.values.size(); ++i)
    if (line.values[i]) points << QPointF(geometry.x(i, line.values.size()), geometry.y.at(line.values[i]->value * m_scale));
  painter.setPen(QPen(hue, chosen ? 2.4 : 1.4, Theme::lineStyle(line.series)));
  painter.setBrush(Qt::NoBrush);
  painter.drawPolyline(points);
  for (std::size_t i = 0; i < line.values.size(); ++i) {
    if (!line.values[i]) continue;
    const QPointF at(geometry.x(i, line.values.size()), geometry.y.at(line.values[i]->value * m_scale));
    if (chosen) {
      painter.setPen(QPen(hue, 1.4));
      const double low = geometry.y.at(line.values[i]->low * m_scale), high = geometry.y.at(line.values[i]->high * m_scale);
      painter.drawLine(QPointF(at.x(), low), QPointF(at.x(), high));
      for (const double end : {low, high}) painter.drawLine(QPointF(at.x() - 4, end), QPointF(at.x() + 4, end));
    }
    paintMarker(painter, line.series, chosen ? 11 : 8, at, hue, QPen(color(Role::Surface), 0.8));
  }
}

// Names at the ends of their lines, moved apart where they would cover each other.
void ProfileChart::drawNames(QPainter& painter, const Geometry& geometry) const {
  struct Name {
    const ProfileLine* line;
    double y;
  };
  std::vector<Name> names;
  for (const ProfileLine& line : m_lines)
    if (!line.values.empty() && line.values.back()) names.push_back({&line, geometry.y.at(line.values.back()->value * m_scale)});
  std::stable_sort(names.begin(), names.end(), [](const Name& a, const Name& b) { return a.y < b.y; });
  const QFontMetrics metrics(painter.font());
  const double step = metrics.height() - 1;
  std::vector<double> wanted;
  for (const Name& name : names) wanted.push_back(name.y);
  const std::vector<double> placed = spreadApart(wanted, step, geometry.area.top(), geometry.area.bottom() + step);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const ProfileLine& line = *names[i].line;
    const bool chosen = selected() == line.id;
    const double x = geometry.x(line.values.size() - 1, line.values.size());
    painter.setPen(QPen(color(Role::LineStrong), 0.8));
    if (std::abs(placed[i] - names[i].y) > 3) painter.drawLine(QPointF(x + 7, names[i].y), QPointF(geometry.area.right() + 2, placed[i]));
    painter.setFont(Theme::instance().font(Theme::Size::Small, chosen));
    painter.setPen(color(selected() && !chosen ? Role::Muted : Role::Text));
    painter.drawText(QPointF(geometry.area.right() + kGapSmall, placed[i] + metrics.ascent() / 2.0 - 1), line.name);
  }
}

void ProfileChart::draw(QPainter& painter, const QSize& size) const {
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  if (m_lines.empty() || m_categories.isEmpty()) {
    painter.setPen(color(Role::Muted));
    painter.drawText(QRect(QPoint(), size), Qt::AlignCenter, tr("Nothing is measured here yet"));
    return;
  }
  const Geometry geometry = geometryFor(size);
  drawAxes(painter, geometry);
  for (const ProfileLine& line : m_lines)
    if (selected() != line.id) drawLine(painter, geometry, line);
  for (const ProfileLine& line : m_lines)
    if (selected() == line.id) drawLine(painter, geometry, line);
  drawNames(painter, geometry);
}

const ProfileLine* ProfileChart::lineAt(const QPointF& position, int* category) const {
  const Geometry geometry = geometryFor(size());
  const ProfileLine* nearest = nullptr;
  double best = 16;
  for (const ProfileLine& line : m_lines)
    for (std::size_t i = 0; i < line.values.size(); ++i) {
      if (!line.values[i]) continue;
      const double distance = std::hypot(geometry.x(i, line.values.size()) - position.x(), geometry.y.at(line.values[i]->value * m_scale) - position.y());
      if (distance >= best) continue;
      best = distance;
      nearest = &line;
      if (category) *category = static_cast<int>(i);
    }
  return nearest;
}

void ProfileChart::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (const ProfileLine* line = lineAt(event->position())) emit chosen(line->id);
}

bool ProfileChart::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return Chart::event(event);
  auto* help = static_cast<QHelpEvent*>(event);
  int category = 0;
  const ProfileLine* line = lineAt(help->pos(), &category);
  if (line) QToolTip::showText(help->globalPos(), QStringLiteral("%1 · %2: %3").arg(line->name, m_categories.value(category), figureText(*line->values[static_cast<std::size_t>(category)], m_scale)), this);
  else QToolTip::hideText();
  return true;
}

}  // namespace retort::ui
