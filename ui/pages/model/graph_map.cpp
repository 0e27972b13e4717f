#include "ui/pages/model/graph_map.h"

#include <QKeyEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>
#include <map>

#include "ui/format.h"
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

GraphMap::GraphMap(Selection& selection, QWidget* parent) : TensorMap(selection, tr("Map of the graph: weights by the operator that reads them"), parent) {}

void GraphMap::setGraph(const LoadedGraphPtr& graph) {
  m_graph = graph;
  m_outliers.clear();
  layOut();
  update();
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
      if (cells[i].width() * cells[i].height() > 0) m_cells.push_back({members[i], cells[i].adjusted(0, 0, -gap, -gap), tensors[members[i]].bits, tensors[members[i]].typeName});
    }
  }
  m_others = (small + others).join(QStringLiteral(", "));
}

QString GraphMap::wordsOf(std::size_t tensor) const {
  const std::string& node = m_graph->summary.weights[tensor].node;
  return node.empty() ? QString() : tr("\nread by %1").arg(toQString(node));
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
  for (const Cell& cell : m_cells)
    if (cell.area.height() >= metrics.height() + 8 && cell.area.width() >= 48) paintName(painter, cell, m_graph->tensors[cell.tensor].name);
  const QRectF line(kGapLarge, height() - 24, width() - 2 * kGapLarge, 20);
  if (!m_others.isEmpty()) {
    painter.setPen(color(Role::Muted));
    const QString words = tr("also: %1").arg(m_others);
    painter.drawText(line.translated(0, -22), Qt::AlignLeft | Qt::AlignVCenter, metrics.elidedText(words, Qt::ElideRight, static_cast<int>(line.width())));
  }
  paintLegend(painter, line);
  paintMarks(painter);
}

// Arrows go through the weights from the largest to the smallest of each kind, kind after kind.
void GraphMap::keyPressEvent(QKeyEvent* event) {
  const int step = event->key() == Qt::Key_Right || event->key() == Qt::Key_Down ? 1 : event->key() == Qt::Key_Left || event->key() == Qt::Key_Up ? -1 : 0;
  if (step == 0 || m_cells.empty()) return QWidget::keyPressEvent(event);
  choose(std::clamp(selectedCell() + step, 0, static_cast<int>(m_cells.size()) - 1));
}

}  // namespace retort::ui
