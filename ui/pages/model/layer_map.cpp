#include "ui/pages/model/layer_map.h"

#include <QKeyEvent>
#include <QPainter>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/theme.h"

namespace retort::ui {
namespace {

constexpr double kLeft = 92, kTop = 26, kBottom = 52, kSideGap = 10, kSmallest = 3;

// Heights that add up to `total`, in proportion to `weights`, none below kSmallest.
std::vector<double> shares(const std::vector<double>& weights, double total) {
  double sum = 0;
  for (const double w : weights) sum += w;
  std::vector<double> result(weights.size());
  double fixed = 0, free = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    result[i] = sum > 0 ? weights[i] / sum * total : 0;
    if (result[i] < kSmallest)
      fixed += kSmallest;
    else
      free += result[i];
  }
  for (double& part : result) part = part < kSmallest ? kSmallest : part * (total - fixed) / std::max(free, 1.0);
  return result;
}

}  // namespace

LayerMap::LayerMap(Selection& selection, QWidget* parent) : TensorMap(selection, tr("Map of the model: layers by kinds of tensors"), parent) {}

void LayerMap::setTensors(std::vector<TensorRow> tensors, std::map<std::string, std::string> types) {
  m_tensors = std::move(tensors);
  m_types = std::move(types);
  layOut();
  update();
}

void LayerMap::layOut() {
  m_cells.clear();
  m_rowLabels.clear();
  m_columnLabels.clear();
  m_hover = -1;
  const QRectF area = QRectF(rect()).adjusted(kLeft, kTop, -kGapLarge, -kBottom);
  if (m_tensors.empty() || area.width() < 50 || area.height() < 50) return;

  // Kinds in the order in which they first occur; bytes per layer, per kind, before and after the layers.
  std::vector<QString> kinds;
  std::map<int, double> layerBytes;
  std::map<QString, double> kindBytes;
  std::vector<std::size_t> before, after;
  double inside = 0, beforeBytes = 0, afterBytes = 0;
  for (std::size_t i = 0; i < m_tensors.size(); ++i) {
    const TensorRow& tensor = m_tensors[i];
    const auto bytes = static_cast<double>(tensor.bytes);
    if (tensor.layer < 0) {
      const bool isEmbedding = tensor.kind.contains(QStringLiteral("embd"));
      (isEmbedding ? before : after).push_back(i);
      (isEmbedding ? beforeBytes : afterBytes) += bytes;
      continue;
    }
    if (std::find(kinds.begin(), kinds.end(), tensor.kind) == kinds.end()) kinds.push_back(tensor.kind);
    layerBytes[tensor.layer] += bytes;
    kindBytes[tensor.kind] += bytes;
    inside += bytes;
  }
  const double all = inside + beforeBytes + afterBytes;
  const double gaps = (before.empty() ? 0 : kSideGap) + (after.empty() ? 0 : kSideGap);
  const double usable = area.width() - gaps;
  const double beforeWidth = before.empty() ? 0 : std::max(6.0, usable * beforeBytes / all);
  const double afterWidth = after.empty() ? 0 : std::max(6.0, usable * afterBytes / all);
  const QRectF middle(area.left() + beforeWidth + (before.empty() ? 0 : kSideGap), area.top(),
                      usable - beforeWidth - afterWidth, area.height());

  layOutSide(before, QRectF(area.left(), area.top(), beforeWidth, area.height()), -1);
  std::vector<double> kindWeights;
  for (const QString& kind : kinds) kindWeights.push_back(kindBytes[kind]);
  const std::vector<double> heights = shares(kindWeights, middle.height());
  double y = middle.top();
  std::map<QString, std::pair<double, double>> rows;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    rows[kinds[k]] = {y, heights[k]};
    m_rowLabels.emplace_back(kinds[k], QRectF(0, y, kLeft - kGap, heights[k]));
    y += heights[k];
  }
  double x = middle.left();
  std::map<int, std::pair<double, double>> columns;
  for (const auto& [layer, bytes] : layerBytes) {
    const double width = middle.width() * bytes / std::max(inside, 1.0);
    columns[layer] = {x, width};
    m_columnLabels.emplace_back(QString::number(layer), QRectF(x, 0, width, kTop));
    x += width;
  }
  for (std::size_t i = 0; i < m_tensors.size(); ++i) {
    const TensorRow& tensor = m_tensors[i];
    if (tensor.layer < 0) continue;
    const auto [left, width] = columns[tensor.layer];
    const auto [top, height] = rows[tensor.kind];
    const double gap = width > 6 && height > 6 ? 1 : 0.5;
    const int row = static_cast<int>(std::find(kinds.begin(), kinds.end(), tensor.kind) - kinds.begin());
    m_cells.push_back({i, QRectF(left, top, width - gap, height - gap), 0, {}, tensor.layer, row});
  }
  layOutSide(after, QRectF(area.right() - afterWidth, area.top(), afterWidth, area.height()), 1 << 20);
  for (Cell& cell : m_cells) {
    const TensorRow& tensor = m_tensors[cell.tensor];
    const auto type = m_types.find(tensor.name.toStdString());
    const auto* traits = type == m_types.end() ? nullptr : kernels::find_type(type->second);
    cell.bits = traits ? traits->bits_per_weight() : type == m_types.end() ? tensor.bits : 16;
    cell.type = traits ? toQString(traits->name) : type == m_types.end() ? tensor.typeName : QString::fromStdString(type->second);
  }
}

