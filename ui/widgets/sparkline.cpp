#include "ui/widgets/sparkline.h"

#include <algorithm>
#include <cmath>

namespace retort::ui {

void paintBars(QPainter& painter, const QRectF& area, const std::vector<double>& values, const QColor& ink, bool logarithmic) {
  if (values.empty()) return;
  const auto height = [&](double v) { return logarithmic ? std::log1p(std::max(0.0, v)) : std::max(0.0, v); };
  double highest = 0;
  for (const double v : values) highest = std::max(highest, height(v));
  if (highest <= 0) return;
  const double step = area.width() / static_cast<double>(values.size());
  const double gap = step >= 4 ? 1 : 0;
  painter.setPen(Qt::NoPen);
  painter.setBrush(ink);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] <= 0) continue;
    const double h = std::max(1.0, height(values[i]) / highest * area.height());
    painter.drawRect(QRectF(area.left() + static_cast<double>(i) * step, area.bottom() - h, std::max(0.8, step - gap), h));
  }
}

Sparkline::Sparkline(const QString& name, QWidget* parent) : QWidget(parent) {
  setAccessibleName(name);
  setMinimumHeight(72);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void Sparkline::setValues(std::vector<double> values, const QString& from, const QString& to, bool logarithmic) {
  m_values = std::move(values);
  m_from = from;
  m_to = to;
  m_logarithmic = logarithmic;
  setAccessibleDescription(QStringLiteral("%1 … %2").arg(from, to));
  update();
}

void Sparkline::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const QFont font = Theme::instance().font(Theme::Size::Small);
  const int under = m_from.isEmpty() && m_to.isEmpty() ? 0 : QFontMetrics(font).height() + 2;
  const QRectF area = QRectF(rect()).adjusted(0, 2, 0, -under);
  paintBars(painter, area, m_values, Theme::instance().series(0), m_logarithmic);
  painter.setPen(color(Role::Line));
  painter.drawLine(QPointF(area.left(), area.bottom() + 0.5), QPointF(area.right(), area.bottom() + 0.5));
  painter.setFont(font);
  painter.setPen(color(Role::Muted));
  const QRectF text(0, area.bottom() + 2, width(), under);
  painter.drawText(text, Qt::AlignLeft | Qt::AlignTop, m_from);
  painter.drawText(text, Qt::AlignRight | Qt::AlignTop, m_to);
}

}  // namespace retort::ui
