#include "ui/widgets/block_strips.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>

#include "ui/theme.h"

namespace retort::ui {
namespace {
constexpr int kName = 88, kFigure = 118, kRow = 28, kBlock = 20;
}

BlockStrips::BlockStrips(const QString& name, QWidget* parent) : QWidget(parent) {
  setAccessibleName(name);
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void BlockStrips::setRows(std::vector<BlockRow> rows) {
  const bool taller = rows.size() != m_rows.size();
  m_rows = std::move(rows);
  m_row = std::clamp(m_row, 0, std::max(0, static_cast<int>(m_rows.size()) - 1));
  if (!m_rows.empty()) m_block = std::clamp(m_block, 0, std::max(0, static_cast<int>(m_rows[static_cast<std::size_t>(m_row)].kept.size()) - 1));
  if (taller) updateGeometry();
  describe();
  update();
}

QSize BlockStrips::sizeHint() const { return {440, std::max(1, static_cast<int>(m_rows.size())) * kRow}; }
QSize BlockStrips::minimumSizeHint() const { return {280, sizeHint().height()}; }

QRectF BlockStrips::lane(int row) const { return {kName, static_cast<double>(row * kRow + (kRow - kBlock) / 2), static_cast<double>(std::max(40, width() - kName - kFigure)), kBlock}; }

QRectF BlockStrips::cell(int row, int block) const {
  const QRectF all = lane(row);
  const double each = all.width() / static_cast<double>(m_rows[static_cast<std::size_t>(row)].kept.size()), gap = each > 8 ? 2 : each > 4 ? 1 : 0;
  return {all.left() + block * each, all.top(), each - gap, all.height()};
}

int BlockStrips::keptOf(int row) const {
  const auto& kept = m_rows[static_cast<std::size_t>(row)].kept;
  return static_cast<int>(std::count(kept.begin(), kept.end(), true));
}

void BlockStrips::paintBlock(QPainter& painter, int row, int block) const {
  const BlockRow& r = m_rows[static_cast<std::size_t>(row)];
  const bool kept = r.kept[static_cast<std::size_t>(block)], works = r.problem.isEmpty();
  const QRectF area = cell(row, block);
  const QColor hue = works ? Theme::instance().series(0) : color(Role::Faint);
  const QColor fill = Theme::mix(color(Role::Surface), hue, 0.78);
  if (kept) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(r.vague ? QBrush(fill, Qt::BDiagPattern) : QBrush(fill));
  } else {
    painter.setPen(QPen(color(Role::LineStrong), 1, area.width() > 8 ? Qt::DotLine : Qt::SolidLine));
    painter.setBrush(Qt::NoBrush);
  }
  painter.drawRoundedRect(kept ? area : area.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3);
  if (block < static_cast<int>(r.labels.size()) && area.width() >= 18) {
    painter.setPen(kept && !r.vague ? color(Role::Surface) : color(Role::Muted));
    painter.drawText(area, Qt::AlignCenter, r.labels[static_cast<std::size_t>(block)]);
  }
  if (hasFocus() && row == m_row && block == m_block) {
    painter.setPen(QPen(color(Role::Text), 1.4));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(area.adjusted(-1, -1, 1, 1), 4, 4);
  }
}

void BlockStrips::paintRow(QPainter& painter, int row) const {
  const BlockRow& r = m_rows[static_cast<std::size_t>(row)];
  const QFontMetrics metrics(painter.font());
  const QRectF all = lane(row);
  painter.setPen(color(r.problem.isEmpty() ? Role::Text : Role::Faint));
  painter.drawText(QRectF(0, all.top(), kName - kGap, all.height()), Qt::AlignVCenter | Qt::AlignLeft, metrics.elidedText(r.name, Qt::ElideRight, kName - kGap));
  painter.setPen(color(r.problem.isEmpty() ? Role::Text : Role::Faint));
  painter.drawText(QRectF(all.right() + kGap, all.top(), kFigure - kGap, all.height()), Qt::AlignVCenter | Qt::AlignRight, metrics.elidedText(r.figure, Qt::ElideRight, kFigure - kGap));
  for (int block = 0; block < static_cast<int>(r.kept.size()); ++block) paintBlock(painter, row, block);
}

void BlockStrips::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  for (int row = 0; row < static_cast<int>(m_rows.size()); ++row) paintRow(painter, row);
}

