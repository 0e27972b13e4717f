#include "ui/pages/model/graph_map.h"

#include <QKeyEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/pages/model/outlier_colors.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr double kGroupHead = 17, kMapBottom = 54;

// Whether a kind of operator has room for its name above its weights.
bool hasHead(const QRectF& area) { return area.height() > 3 * kGroupHead && area.width() >= 40; }

// Longest side over shortest of the worst rectangle when `sum` of area lies along a side of this length.
double worst_ratio(double least, double most, double sum, double side) {
  const double across = sum / side;
  return std::max(most / across / across, across * across / least);
}

}  // namespace

std::vector<QRectF> squarified(const std::vector<double>& weights, QRectF area) {
  std::vector<QRectF> out(weights.size());
  double total = 0;
  for (const double w : weights) total += w;
  for (std::size_t first = 0; first < weights.size();) {
    const double side = std::min(area.width(), area.height()), scale = total > 0 ? area.width() * area.height() / total : 0;
    if (side <= 0 || scale <= 0) break;
    // As many in a row along the short side as make the worst of them squarer.
    std::size_t last = first + 1;
    double sum = weights[first] * scale, ratio = worst_ratio(sum, sum, sum, side);
    while (last < weights.size()) {
      const double next = weights[last] * scale, with = worst_ratio(next, weights[first] * scale, sum + next, side);
      if (with > ratio) break;
      ratio = with;
      sum += next;
      ++last;
    }
    const double across = sum / side;
    const bool upright = area.width() >= area.height();
    double at = upright ? area.top() : area.left();
    for (std::size_t i = first; i < last; ++i) {
      const double along = weights[i] * scale / across;
      out[i] = upright ? QRectF(area.left(), at, across, along) : QRectF(at, area.top(), along, across);
      at += along;
      total -= weights[i];
    }
    upright ? area.setLeft(area.left() + across) : area.setTop(area.top() + across);
    first = last;
  }
  return out;
}

GraphMap::GraphMap(Selection& selection, QWidget* parent) : QWidget(parent), m_selection(selection) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setMinimumSize(360, 220);
  setAccessibleName(tr("Map of the graph: weights by the operator that reads them"));
  connect(&selection, &Selection::changed, this, [this] { update(); });
  connect(&Theme::instance(), &Theme::changed, this, [this] { update(); });
}

void GraphMap::setGraph(const LoadedGraphPtr& graph) {
  m_graph = graph;
  m_outliers.clear();
  layOut();
  update();
}

void GraphMap::setColouring(LayerMap::Colouring colouring) {
  m_colouring = colouring;
  update();
}

void GraphMap::setOutliers(const OutlierMarks& marks) {
  m_outliers = marks;
  update();
}

QColor GraphMap::colorOf(const Cell& cell) const {
  if (m_colouring == LayerMap::Colouring::Type) return Theme::instance().bitsColor(m_graph->tensors[cell.tensor].bits);
  return outlierColor(cell.tensor < m_outliers.size() ? static_cast<double>(m_outliers[cell.tensor].farthest) : -1);
}

