#include "core/distill/width_groups.h"

#include <algorithm>
#include <numeric>

namespace retort::distill {
namespace {

// Sets of values and weight axes that share a width, merged as the graph's operations say.
class Finder {
 public:
  explicit Finder(const Model& model)
      : model_(model), graph_(model.graph), values_(graph_.widths.size()), parent_(values_ + 2 * graph_.weights.size()), fixed_(parent_.size(), false),
        unit_(parent_.size(), 1) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  Widths find() {
    for (const Node& node : graph_.nodes) visit(node);
    fix(value(graph_.tokens));
    if (graph_.logits >= 0) fix(value(graph_.logits));
    return collect();
  }

 private:
  std::size_t value(ValueId v) const { return static_cast<std::size_t>(v); }
  std::size_t axis(WeightId id, int which) const { return values_ + 2 * static_cast<std::size_t>(id) + static_cast<std::size_t>(which); }
  std::size_t root(std::size_t x) {
    while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
    return x;
  }
  void join(std::size_t a, std::size_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return;
    fixed_[a] = fixed_[a] || fixed_[b];
    parent_[b] = a;
  }
  void fix(std::size_t x) { fixed_[root(x)] = true; }
  std::int64_t width(ValueId v) const { return graph_.widths[static_cast<std::size_t>(v)]; }
  std::int64_t axes(WeightId id) const { return static_cast<std::int64_t>(graph_.weights[static_cast<std::size_t>(id)].shape.size()); }

  // A vector that belongs to a value's columns; one that its groups share belongs to nobody.
  void vector(WeightId id, ValueId v) {
    if (id == kNoWeight) return;
    if (axes(id) == 1 && graph_.weights[static_cast<std::size_t>(id)].shape[0] == width(v)) join(axis(id, 0), value(v));
    else fix(axis(id, 0));
  }

  void attention(const Node& node) {
    for (const ValueId input : node.inputs) join(value(node.output), value(input));
    const std::size_t group = root(value(node.output));
    heads_.push_back({group, node.kv_heads});
    for (const ValueId v : {node.inputs[0], node.inputs[1], node.inputs[2], node.output}) per_head_.push_back({v, node.kv_heads});
    if (node.weight != kNoWeight) fix(group);   // a bias table by head
  }

  void visit(const Node& node) {
    switch (node.op) {
      case Op::kEmbedding:
        fix(axis(node.weight, 0));
        join(axis(node.weight, 1), value(node.output));
        return;
      case Op::kLinear:
        join(axis(node.weight, 0), value(node.output));
        join(axis(node.weight, 1), value(node.inputs[0]));
        vector(node.bias, node.output);
        return;
      case Op::kRmsNorm:
      case Op::kLayerNorm:
        join(value(node.output), value(node.inputs[0]));
        vector(node.weight, node.output);
        vector(node.bias, node.output);
        return;
      case Op::kAttention: return attention(node);
      case Op::kSlice:
      case Op::kExperts:
        for (const ValueId input : node.inputs) fix(value(input));
        fix(value(node.output));
        return;
      default: break;
    }
    if (node.op == Op::kActivation || node.op == Op::kGate) inside_.push_back({node.output, node.layer});
    for (const ValueId input : node.inputs)
      if (width(input) == width(node.output)) join(value(node.output), value(input));
  }

  Widths collect() {
    Widths out;
    std::vector<std::int32_t> number(parent_.size(), -1);
    std::vector<std::int64_t> kv_heads(parent_.size(), 0);
    for (const auto& [group, count] : heads_) kv_heads[root(group)] = count;
    for (const auto& [v, count] : per_head_) unit_[value(v)] = width(v) / count;
    const std::size_t stream = root(value(graph_.hidden));
    std::vector<bool> inside(parent_.size(), false);
    for (const auto& [v, layer] : inside_) inside[root(value(v))] = inside[root(value(v))] || layer >= 0;
    const auto group_of = [&](std::size_t x) -> std::int32_t {
      const std::size_t r = root(x);
      if (number[r] >= 0 || fixed_[r]) return fixed_[r] ? -1 : number[r];
      WidthGroup group;
      if (kv_heads[r] > 0) group = {WidthKind::kHeads, kv_heads[r]};
      else if (r == stream) group = {WidthKind::kHidden, model_.config.hidden};
      else if (inside[r]) group = {WidthKind::kFeedForward, 0};
      else group = {WidthKind::kHidden, model_.config.hidden};   // a head's own dense layer, which configurations size alike
      number[r] = static_cast<std::int32_t>(out.groups.size());
      out.groups.push_back(group);
      return number[r];
    };
    for (std::size_t v = 0; v < values_; ++v) {
      const std::int32_t group = group_of(v);
      if (group < 0) {
        out.values.push_back({});
        continue;
      }
      WidthGroup& of = out.groups[static_cast<std::size_t>(group)];
      if (of.kind == WidthKind::kFeedForward) of.units = graph_.widths[v];
      out.values.push_back({group, std::max<std::int64_t>(1, graph_.widths[v] / std::max<std::int64_t>(1, of.units))});
      if (of.units * out.values.back().width != graph_.widths[v]) of.kind = WidthKind::kFixed;
    }
    for (std::size_t id = 0; id < graph_.weights.size(); ++id) {
      out.weights.emplace_back();
      const auto& shape = graph_.weights[id].shape;
      for (std::size_t a = 0; a < std::min<std::size_t>(2, shape.size()); ++a) {
        const std::int32_t group = group_of(axis(static_cast<WeightId>(id), static_cast<int>(a)));
        if (group < 0 || out.groups[static_cast<std::size_t>(group)].units == 0) continue;
        out.weights.back()[a] = {group, shape[a] / out.groups[static_cast<std::size_t>(group)].units};
      }
    }
    return out;
  }

  const Model& model_;
  const Graph& graph_;
  std::size_t values_;
  std::vector<std::size_t> parent_;
  std::vector<bool> fixed_;
  std::vector<std::int64_t> unit_;
  std::vector<std::pair<std::size_t, std::int64_t>> heads_;
  std::vector<std::pair<ValueId, std::int64_t>> per_head_;
  std::vector<std::pair<ValueId, std::int32_t>> inside_;
};

}  // namespace

Widths find_widths(const Model& model) { return Finder(model).find(); }

}  // namespace retort::distill
