#include "ui/pages/model/levels_strip.h"

#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>

#include "ui/format.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr int kRow = 20, kHead = 22;
constexpr int kName = 176, kSize = 74, kBits = 44, kMemory = 80, kMachine = 88;

struct Mark {
  QString text;
  Role role;
};

Mark mark_of(Fit fit) {
  switch (fit) {
    case Fit::Fits: return {LevelsStrip::tr("✓ fits"), Role::Good};
    case Fit::Tight: return {LevelsStrip::tr("△ tight"), Role::Warn};
    case Fit::No: return {LevelsStrip::tr("✗ too large"), Role::Bad};
    case Fit::Unknown: break;
  }
  return {QStringLiteral("–"), Role::Faint};
}

}  // namespace

Fit fitOf(std::uint64_t needed, std::uint64_t available) {
  if (needed == 0 || available == 0) return Fit::Unknown;
  const double part = static_cast<double>(needed) / static_cast<double>(available);
  return part <= 0.8 ? Fit::Fits : part <= 1.0 ? Fit::Tight : Fit::No;
}

LevelsStrip::LevelsStrip(QWidget* parent) : QWidget(parent) {
  setAccessibleName(tr("Size of every level and where it fits"));
  setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

QSize LevelsStrip::sizeHint() const {
  return {kName + kSize + kBits + kMemory + kMachine * static_cast<int>(m_machines.size()),
          kHead + kRow * static_cast<int>(std::max<std::size_t>(m_levels.size(), 1))};
}

void LevelsStrip::setLevels(std::vector<LevelRow> levels) {
  m_levels = std::move(levels);
  describe();
  updateGeometry();
  update();
}

void LevelsStrip::setMemory(const MemoryByPart& memory) {
  m_memory = memory;
  describe();
  update();
}

void LevelsStrip::setMachines(std::vector<Machine> machines) {
  m_machines = std::move(machines);
  updateGeometry();
  update();
}

std::uint64_t LevelsStrip::memoryOf(const LevelRow& level) const {
  return m_memory ? level.plan.bytes + m_memory->kv_cache + m_memory->work_space : 0;
}

// The same table in words, for screen readers.
void LevelsStrip::describe() {
  QStringList lines;
  for (const LevelRow& level : m_levels) {
    QString line = QStringLiteral("%1: %2").arg(level.id, bytesQuantity(level.plan.file_bytes).text());
    for (const Machine& machine : m_machines) line += QStringLiteral(", %1 %2").arg(machine.name, mark_of(fitOf(memoryOf(level), machine.available)).text);
    lines << line;
  }
  setAccessibleDescription(lines.join(QStringLiteral("; ")));
}

void LevelsStrip::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const Theme& theme = Theme::instance();
  const QFont small = theme.font(Theme::Size::Small), body = theme.font(Theme::Size::Small, true);
  double y = 0;
  const auto text = [&](double x, double width, const QString& words, Role role, Qt::Alignment align, const QFont& font) {
    painter.setFont(font);
    painter.setPen(color(role));
    painter.drawText(QRectF(x, y, width, kRow), static_cast<int>(align | Qt::AlignVCenter), words);
  };
  const auto right = Qt::AlignRight, left = Qt::AlignLeft;
  text(0, kName, tr("Level"), Role::Muted, left, small);
  text(kName, kSize, tr("Size"), Role::Muted, right, small);
  text(kName + kSize, kBits, tr("Bits"), Role::Muted, right, small);
  text(kName + kSize + kBits, kMemory, tr("Memory"), Role::Muted, right, small);
  const double machines = kName + kSize + kBits + kMemory + kGapLarge;
  for (std::size_t m = 0; m < m_machines.size(); ++m)
    text(machines + static_cast<double>(m) * kMachine, kMachine, m_machines[m].name, Role::Muted, left, small);
  painter.setPen(color(Role::LineStrong));
  painter.drawLine(QPointF(0, kHead - 1.5), QPointF(width(), kHead - 1.5));
  y = kHead;
  for (const LevelRow& level : m_levels) {
    const bool works = level.problem.isEmpty();
    painter.setPen(Qt::NoPen);
    painter.setBrush(theme.bitsColor(level.plan.bits_per_weight));
    painter.drawRoundedRect(QRectF(0, y + 5.5, 9, 9), 2, 2);
    text(15, kName, level.id, works ? Role::Text : Role::Faint, left, body);
    const double after = 15 + QFontMetrics(body).horizontalAdvance(level.id) + kGap;
    text(after, kName - after, QFontMetrics(small).elidedText(level.plain, Qt::ElideRight, static_cast<int>(kName - after)), Role::Muted, left, small);
    if (works) {
      text(kName, kSize, bytesQuantity(level.plan.file_bytes).text(), Role::Text, right, small);
      text(kName + kSize, kBits, QString::number(level.plan.bits_per_weight, 'f', 1), level.fallbacks > 0 ? Role::Warn : Role::Text, right, small);
      const std::uint64_t memory = memoryOf(level);
      text(kName + kSize + kBits, kMemory, memory > 0 ? bytesQuantity(memory).text() : QStringLiteral("–"), Role::Text, right, small);
      for (std::size_t m = 0; m < m_machines.size(); ++m) {
        const Mark mark = mark_of(fitOf(memory, m_machines[m].available));
        text(machines + static_cast<double>(m) * kMachine, kMachine, mark.text, mark.role, left, small);
      }
      const double after_machines = machines + static_cast<double>(m_machines.size()) * kMachine;
      if (level.fallbacks > 0 && width() - after_machines > 90)
        text(after_machines, width() - after_machines, QFontMetrics(small).elidedText(tr("%1 of %2 fall back").arg(level.fallbacks).arg(level.plan.tensors.size()), Qt::ElideRight, static_cast<int>(width() - after_machines)), Role::Warn, left, small);
    } else {
      text(kName, width() - kName, level.problem, Role::Faint, left, small);
    }
    y += kRow;
  }
}

bool LevelsStrip::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const int row = (help->pos().y() - kHead) / kRow;
    if (help->pos().y() < kHead || row >= static_cast<int>(m_levels.size())) {
      QToolTip::hideText();
      return true;
    }
    const LevelRow& level = m_levels[static_cast<std::size_t>(row)];
    QString words = QStringLiteral("%1 · %2\n%3").arg(level.plain, level.id, level.explanation);
    if (level.fallbacks > 0) words += tr("\n%n tensor(s) fall back to a larger type, because their rows do not fill a block.", nullptr, static_cast<int>(level.fallbacks));
    QToolTip::showText(help->globalPos(), words, this);
    return true;
  }
  return QWidget::event(event);
}

}  // namespace retort::ui