// A block of a row without single ones: all up to it stay; a click on the last that stays takes it away too.
void BlockStrips::act(int row, int block) {
  const BlockRow& r = m_rows[static_cast<std::size_t>(row)];
  if (!r.problem.isEmpty()) return;
  if (r.single) emit toggled(row, block);
  else if (block + 1 == keptOf(row)) emit countWanted(row, std::max(1, block));
  else emit countWanted(row, block + 1);
}

void BlockStrips::mousePressEvent(QMouseEvent* event) {
  setFocus(Qt::MouseFocusReason);
  const int row = static_cast<int>(event->position().y()) / kRow;
  if (row >= static_cast<int>(m_rows.size())) return;
  for (int block = 0; block < static_cast<int>(m_rows[static_cast<std::size_t>(row)].kept.size()); ++block) {
    if (!cell(row, block).adjusted(0, -3, 2, 3).contains(event->position())) continue;
    m_row = row;
    m_block = block;
    act(row, block);
    break;
  }
  describe();
  update();
}

void BlockStrips::keyPressEvent(QKeyEvent* event) {
  if (m_rows.empty()) return QWidget::keyPressEvent(event);
  const int blocks = static_cast<int>(m_rows[static_cast<std::size_t>(m_row)].kept.size());
  switch (event->key()) {
    case Qt::Key_Left: m_block = std::max(0, m_block - 1); break;
    case Qt::Key_Right: m_block = std::min(blocks - 1, m_block + 1); break;
    case Qt::Key_Home: m_block = 0; break;
    case Qt::Key_End: m_block = blocks - 1; break;
    case Qt::Key_Up:
    case Qt::Key_Down: {
      const double part = static_cast<double>(m_block) / std::max(1, blocks - 1);
      m_row = std::clamp(m_row + (event->key() == Qt::Key_Down ? 1 : -1), 0, static_cast<int>(m_rows.size()) - 1);
      m_block = static_cast<int>(part * (static_cast<double>(m_rows[static_cast<std::size_t>(m_row)].kept.size()) - 1) + 0.5);
      break;
    }
    case Qt::Key_Space:
    case Qt::Key_Return:
    case Qt::Key_Enter: act(m_row, m_block); break;
    case Qt::Key_Plus:
    case Qt::Key_Minus:
      if (m_rows[static_cast<std::size_t>(m_row)].problem.isEmpty())
        emit countWanted(m_row, std::clamp(keptOf(m_row) + (event->key() == Qt::Key_Plus ? 1 : -1), 1, blocks));
      break;
    default: return QWidget::keyPressEvent(event);
  }
  describe();
  update();
}

void BlockStrips::focusInEvent(QFocusEvent*) { update(); }
void BlockStrips::focusOutEvent(QFocusEvent*) { update(); }

// What a screen reader says of the place that the keyboard stands on.
void BlockStrips::describe() {
  if (m_rows.empty()) return;
  const BlockRow& r = m_rows[static_cast<std::size_t>(m_row)];
  const bool kept = m_block < static_cast<int>(r.kept.size()) && r.kept[static_cast<std::size_t>(m_block)];
  setAccessibleDescription(tr("%1: %2; block %3 %4").arg(r.name, r.figure).arg(m_block + 1).arg(kept ? tr("stays") : tr("is taken away")));
}

bool BlockStrips::event(QEvent* event) {
  if (event->type() != QEvent::ToolTip) return QWidget::event(event);
  auto* help = static_cast<QHelpEvent*>(event);
  const int row = help->pos().y() / kRow;
  if (row >= 0 && row < static_cast<int>(m_rows.size())) {
    const BlockRow& r = m_rows[static_cast<std::size_t>(row)];
    QToolTip::showText(help->globalPos(), r.problem.isEmpty() ? r.hover : r.problem, this);
  } else {
    QToolTip::hideText();
  }
  return true;
}

}  // namespace retort::ui
