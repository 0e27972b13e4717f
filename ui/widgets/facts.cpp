#include "ui/widgets/facts.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QFontMetrics>
#include <QHelpEvent>
#include <QMenu>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "ui/theme.h"
#include "ui/widgets/line_text.h"

namespace retort::ui {
namespace {

constexpr int kBetween = 3;       // pixels between rows
constexpr int kLeastValue = 72;   // of a value's column, before names give way

Role inkOf(Tone tone) {
  switch (tone) {
    case Tone::Muted: return Role::Muted;
    case Tone::Good: return Role::Good;
    case Tone::Warn: return Role::Warn;
    case Tone::Bad: return Role::Bad;
    case Tone::Normal: break;
  }
  return Role::Text;
}

int advance(const QFontMetrics& metrics, const QString& value, const QString& unit) {
  return metrics.horizontalAdvance(value) + (unit.isEmpty() ? 0 : kGapSmall + metrics.horizontalAdvance(unit));
}

QString joined(const QString& value, const QString& unit) { return unit.isEmpty() ? value : value + QChar(0x202f) + unit; }

}  // namespace

FactGrid::FactGrid(QWidget* parent, Values values) : QWidget(parent), m_values(values) {
  QSizePolicy policy(values == Values::Right ? QSizePolicy::Preferred : QSizePolicy::Expanding, QSizePolicy::Minimum);
  policy.setHeightForWidth(true);
  setSizePolicy(policy);
  setAccessibleName(tr("Figures"));
  connect(&Theme::instance(), &Theme::changed, this, &FactGrid::changed);
}

void FactGrid::clear() {
  if (m_rows.empty()) return;
  m_rows.clear();
  changed();
}

void FactGrid::add(const QString& what, const Quantity& value, const QString& hover, Tone tone) {
  m_rows.push_back({what, value.value, value.unit, hover, tone});
  setAccessibleDescription(text());
  changed();
}

void FactGrid::add(const QString& what, const QString& value, const QString& hover, Tone tone) {
  add(what, Quantity{value, {}}, hover, tone);
}

QString FactGrid::valueOf(const QString& what) const {
  for (const Row& row : m_rows)
    if (row.what == what) return joined(row.value, row.unit);
  return {};
}

QString FactGrid::text() const {
  QStringList lines;
  for (const Row& row : m_rows) lines << row.what + QLatin1Char('\t') + joined(row.value, row.unit);
  return lines.join(QLatin1Char('\n'));
}

// A row is one line where name and value fit beside each other; else both wrap, the name in at most half the width.
// With values beside names, all values begin at one place.
std::vector<FactGrid::Place> FactGrid::computePlaces(int width) const {
  const QFontMetrics metrics(Theme::instance().font());
  const bool right = m_values == Values::Right;
  int names = 0;
  for (const Row& row : m_rows) names = std::max(names, metrics.horizontalAdvance(row.what) + 1);
  std::vector<Place> places;
  int y = 0;
  for (const Row& row : m_rows) {
    const int own = metrics.horizontalAdvance(row.what) + 1, value = advance(metrics, row.value, row.unit);
    int left = right ? own : names;
    if (left + kGap + value > width) left = std::min(left, std::max(width / 2, width - kGap - value));
    const int room = std::max(kLeastValue, width - left - (right ? kGap : kGapLarge));
    int height = metrics.height();
    if (value > room) height = std::max(height, metrics.boundingRect(QRect(0, 0, room, 10000), Qt::TextWordWrap, joined(row.value, row.unit)).height());
    if (own > left) height = std::max(height, metrics.boundingRect(QRect(0, 0, left, 10000), Qt::TextWordWrap, row.what).height());
    places.push_back({QRect(0, y, left, height), QRect(width - room, y, room, height)});
    y += height + kBetween;
  }
  return places;
}

const std::vector<FactGrid::Place>& FactGrid::layOut(int width) const {
  if (width != m_placesWidth) {
    m_places = computePlaces(width);
    m_placesWidth = width;
  }
  return m_places;
}

void FactGrid::changed() {
  m_placesWidth = -1;
  updateGeometry();
  update();
}

QSize FactGrid::sizeHint() const {
  const QFontMetrics metrics(Theme::instance().font());
  int widest = 120;
  for (const Row& row : m_rows)
    widest = std::max(widest, metrics.horizontalAdvance(row.what) + kGapLarge + advance(metrics, row.value, row.unit));
  widest = std::min(widest, 420);
  return {widest, heightForWidth(widest)};
}

QSize FactGrid::minimumSizeHint() const { return {140, heightForWidth(std::max(width(), 140))}; }

int FactGrid::heightForWidth(int width) const {
  const auto& places = layOut(width);
  return places.empty() ? 0 : places.back().name.bottom() + 1;
}

void FactGrid::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  const QFont font = Theme::instance().font();
  const QFontMetrics metrics(font);
  painter.setFont(font);
  const auto& places = layOut(width());
  const bool right = m_values == Values::Right;
  for (std::size_t i = 0; i < m_rows.size(); ++i) {
    const Row& row = m_rows[i];
    const Place& place = places[i];
    if (!place.name.united(place.value).intersects(event->rect())) continue;
    painter.setPen(color(Role::Muted));
    if (lineWidth(font, row.what) <= place.name.width()) drawLine(painter, font, place.name, Qt::AlignLeft | Qt::AlignTop, row.what);
    else painter.drawText(place.name, Qt::AlignLeft | Qt::AlignTop | Qt::TextWordWrap, row.what);
    const QColor ink = color(inkOf(row.tone));
    const int all = advance(metrics, row.value, row.unit);
    if (all <= place.value.width()) {
      const double start = right ? place.value.right() + 1 - all : place.value.left();
      const double unitStart = start + std::ceil(lineWidth(font, row.value)) + kGapSmall;
      painter.setPen(ink);
      drawLine(painter, font, QRectF(start, place.value.top(), 2000, metrics.height()), Qt::AlignLeft | Qt::AlignTop, row.value);
      painter.setPen(color(Role::Muted));
      drawLine(painter, font, QRectF(unitStart, place.value.top(), 2000, metrics.height()), Qt::AlignLeft | Qt::AlignTop, row.unit);
      continue;
    }
    painter.setFont(font);
    painter.setPen(ink);
    // One long word (a digest, a path) has no place to break: its middle goes.
    QString text = joined(row.value, row.unit);
    if (!text.contains(QLatin1Char(' '))) text = metrics.elidedText(text, Qt::ElideMiddle, place.value.width());
    painter.drawText(place.value, static_cast<int>(Qt::AlignTop | (right ? Qt::AlignRight : Qt::AlignLeft)) | Qt::TextWordWrap, text);
  }
}