void LayerMap::layOutSide(const std::vector<std::size_t>& tensors, QRectF area, int column) {
  std::vector<double> weights;
  for (const std::size_t i : tensors) weights.push_back(static_cast<double>(m_tensors[i].bytes));
  const std::vector<double> heights = shares(weights, area.height());
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    m_cells.push_back({tensors[k], QRectF(area.left(), area.top(), area.width(), std::max(1.0, heights[k] - 1)), 0, {}, column, static_cast<int>(k)});
    area.setTop(area.top() + heights[k]);
  }
}

void LayerMap::paintLabels(QPainter& painter) const {
  const Theme& theme = Theme::instance();
  painter.setFont(theme.font(Theme::Size::Small));
  const QFontMetrics metrics(painter.font());
  painter.setPen(color(Role::Muted));
  double lastBottom = -100;
  for (const auto& [name, area] : m_rowLabels) {
    // A label stands at the middle of its row, where it does not run into the one above.
    const double top = area.center().y() - metrics.height() / 2.0;
    if (top < lastBottom - 1) continue;
    painter.drawText(QRectF(area.left(), top, area.width(), metrics.height()), Qt::AlignRight | Qt::AlignVCenter, metrics.elidedText(name, Qt::ElideMiddle, static_cast<int>(area.width())));
    lastBottom = top + metrics.height();
  }
  double lastRight = -100;
  for (const auto& [name, area] : m_columnLabels) {
    const double width = metrics.horizontalAdvance(name);
    const double left = area.center().x() - width / 2;
    if (left < lastRight + 4) continue;
    painter.drawText(QRectF(left, 4, width + 1, metrics.height()), Qt::AlignCenter, name);
    lastRight = left + width;
  }
}

void LayerMap::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  for (const Cell& cell : m_cells) painter.fillRect(cell.area, colorOf(cell));
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setFont(Theme::instance().font(Theme::Size::Small));
  for (const Cell& cell : m_cells)
    if (m_tensors[cell.tensor].layer < 0 && cell.area.height() >= 20) paintName(painter, cell, m_tensors[cell.tensor].kind);
  paintLabels(painter);
  paintLegend(painter, QRectF(kLeft, height() - 32, width() - kLeft - kGapLarge, 20));
  paintMarks(painter);
}

void LayerMap::keyPressEvent(QKeyEvent* event) {
  const int dx = event->key() == Qt::Key_Right ? 1 : event->key() == Qt::Key_Left ? -1 : 0;
  const int dy = event->key() == Qt::Key_Down ? 1 : event->key() == Qt::Key_Up ? -1 : 0;
  if ((dx == 0 && dy == 0) || m_cells.empty()) return QWidget::keyPressEvent(event);
  const int current = selectedCell();
  if (current < 0) return choose(0);
  // The nearest cell in that direction: by distance of the centres, sideways counted double.
  const Cell& from = m_cells[static_cast<std::size_t>(current)];
  int best = -1;
  double nearest = 1e18;
  for (std::size_t i = 0; i < m_cells.size(); ++i) {
    const Cell& to = m_cells[i];
    const QPointF d = to.area.center() - from.area.center();
    const bool ahead = dx != 0 ? (to.column - from.column) * dx > 0 : to.column == from.column && (to.row - from.row) * dy > 0;
    if (!ahead) continue;
    const double along = std::abs(dx != 0 ? d.x() : d.y()), across = std::abs(dx != 0 ? d.y() : d.x());
    const double distance = along + 4 * across;
    if (distance < nearest) {
      nearest = distance;
      best = static_cast<int>(i);
    }
  }
  choose(best);
}

}  // namespace retort::ui
