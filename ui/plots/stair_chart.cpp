#include "ui/plots/stair_chart.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <cmath>

#include "ui/format.h"
#include "ui/plots/axis.h"
#include "ui/plots/markers.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr double kScaleWidth = 72;

QString signedBytes(double bytes) {
  const QString text = bytesQuantity(static_cast<std::uint64_t>(std::abs(bytes))).text();
  return (bytes < 0 ? QStringLiteral("−") : QStringLiteral("+")) + text;
}

QString signedNats(double nats) { return (nats < 0 ? QStringLiteral("−") : QStringLiteral("+")) + significant(std::abs(nats), 2); }

}  // namespace

struct StairChart::Geometry {
  QRectF area;
  AxisMap y;
  double width = 0;     // of a tread
  QRectF column(std::size_t i) const { return {area.left() + static_cast<double>(i) * width, area.top(), width, area.height()}; }
};

StairChart::StairChart(QWidget* parent) : Chart(parent) { setMouseTracking(true); }

void StairChart::setTreads(std::vector<StairTread> treads) { setTreads(std::move(treads), {tr("KL divergence, nats"), 1, true}, {}); }

void StairChart::setTreads(std::vector<StairTread> treads, const StairMeasure& measure, const QStringList& facts) {
  m_treads = std::move(treads);
  m_measure = measure;
  m_facts = facts;
  std::vector<double> seen;
  for (const StairTread& tread : m_treads)
    for (const double value : {tread.loss.value, tread.loss.low, tread.loss.high}) seen.push_back(value * measure.scale);
  std::tie(m_low, m_high) = axisRange(seen, measure.logarithmic);
  if (m_measure.scale == 100) m_high = std::min(m_high, 100.0);
  update();
}

// What the lines below the treads are called, the name's own left out.
QStringList StairChart::lineNames() const {
  if (!m_facts.isEmpty()) return QStringList{tr("size")} + m_facts;
  return {tr("size"), tr("step"), tr("costs")};
}

QString StairChart::stepText(std::size_t index) const {
  const StairTread& tread = m_treads[index];
  if (index == 0) return tr("%1: the start, %2").arg(tread.name, bytesQuantity(static_cast<std::uint64_t>(tread.bytes)).text());
  const StairTread& before = m_treads[index - 1];
  QString text = tr("%1 after %2: %3").arg(tread.name, before.name, signedBytes(tread.bytes - before.bytes));
  for (qsizetype i = 0; i < m_facts.size(); ++i) text += QStringLiteral("\n%1: %2").arg(m_facts[i], tread.facts.value(i));
  if (tread.step)
    text += tr(", %1 nats (%2 to %3)%4").arg(signedNats(tread.step->difference), signedNats(tread.step->low), signedNats(tread.step->high),
                                                  tread.step->verdict == Verdict::kCannotTell ? tr(": can't be told apart") : QString());
  return text;
}

ChartTable StairChart::table() const {
  ChartTable table;
  if (!m_facts.isEmpty()) {
    table.header = QStringList{tr("Stage"), tr("Size, MB"), m_measure.title} + m_facts;
    for (const StairTread& tread : m_treads) table.rows.push_back(QStringList{tread.name, significant(tread.bytes * 1e-6, 4), figureText(tread.loss, m_measure.scale)} + tread.facts);
    return table;
  }
  table.header = {tr("Candidate"), tr("Size, MB"), m_measure.title, tr("step, MB"), tr("step, nats"), tr("step low"), tr("step high"), tr("told apart")};
  for (std::size_t i = 0; i < m_treads.size(); ++i) {
    const StairTread& tread = m_treads[i];
    QStringList row{tread.name, significant(tread.bytes * 1e-6, 4), figureText(tread.loss)};
    if (i > 0) row << significant((tread.bytes - m_treads[i - 1].bytes) * 1e-6, 3);
    if (tread.step) row << significant(tread.step->difference, 3) << significant(tread.step->low, 3) << significant(tread.step->high, 3) << (tread.step->verdict == Verdict::kCannotTell ? tr("no") : tr("yes"));
    table.rows.push_back(row);
  }
  return table;
}

std::vector<std::int64_t> StairChart::order() const {
  std::vector<std::int64_t> ids;
  for (const StairTread& tread : m_treads) ids.push_back(tread.id);
  return ids;
}

StairChart::Geometry StairChart::geometryFor(const QSize& size) const {
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small));
  Geometry geometry;
  geometry.area = QRectF(kScaleWidth, kGap + metrics.height(), std::max(60.0, size.width() - kScaleWidth - kGapLarge), std::max(40.0, size.height() - (2.0 + static_cast<double>(lineNames().size())) * metrics.height() - kGap - 4));
  geometry.y = {m_low, m_high, geometry.area.bottom(), geometry.area.top(), m_measure.logarithmic};
  geometry.width = geometry.area.width() / static_cast<double>(std::max<std::size_t>(m_treads.size(), 1));
  return geometry;
}

void StairChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  draw(painter, size());
  drawFocus(painter);
}

void StairChart::drawTo(QPaintDevice* device, const QSize& size) {
  QPainter painter(device);
  draw(painter, size);
}