void GraphMap::layOut() {
  m_cells.clear();
  m_groups.clear();
  m_others.clear();
  m_hover = -1;
  if (!m_graph) return;
  std::map<QString, std::vector<std::size_t>> byKind;
  std::map<QString, double> bytes;
  const auto& tensors = m_graph->tensors;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].bytes == 0) continue;
    byKind[tensors[i].kind].push_back(i);
    bytes[tensors[i].kind] += static_cast<double>(tensors[i].bytes);
  }
  std::vector<QString> kinds;
  double all = 0;
  for (const auto& [kind, sum] : bytes) {
    kinds.push_back(kind);
    all += sum;
  }
  std::sort(kinds.begin(), kinds.end(), [&](const QString& a, const QString& b) { return bytes[a] > bytes[b]; });
  // A kind of a few bytes still gets a place that can be seen.
  std::vector<double> weights;
  for (const QString& kind : kinds) weights.push_back(std::max(bytes[kind], all * 0.004));
  const std::vector<QRectF> places = squarified(weights, QRectF(rect()).adjusted(kGapLarge, kGap, -kGapLarge, -kMapBottom));
  QStringList others, small;
  for (const onnx::OperatorCount& op : m_graph->summary.operators) {
    const QString name = toQString(op.domain.empty() ? op.name : op.domain + "." + op.name);
    const auto at = std::find(kinds.begin(), kinds.end(), toQString(op.name));
    if (at == kinds.end()) others << QStringLiteral("%1 × %2").arg(op.count).arg(name) + (op.supported ? QString() : tr(" (refused)"));
  }
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const auto op = std::find_if(m_graph->summary.operators.begin(), m_graph->summary.operators.end(), [&](const onnx::OperatorCount& o) { return toQString(o.name) == kinds[k]; });
    const bool known = op != m_graph->summary.operators.end();
    QRectF place = places[k].adjusted(1, 1, -1, -1);
    QString label = known ? QStringLiteral("%1 × %2").arg(op->count).arg(kinds[k]) : kinds[k];
    label += QStringLiteral(" · %1").arg(bytesQuantity(static_cast<std::uint64_t>(bytes[kinds[k]])).text());
    m_groups.push_back({label, place, known && !op->supported});
    if (hasHead(place)) place.setTop(place.top() + kGroupHead);
    else small << label;
    auto& members = byKind[kinds[k]];
    std::stable_sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) { return tensors[a].bytes > tensors[b].bytes; });
    std::vector<double> sizes;
    for (const std::size_t i : members) sizes.push_back(static_cast<double>(tensors[i].bytes));
    const std::vector<QRectF> cells = squarified(sizes, place);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const double gap = cells[i].width() > 6 && cells[i].height() > 6 ? 1 : 0;
      if (cells[i].width() * cells[i].height() > 0) m_cells.push_back({members[i], cells[i].adjusted(0, 0, -gap, -gap)});
    }
  }
  m_others = (small + others).join(QStringLiteral(", "));
}

int GraphMap::cellAt(const QPointF& position) const {
  for (std::size_t i = 0; i < m_cells.size(); ++i)
    if (m_cells[i].area.contains(position)) return static_cast<int>(i);
  return -1;
}

int GraphMap::selectedCell() const {
  if (!m_graph || m_selection.tensor().isEmpty()) return -1;
  for (std::size_t i = 0; i < m_cells.size(); ++i)
    if (m_graph->tensors[m_cells[i].tensor].name == m_selection.tensor()) return static_cast<int>(i);
  return -1;
}

void GraphMap::choose(int cell) {
  if (cell < 0) return;
  const TensorRow& tensor = m_graph->tensors[m_cells[static_cast<std::size_t>(cell)].tensor];
  setAccessibleDescription(QStringLiteral("%1, %2, %3, %4").arg(tensor.name, tensor.kind, tensor.typeName, bytesQuantity(tensor.bytes).text()));
  m_selection.setTensor(tensor.name);
}

void GraphMap::paintLegend(QPainter& painter) const {
  const QFontMetrics metrics(painter.font());
  const QRectF line(kGapLarge, height() - 24, width() - 2 * kGapLarge, 20);
  if (!m_others.isEmpty()) {
    painter.setPen(color(Role::Muted));
    const QString words = tr("also: %1").arg(m_others);
    painter.drawText(line.translated(0, -22), Qt::AlignLeft | Qt::AlignVCenter, metrics.elidedText(words, Qt::ElideRight, static_cast<int>(line.width())));
  }
  if (m_colouring == LayerMap::Colouring::Outliers) return paintOutlierLegend(painter, line);
  std::map<double, std::pair<QString, std::uint64_t>> types;
  for (const TensorRow& tensor : m_graph->tensors) {
    auto& [name, bytes] = types[tensor.bits];
    if (!name.split(QStringLiteral(", ")).contains(tensor.typeName)) name += (name.isEmpty() ? QString() : QStringLiteral(", ")) + tensor.typeName;
    bytes += tensor.bytes;
  }
  double x = line.left();
  for (const auto& [bits, entry] : types) {
    painter.setPen(Qt::NoPen);
    painter.setBrush(Theme::instance().bitsColor(bits));
    painter.drawRoundedRect(QRectF(x, line.center().y() - 5, 10, 10), 2, 2);
    const QString text = QStringLiteral("%1 · %2").arg(entry.first, bytesQuantity(entry.second).text());
    painter.setPen(color(Role::Muted));
    painter.drawText(QRectF(x + 15, line.top(), metrics.horizontalAdvance(text) + 2, line.height()), Qt::AlignLeft | Qt::AlignVCenter, text);
    x += 15 + metrics.horizontalAdvance(text) + kGapLarge;
  }
  const QString note = tr("area = bytes · colour = type");
  painter.setPen(color(Role::Faint));
  if (x + metrics.horizontalAdvance(note) < line.right()) painter.drawText(line, Qt::AlignRight | Qt::AlignVCenter, note);
}