int FactGrid::rowAt(const QPoint& position) const {
  const auto& places = layOut(width());
  for (std::size_t i = 0; i < places.size(); ++i)
    if (position.y() >= places[i].name.top() && position.y() <= places[i].name.bottom()) return static_cast<int>(i);
  return -1;
}

bool FactGrid::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const int row = rowAt(help->pos());
    const QString hover = row < 0 ? QString() : m_rows[static_cast<std::size_t>(row)].hover;
    if (hover.isEmpty()) QToolTip::hideText();
    else QToolTip::showText(help->globalPos(), hover, this);
    return true;
  }
  return QWidget::event(event);
}

void FactGrid::contextMenuEvent(QContextMenuEvent* event) {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  const auto copy = [this, menu](const QString& name, const QString& text) {
    connect(menu->addAction(name), &QAction::triggered, this, [text] { QApplication::clipboard()->setText(text); });
  };
  if (const int row = rowAt(event->pos()); row >= 0) {
    const Row& chosen = m_rows[static_cast<std::size_t>(row)];
    copy(tr("Copy %1").arg(joined(chosen.value, chosen.unit)), joined(chosen.value, chosen.unit));
  }
  copy(tr("Copy all"), text());
  menu->popup(event->globalPos());
}

}  // namespace retort::ui
