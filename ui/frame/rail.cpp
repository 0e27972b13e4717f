#include "ui/frame/rail.h"

#include <QKeyEvent>
#include <QPainter>
#include <QPainterPath>
#include <QVBoxLayout>

#include "ui/theme.h"
#include "ui/widgets/line_text.h"

namespace retort::ui {
namespace {

QString state_name(PageState state) {
  switch (state) {
    case PageState::Empty: return RailButton::tr("empty");
    case PageState::Ready: return RailButton::tr("ready");
    case PageState::Running: return RailButton::tr("running");
    case PageState::Attention: return RailButton::tr("needs attention");
  }
  return {};
}

// Shapes, not only colours: ring, disc, half disc, triangle.
void paint_state(QPainter& painter, PageState state, const QPointF& center) {
  constexpr double r = 3.5;
  painter.setPen(Qt::NoPen);
  switch (state) {
    case PageState::Empty:
      painter.setPen(QPen(color(Role::Faint), 1.2));
      painter.setBrush(Qt::NoBrush);
      painter.drawEllipse(center, r - 0.5, r - 0.5);
      break;
    case PageState::Ready:
      painter.setBrush(color(Role::Good));
      painter.drawEllipse(center, r, r);
      break;
    case PageState::Running: {
      painter.setPen(QPen(color(Role::Accent), 1.2));
      painter.setBrush(Qt::NoBrush);
      painter.drawEllipse(center, r, r);
      painter.setPen(Qt::NoPen);
      painter.setBrush(color(Role::Accent));
      painter.drawPie(QRectF(center.x() - r, center.y() - r, 2 * r, 2 * r), 90 * 16, 180 * 16);
      break;
    }
    case PageState::Attention: {
      QPainterPath path;
      path.moveTo(center + QPointF(0, -4.5));
      path.lineTo(center + QPointF(4.5, 3.5));
      path.lineTo(center + QPointF(-4.5, 3.5));
      path.closeSubpath();
      painter.setBrush(color(Role::Warn));
      painter.drawPath(path);
      break;
    }
  }
}

}  // namespace

RailButton::RailButton(const QString& title, const QString& icon, const QString& key, QWidget* parent)
    : QAbstractButton(parent), m_icon(icon), m_key(key) {
  setText(title);
  setCheckable(true);
  setAutoExclusive(true);
  setFocusPolicy(Qt::StrongFocus);
  setCursor(Qt::PointingHandCursor);
  setAttribute(Qt::WA_Hover);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  setStatus({});
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void RailButton::setStatus(const PageStatus& status) {
  if (m_shown && status.state == m_status.state && status.why == m_status.why) return;   // a run reports ten times a second
  m_shown = true;
  m_status = status;
  setAccessibleName(QStringLiteral("%1, %2").arg(text(), state_name(status.state)));
  setAccessibleDescription(status.why);
  setToolTip(status.why.isEmpty() ? QStringLiteral("%1 (%2)").arg(text(), m_key)
                                  : QStringLiteral("%1 (%2): %3").arg(text(), m_key, status.why));
  update();
}

QSize RailButton::sizeHint() const { return {124, 36}; }

void RailButton::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const QRectF frame = QRectF(rect()).adjusted(kGapSmall + 0.5, 1.5, -kGapSmall - 0.5, -1.5);
  if (isChecked() || underMouse() || isDown()) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(color(isChecked() ? Role::AccentSoft : Role::Hover));
    painter.drawRoundedRect(frame, kRadius, kRadius);
  }
  if (hasFocus()) {
    painter.setPen(QPen(color(Role::Accent), 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(frame, kRadius, kRadius);
  }
  const QColor ink = color(isChecked() ? Role::Accent : Role::Muted);
  const QPixmap icon = Theme::instance().pixmap(m_icon, ink, 18, devicePixelRatioF());
  painter.drawPixmap(QPointF(frame.left() + kGap, frame.center().y() - 9), icon);
  painter.setPen(color(Role::Text));
  drawLine(painter, Theme::instance().font(Theme::Size::Body, isChecked()), frame.adjusted(34, 0, -20, 0), Qt::AlignVCenter | Qt::AlignLeft, text());
  paint_state(painter, m_status.state, QPointF(frame.right() - 12, frame.center().y()));
}

void RailButton::keyPressEvent(QKeyEvent* event) {
  // Arrows walk the rail; the page follows only on Enter or Space, as a button.
  if (event->key() == Qt::Key_Down) {
    focusNextChild();
  } else if (event->key() == Qt::Key_Up) {
    focusPreviousChild();
  } else if (event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) {
    click();
  } else {
    QAbstractButton::keyPressEvent(event);
  }
}

Rail::Rail(const std::vector<PageEntry>& pages, QWidget* parent) : QWidget(parent) {
  setObjectName(QStringLiteral("rail"));
  setAccessibleName(tr("Pages"));
  setAttribute(Qt::WA_StyledBackground);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapSmall, kGap, kGapSmall, kGap);
  column->setSpacing(2);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    auto* button = new RailButton(pages[i].title, pages[i].icon, QStringLiteral("Ctrl+%1").arg(i + 1), this);
    column->addWidget(button);
    m_buttons.push_back(button);
    connect(button, &QAbstractButton::clicked, this, [this, i] { emit chosen(static_cast<int>(i)); });
  }
  column->addStretch();
}

void Rail::setStatus(std::size_t page, const PageStatus& status) { m_buttons[page]->setStatus(status); }

void Rail::setCurrent(int page) {
  for (std::size_t i = 0; i < m_buttons.size(); ++i) {
    // Auto-exclusive buttons refuse to be all off; the start page needs that.
    m_buttons[i]->setAutoExclusive(false);
    m_buttons[i]->setChecked(static_cast<int>(i) == page);
    m_buttons[i]->setAutoExclusive(true);
  }
}

}  // namespace retort::ui
