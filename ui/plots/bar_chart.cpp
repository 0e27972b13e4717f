#include "ui/plots/bar_chart.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>
#include <numeric>

#include "ui/plots/markers.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr int kRow = 20, kLeastRow = 15;
constexpr int kKeyHeight = 20;

double total(const BarRow& row) { return std::accumulate(row.parts.begin(), row.parts.end(), 0.0); }

// Stacked parts are shades of one hue and separated by a gap, so they read without colour.
QColor partColor(const BarRow& row, std::size_t part) {
  return Theme::mix(Theme::instance().series(row.series), color(Role::Surface), 0.34 * static_cast<double>(part));
}

}  // namespace

BarChart::BarChart(QWidget* parent) : Chart(parent) { setMouseTracking(true); }

void BarChart::setRows(std::vector<BarRow> rows) {
  m_rows = std::move(rows);
  m_scroll = std::clamp(m_scroll, 0, std::max(0, contentHeight(height()) - height()));
  updateGeometry();
  update();
}
void BarChart::setParts(const QStringList& names) { m_parts = names; update(); }
void BarChart::setNamesShown(bool on) {
  m_names = on;
  update();
}
void BarChart::setScroll(int pixels) {
  const int now = std::clamp(pixels, 0, std::max(0, contentHeight(height()) - height()));
  if (now == m_scroll) return;
  m_scroll = now;
  update();
  emit scrolled(now);
}
void BarChart::setMeasure(const QString& measure) { m_measure = measure; }

ChartTable BarChart::table() const {
  ChartTable table;
  table.header << tr("Candidate");
  if (m_parts.size() > 1) table.header << m_parts;
  table.header << m_measure;
  for (const BarRow& row : m_rows) {
    QStringList cells{row.name};
    if (m_parts.size() > 1)
      for (qsizetype i = 0; i < m_parts.size(); ++i)
        cells << (static_cast<std::size_t>(i) < row.parts.size() ? QString::number(row.parts[static_cast<std::size_t>(i)]) : QString());
    cells << row.text;
    table.rows.push_back(cells);
  }
  return table;
}

std::vector<std::int64_t> BarChart::order() const {
  std::vector<std::int64_t> ids;
  for (const BarRow& row : m_rows) ids.push_back(row.id);
  return ids;
}

// Rows move together before the chart scrolls. The key's height counts in every chart, so that charts side by side agree.
int BarChart::rowHeight(int height) const {
  const int room = height - 2 * kGapSmall - kKeyHeight;
  return m_rows.empty() ? kRow : std::clamp(room / static_cast<int>(m_rows.size()), kLeastRow, kRow);
}
int BarChart::contentHeight(int height) const { return static_cast<int>(m_rows.size()) * rowHeight(height) + 2 * kGapSmall + kKeyHeight; }
QSize BarChart::sizeHint() const { return {280, std::min(contentHeight(320), 320)}; }

void BarChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  draw(painter, size(), m_scroll);
}

// A saved picture stands alone: it has the names.
void BarChart::drawTo(QPaintDevice* device, const QSize& size) {
  QPainter painter(device);
  const bool shown = std::exchange(m_names, true);
  draw(painter, size, 0);
  m_names = shown;
}