void StairChart::drawTread(QPainter& painter, const Geometry& geometry, std::size_t index) const {
  const StairTread& tread = m_treads[index];
  const bool chosen = selected() == tread.id;
  const QRectF column = geometry.column(index);
  const double scale = m_measure.scale, y = geometry.y.at(tread.loss.value * scale);
  const QColor hue = Theme::instance().series(tread.series);
  if (chosen) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(color(Role::AccentSoft));
    painter.drawRoundedRect(QRectF(column.left() + 1, column.top() - 2, column.width() - 2, column.height() + 4), 4, 4);
  }
  painter.setBrush(Theme::mix(color(Role::Surface), hue, 0.16));
  painter.setPen(Qt::NoPen);
  painter.drawRect(QRectF(column.left() + 1, y, column.width() - 2, geometry.area.bottom() - y));
  if (index > 0) {
    painter.setPen(tread.warns ? QPen(color(Role::Warn), 2.4) : QPen(color(Role::LineStrong), 1, Qt::DotLine));
    painter.drawLine(QPointF(column.left(), geometry.y.at(m_treads[index - 1].loss.value * scale)), QPointF(column.left(), y));
  }
  painter.setPen(QPen(hue, 2.2));
  painter.drawLine(QPointF(column.left() + 1, y), QPointF(column.right() - 1, y));
  if (tread.loss.high > tread.loss.low) {
    const double middle = column.center().x(), low = geometry.y.at(tread.loss.low * scale), high = geometry.y.at(tread.loss.high * scale);
    painter.setPen(QPen(color(Role::Text), 1));
    painter.drawLine(QPointF(middle, low), QPointF(middle, high));
    for (const double end : {low, high}) painter.drawLine(QPointF(middle - 3, end), QPointF(middle + 3, end));
  }
  paintMarker(painter, tread.series, 9, QPointF(column.center().x(), y), hue, QPen(color(Role::Surface), 0.8));
}

void StairChart::drawTexts(QPainter& painter, const Geometry& geometry, std::size_t index) const {
  const StairTread& tread = m_treads[index];
  const QRectF column = geometry.column(index);
  const bool chosen = selected() == tread.id;
  const QFontMetrics metrics(Theme::instance().font(Theme::Size::Small, chosen));
  const auto line = [&](int row, const QString& text, Role role, bool emphasis) {
    painter.setFont(Theme::instance().font(Theme::Size::Small, emphasis));
    painter.setPen(color(role));
    const int width = static_cast<int>(column.width()) - 2;
    painter.drawText(QRectF(column.left() + 1, geometry.area.bottom() + 3 + row * metrics.height(), width, metrics.height()), Qt::AlignHCenter, metrics.elidedText(text, Qt::ElideRight, width));
  };
  line(0, tread.name, Role::Text, chosen);
  line(1, tread.bytes > 0 ? bytesQuantity(static_cast<std::uint64_t>(tread.bytes)).text() : QStringLiteral("–"), Role::Muted, false);
  for (qsizetype i = 0; i < m_facts.size(); ++i) line(2 + static_cast<int>(i), tread.facts.value(i), Role::Muted, false);
  if (!m_facts.isEmpty()) return;
  if (index == 0) return;
  line(2, signedBytes(tread.bytes - m_treads[index - 1].bytes), Role::Muted, false);
  if (!tread.step) return;
  const bool apart = tread.step->verdict != Verdict::kCannotTell;
  line(3, apart ? signedNats(tread.step->difference) : QStringLiteral("≈"), apart ? tread.step->difference > 0 ? Role::Warn : Role::Good : Role::Muted, false);
}

void StairChart::draw(QPainter& painter, const QSize& size) const {
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  const QFontMetrics metrics(painter.font());
  if (m_treads.empty()) {
    painter.setPen(color(Role::Muted));
    painter.drawText(QRect(QPoint(), size), Qt::AlignCenter, tr("Nothing is measured here yet"));
    return;
  }
  const Geometry geometry = geometryFor(size);
  for (const double tick : axisTicks(m_low, m_high, m_measure.logarithmic)) {
    const double y = std::round(geometry.y.at(tick)) + 0.5;
    painter.setPen(QPen(color(Role::Line), 0.8));
    painter.drawLine(QPointF(geometry.area.left(), y), QPointF(geometry.area.right(), y));
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(0, y - 9, kScaleWidth - kGapSmall, 18), Qt::AlignRight | Qt::AlignVCenter, tickText(tick));
  }
  painter.setPen(color(Role::Muted));
  painter.drawText(QPointF(kGapLarge, metrics.ascent() + 2), m_measure.title);
  const QStringList rows = lineNames();
  for (int row = 0; row < static_cast<int>(rows.size()); ++row)
    painter.drawText(QRectF(0, geometry.area.bottom() + 3 + (row + 1) * metrics.height(), kScaleWidth - kGapSmall, metrics.height()), Qt::AlignRight, metrics.elidedText(rows[row], Qt::ElideRight, static_cast<int>(kScaleWidth) - kGapSmall));
  for (std::size_t i = 0; i < m_treads.size(); ++i) {
    drawTread(painter, geometry, i);
    drawTexts(painter, geometry, i);
  }
}

int StairChart::treadAt(const QPointF& position) const {
  const Geometry geometry = geometryFor(size());
  if (position.x() < geometry.area.left()) return -1;
  const int index = static_cast<int>((position.x() - geometry.area.left()) / geometry.width);
  return index < static_cast<int>(m_treads.size()) ? index : -1;
}

void StairChart::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (const int index = treadAt(event->position()); index >= 0) emit chosen(m_treads[static_cast<std::size_t>(index)].id);
}

bool StairChart::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return Chart::event(event);
  auto* help = static_cast<QHelpEvent*>(event);
  const int index = treadAt(help->pos());
  if (index >= 0) QToolTip::showText(help->globalPos(), stepText(static_cast<std::size_t>(index)), this);
  else QToolTip::hideText();
  return true;
}

}  // namespace retort::ui
