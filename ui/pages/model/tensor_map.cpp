#include "ui/pages/model/tensor_map.h"

#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <map>

#include "ui/format.h"
#include "ui/pages/model/outlier_colors.h"
#include "ui/theme.h"

namespace retort::ui {

TensorMap::TensorMap(Selection& selection, const QString& name, QWidget* parent) : QWidget(parent), m_selection(selection) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setMinimumSize(360, 220);
  setAccessibleName(name);
  connect(&selection, &Selection::changed, this, [this] { update(); });
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void TensorMap::setColouring(Colouring colouring) {
  m_colouring = colouring;
  update();
}

void TensorMap::setOutliers(const OutlierMarks& marks) {
  m_outliers = marks;
  update();
}

QColor TensorMap::colorOf(const Cell& cell) const {
  if (m_colouring == Colouring::Type) return Theme::instance().bitsColor(cell.bits);
  return cell.tensor < m_outliers.size() ? outlierColor(m_outliers[cell.tensor].farthest) : outlierColor(-1);
}

int TensorMap::cellAt(const QPointF& position) const {
  for (std::size_t i = 0; i < m_cells.size(); ++i)
    if (m_cells[i].area.contains(position)) return static_cast<int>(i);
  return -1;
}

int TensorMap::selectedCell() const {
  if (m_selection.tensor().isEmpty()) return -1;
  for (std::size_t i = 0; i < m_cells.size(); ++i)
    if (tensors()[m_cells[i].tensor].name == m_selection.tensor()) return static_cast<int>(i);
  return -1;
}

void TensorMap::choose(int cell) {
  if (cell < 0) return;
  const Cell& chosen = m_cells[static_cast<std::size_t>(cell)];
  const TensorRow& tensor = tensors()[chosen.tensor];
  setAccessibleDescription(QStringLiteral("%1, %2, %3, %4").arg(tensor.name, tensor.kind, chosen.type, bytesQuantity(tensor.bytes).text()));
  m_selection.setTensor(tensor.name);
}

void TensorMap::paintName(QPainter& painter, const Cell& cell, const QString& name) const {
  if (painter.fontMetrics().horizontalAdvance(name) + 8 > cell.area.width()) return;
  painter.setPen(qGray(colorOf(cell).rgb()) > 128 ? QColor(0x14, 0x18, 0x1d) : QColor(Qt::white));
  painter.drawText(cell.area.adjusted(4, 4, -4, -4), Qt::AlignTop | Qt::AlignLeft, name);
}

void TensorMap::paintLegend(QPainter& painter, const QRectF& line) const {
  if (m_colouring == Colouring::Outliers) return paintOutlierLegend(painter, line);
  struct Entry {
    QStringList names;
    std::uint64_t bytes = 0;
  };
  std::map<double, Entry> types;   // by bits
  for (const Cell& cell : m_cells) {
    Entry& entry = types[cell.bits];
    if (!entry.names.contains(cell.type)) entry.names << cell.type;
    entry.bytes += tensors()[cell.tensor].bytes;
  }
  const QFontMetrics metrics(painter.font());
  double x = line.left();
  for (const auto& [bits, entry] : types) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(Theme::instance().bitsColor(bits));
    painter.drawRoundedRect(QRectF(x, line.center().y() - 5, 10, 10), 2, 2);
    const QString text = QStringLiteral("%1 · %2").arg(entry.names.join(QStringLiteral(", ")), bytesQuantity(entry.bytes).text());
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(x + 15, line.top(), metrics.horizontalAdvance(text) + 2, line.height()), Qt::AlignLeft | Qt::AlignVCenter, text);
    x += 15 + metrics.horizontalAdvance(text) + kGapLarge;
  }
  const QString note = tr("area = bytes · colour = type");
  painter.setPen(color(Role::Faint));
  if (x + metrics.horizontalAdvance(note) < line.right()) painter.drawText(line, Qt::AlignRight | Qt::AlignVCenter, note);
}

void TensorMap::paintMarks(QPainter& painter) const {
  painter.setBrush(Qt::NoBrush);
  const auto outline = [&](int cell, Role role, double width) {
    if (cell < 0) return;
    painter.setPen(QPen(color(role), width));
    painter.drawRect(m_cells[static_cast<std::size_t>(cell)].area.adjusted(-1, -1, 1, 1));
  };
  outline(m_hover, Role::Muted, 1);
  outline(selectedCell(), Role::Text, 2);
  if (!hasFocus()) return;
  painter.setPen(color(Role::Accent));
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
}

void TensorMap::resizeEvent(QResizeEvent*) { layOut(); }

void TensorMap::mousePressEvent(QMouseEvent* event) { choose(cellAt(event->position())); }

void TensorMap::mouseMoveEvent(QMouseEvent* event) {
  const int cell = cellAt(event->position());
  if (cell == m_hover) return;
  m_hover = cell;
  update();
  if (cell < 0) return QToolTip::hideText();
  const Cell& c = m_cells[static_cast<std::size_t>(cell)];
  const TensorRow& tensor = tensors()[c.tensor];
  QString words = QStringLiteral("%1\n%2 · %3 · %4").arg(tensor.name, tensor.shape, c.type, bytesQuantity(tensor.bytes).text()) + wordsOf(c.tensor);
  if (c.tensor < m_outliers.size()) words += outlierWords(m_outliers[c.tensor]);
  QToolTip::showText(event->globalPosition().toPoint(), words, this);
}

void TensorMap::leaveEvent(QEvent*) {
  m_hover = -1;
  update();
}

}  // namespace retort::ui