void GraphMap::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  if (!m_graph) return;
  for (const Cell& cell : m_cells) painter.fillRect(cell.area, colorOf(cell));
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  const QFontMetrics metrics(painter.font());
  for (const Group& group : m_groups) {
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(color(group.refused ? Role::Bad : Role::LineStrong), group.refused ? 2 : 1));
    painter.drawRect(group.area);
    if (!hasHead(group.area)) continue;
    painter.setPen(color(group.refused ? Role::Bad : Role::Text));
    const QRectF text(group.area.left() + kGapSmall, group.area.top(), group.area.width() - 2 * kGapSmall, kGroupHead);
    painter.drawText(text, Qt::AlignLeft | Qt::AlignVCenter, metrics.elidedText(group.label, Qt::ElideRight, static_cast<int>(text.width())));
  }
  // The names that fit; exporters' long ones stay for the tool tip.
  for (const Cell& cell : m_cells) {
    if (cell.area.height() < metrics.height() + 8 || cell.area.width() < 48) continue;
    const QString& name = m_graph->tensors[cell.tensor].name;
    if (metrics.horizontalAdvance(name) + 8 > cell.area.width()) continue;
    painter.setPen(qGray(colorOf(cell).rgb()) > 128 ? QColor(0x14, 0x18, 0x1d) : QColor(Qt::white));
    painter.drawText(cell.area.adjusted(4, 4, -4, -4), Qt::AlignTop | Qt::AlignLeft, name);
  }
  paintLegend(painter);
  const auto outline = [&](int cell, Role role, double width) {
    if (cell < 0) return;
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(color(role), width));
    painter.drawRect(m_cells[static_cast<std::size_t>(cell)].area.adjusted(-1, -1, 1, 1));
  };
  outline(m_hover, Role::Muted, 1);
  outline(selectedCell(), Role::Text, 2);
  if (!hasFocus()) return;
  painter.setPen(color(Role::Accent));
  painter.setBrush(Qt::NoBrush);
  painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), kRadius, kRadius);
}

void GraphMap::resizeEvent(QResizeEvent*) { layOut(); }

void GraphMap::mousePressEvent(QMouseEvent* event) { choose(cellAt(event->position())); }

void GraphMap::mouseMoveEvent(QMouseEvent* event) {
  const int cell = cellAt(event->position());
  if (cell == m_hover) return;
  m_hover = cell;
  update();
  if (cell < 0) return QToolTip::hideText();
  const std::size_t at = m_cells[static_cast<std::size_t>(cell)].tensor;
  const TensorRow& tensor = m_graph->tensors[at];
  QString words = QStringLiteral("%1\n%2 · %3 · %4").arg(tensor.name, tensor.shape, tensor.typeName, bytesQuantity(tensor.bytes).text());
  if (const std::string& node = m_graph->summary.weights[at].node; !node.empty()) words += tr("\nread by %1").arg(toQString(node));
  if (at < m_outliers.size()) words += outlierWords(m_outliers[at]);
  QToolTip::showText(event->globalPosition().toPoint(), words, this);
}

void GraphMap::leaveEvent(QEvent*) {
  m_hover = -1;
  update();
}

// Arrows go through the weights from the largest to the smallest of each kind, kind after kind.
void GraphMap::keyPressEvent(QKeyEvent* event) {
  const int step = event->key() == Qt::Key_Right || event->key() == Qt::Key_Down ? 1 : event->key() == Qt::Key_Left || event->key() == Qt::Key_Up ? -1 : 0;
  if (step == 0 || m_cells.empty()) return QWidget::keyPressEvent(event);
  choose(std::clamp(selectedCell() + step, 0, static_cast<int>(m_cells.size()) - 1));
}

}  // namespace retort::ui
