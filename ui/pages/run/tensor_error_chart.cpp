#include "ui/pages/run/tensor_error_chart.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

// The next of 1, 2, 5 · 10ⁿ at or above the value.
double round_up(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(std::max(value, 1e-6))));
  for (const double step : {1.0, 2.0, 5.0, 10.0})
    if (value <= step * unit) return step * unit;
  return 10 * unit;
}

}  // namespace

TensorErrorChart::TensorErrorChart(Selection& selection, QWidget* parent) : QWidget(parent), m_selection(selection) {
  setFocusPolicy(Qt::StrongFocus);
  setMinimumHeight(120);
  setAccessibleName(tr("Relative error per tensor"));
  connect(&selection, &Selection::changed, this, [this] { update(); });
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void TensorErrorChart::setErrors(std::vector<TensorError> errors, int expected) {
  m_errors = std::move(errors);
  m_expected = std::max(expected, static_cast<int>(m_errors.size()));
  double top = 0;
  for (const TensorError& error : m_errors) top = std::max(top, error.error);
  m_top = round_up(std::max(top, 0.001));
  setAccessibleDescription(tr("%n tensor(s), largest error %1", nullptr, static_cast<int>(m_errors.size())).arg(percent(top, 2)));
  update();
}

QRectF TensorErrorChart::plot() const { return QRectF(rect()).adjusted(52, 6, -4, -18); }

int TensorErrorChart::barAt(const QPointF& position) const {
  const QRectF area = plot();
  if (m_expected == 0 || position.x() < area.left()) return -1;
  const int bar = static_cast<int>((position.x() - area.left()) / area.width() * m_expected);
  return bar < static_cast<int>(m_errors.size()) ? bar : -1;
}

void TensorErrorChart::choose(int bar) {
  if (bar >= 0 && bar < static_cast<int>(m_errors.size())) m_selection.setTensor(m_errors[static_cast<std::size_t>(bar)].name);
}

void TensorErrorChart::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const QRectF area = plot();
  const Theme& theme = Theme::instance();
  painter.setFont(theme.font(Theme::Size::Small));
  for (int i = 0; i <= 2; ++i) {
    const double y = std::round(area.bottom() - area.height() * i / 2) + 0.5;
    painter.setPen(color(Role::Line));
    painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y));
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(0, y - 8, area.left() - 6, 16), Qt::AlignRight | Qt::AlignVCenter, percent(m_top * i / 2, m_top < 0.02 ? 2 : 1));
  }
  painter.drawText(QRectF(area.left(), area.bottom() + 2, area.width(), 16), Qt::AlignLeft, tr("first tensor"));
  painter.drawText(QRectF(area.left(), area.bottom() + 2, area.width(), 16), Qt::AlignRight, tr("last tensor"));
  if (m_expected == 0) return;
  const double step = area.width() / m_expected;
  painter.setPen(Qt::NoPen);
  for (std::size_t i = 0; i < m_errors.size(); ++i) {
    const TensorError& error = m_errors[i];
    const double height = std::max(1.0, error.error / m_top * area.height());
    const QRectF bar(area.left() + step * static_cast<double>(i), area.bottom() - height, std::max(1.0, step - (step > 3 ? 1 : 0)), height);
    painter.fillRect(bar, error.name == m_selection.tensor() ? color(Role::Text) : theme.bitsColor(error.bits));
  }
  if (hasFocus()) {
    painter.setPen(color(Role::Accent));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
  }
}

void TensorErrorChart::mousePressEvent(QMouseEvent* event) { choose(barAt(event->position())); }

void TensorErrorChart::keyPressEvent(QKeyEvent* event) {
  const auto at = std::find_if(m_errors.begin(), m_errors.end(), [this](const TensorError& e) { return e.name == m_selection.tensor(); });
  const int current = at == m_errors.end() ? -1 : static_cast<int>(at - m_errors.begin());
  const int last = static_cast<int>(m_errors.size()) - 1;
  switch (event->key()) {
    case Qt::Key_Right: return choose(std::min(current + 1, last));
    case Qt::Key_Left: return choose(std::max(current - 1, 0));
    case Qt::Key_Home: return choose(0);
    case Qt::Key_End: return choose(last);
    default: QWidget::keyPressEvent(event);
  }
}

bool TensorErrorChart::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const int bar = barAt(help->pos());
    if (bar < 0) {
      QToolTip::hideText();
    } else {
      const TensorError& error = m_errors[static_cast<std::size_t>(bar)];
      QToolTip::showText(help->globalPos(), QStringLiteral("%1\n%2 · %3").arg(error.name, error.type, percent(error.error, 3)), this);
    }
    return true;
  }
  return QWidget::event(event);
}

}  // namespace retort::ui