void BarChart::draw(QPainter& painter, const QSize& size, int scroll) const {
  painter.setRenderHint(QPainter::Antialiasing);
  const QFont font = Theme::instance().font(Theme::Size::Small);
  const QFontMetrics metrics(font);
  double largest = 0;
  int names = 0, texts = 0;
  for (const BarRow& row : m_rows) {
    largest = std::max({largest, total(row), row.high, row.marker.value_or(0)});
    names = std::max(names, metrics.horizontalAdvance(row.name));
    texts = std::max(texts, metrics.horizontalAdvance(row.text));
  }
  names = std::min(names, size.width() * 2 / 5);
  const int left = m_names ? kGapLarge + 14 + names + kGap : kGap, right = size.width() - kGapLarge - texts - kGap;
  const double scale = largest > 0 ? std::max(8, right - left) / largest : 0;
  const int bottom = size.height() - (m_parts.size() > 1 ? kKeyHeight : 0);
  painter.save();
  painter.setClipRect(QRect(0, 0, size.width(), bottom));
  const int rowPixels = rowHeight(size.height());
  int y = kGapSmall - scroll;
  for (const BarRow& row : m_rows) {
    const QRect line(m_names ? kGap : 0, y, size.width() - (m_names ? kGap : 0) - kGap, rowPixels);
    const bool chosen = selected() == row.id;
    if (chosen) {
      painter.setPen(hasFocus() ? QPen(color(Role::Accent)) : Qt::NoPen);
      painter.setBrush(color(Role::AccentSoft));
      painter.drawRoundedRect(QRectF(line).adjusted(0.5, 1, -0.5, -1), 4, 4);
    }
    const double middle = y + rowPixels / 2.0;
    if (m_names) {
      paintMarker(painter, row.series, 8, QPointF(kGapLarge + 4, middle), Theme::instance().series(row.series), Qt::NoPen);
      painter.setFont(Theme::instance().font(Theme::Size::Small, chosen));
      painter.setPen(color(Role::Text));
      painter.drawText(QRect(kGapLarge + 14, y, names + kGapSmall, rowPixels), Qt::AlignVCenter, QFontMetrics(painter.font()).elidedText(row.name, Qt::ElideRight, names + kGapSmall));
    }
    double x = left;
    for (std::size_t part = 0; part < row.parts.size(); ++part) {
      const double width = row.parts[part] * scale;
      painter.fillRect(QRectF(x, middle - 5, std::max(0.0, width - (part + 1 < row.parts.size() ? 1 : 0)), 10), partColor(row, part));
      x += width;
    }
    painter.setPen(QPen(color(Role::Text), 1));
    if (row.high > 0) {
      const double from = left + row.low * scale, to = left + row.high * scale;
      painter.drawLine(QPointF(from, middle), QPointF(to, middle));
      for (const double end : {from, to}) painter.drawLine(QPointF(end, middle - 3), QPointF(end, middle + 3));
    }
    if (row.marker) {
      painter.setPen(QPen(color(Role::Text), 1.5, Qt::DotLine));
      painter.drawLine(QPointF(left + *row.marker * scale, middle - rowPixels * 0.4), QPointF(left + *row.marker * scale, middle + rowPixels * 0.4));
    }
    painter.setFont(font);
    painter.setPen(color(row.parts.empty() ? Role::Muted : Role::Text));
    painter.drawText(QRect(size.width() - kGapLarge - texts - kGapSmall, y, texts + kGapSmall, rowPixels), Qt::AlignVCenter | Qt::AlignRight, row.text);
    y += rowPixels;
  }
  painter.restore();
  if (m_parts.size() > 1) {
    painter.setFont(font);
    int wanted = 0;
    for (const QString& part : m_parts) wanted += 14 + metrics.horizontalAdvance(part);
    const auto gaps = static_cast<int>(m_parts.size());
    const int gap = std::clamp((size.width() - kGap - wanted) / gaps, 4, kGapLarge);
    int x = m_names ? kGapLarge : kGapSmall;
    for (qsizetype i = 0; i < m_parts.size(); ++i) {
      painter.fillRect(QRect(x, bottom + 6, 10, 8), Theme::mix(color(Role::Muted), color(Role::Surface), 0.34 * static_cast<double>(i)));
      painter.setPen(color(Role::Muted));
      painter.drawText(QPoint(x + 14, bottom + 14), m_parts[i]);
      x += 14 + metrics.horizontalAdvance(m_parts[i]) + gap;
    }
  }
}

int BarChart::rowAt(const QPoint& position) const {
  const int row = (position.y() + m_scroll - kGapSmall) / rowHeight(height());
  return row >= 0 && row < static_cast<int>(m_rows.size()) ? row : -1;
}

void BarChart::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  if (const int row = rowAt(event->position().toPoint()); row >= 0) emit chosen(m_rows[static_cast<std::size_t>(row)].id);
}

void BarChart::wheelEvent(QWheelEvent* event) {
  const int limit = std::max(0, contentHeight(height()) - height());
  if (limit == 0) return event->ignore();
  setScroll(m_scroll - event->angleDelta().y() / 4);
}

bool BarChart::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const int row = rowAt(help->pos());
    if (row >= 0) QToolTip::showText(help->globalPos(), m_rows[static_cast<std::size_t>(row)].hover, this);
    else QToolTip::hideText();
    return true;
  }
  return Chart::event(event);
}

}  // namespace retort::ui
