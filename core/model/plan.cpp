#include "core/model/plan.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace retort {
namespace {

// A value is alive from the step that makes it to the last step that reads it.
struct Lifetime {
  std::int32_t first = -1, last = -1;
};

class Planner {
 public:
  explicit Planner(const Graph& graph) : graph_(graph), producer_(graph.widths.size(), -1), uses_(graph.widths.size(), 0) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      producer_[index(graph.nodes[n].output)] = static_cast<std::int32_t>(n);
      for (const ValueId v : graph.nodes[n].inputs) ++uses_[index(v)];
    }
  }

  Result<Plan> run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (node.output == graph_.logits) {
        plan_.head = static_cast<std::int32_t>(n);
        continue;
      }
      RETORT_CHECK(lower(node, static_cast<std::int32_t>(n)));
    }
    if (plan_.head < 0 || graph_.nodes[static_cast<std::size_t>(plan_.head)].inputs[0] != graph_.hidden)
      return Error{.code = ErrorCode::kUnsupported, .place = "graph", .expected = "a head over the final norm"};
    assign_arena();
    return std::move(plan_);
  }

 private:
  static std::size_t index(ValueId v) noexcept { return static_cast<std::size_t>(v); }
  const Node& node(std::int32_t n) const { return graph_.nodes[static_cast<std::size_t>(n)]; }

  void push(StepKind kind, std::vector<std::int32_t> nodes) {
    const std::int32_t layer = node(nodes.back()).layer;
    plan_.steps.push_back({kind, std::move(nodes), layer});
  }

  // The step that a following node may join: the last one, if it is of this kind.
  Step* last(StepKind kind) {
    return !plan_.steps.empty() && plan_.steps.back().kind == kind ? &plan_.steps.back() : nullptr;
  }

  Result<void> lower(const Node& n, std::int32_t i) {
    switch (n.op) {
      case Op::kEmbedding: push(StepKind::kEmbedding, {i}); return {};
      case Op::kRmsNorm:
        if (Step* add = last(StepKind::kAdd); add && node(add->nodes[0]).output == n.inputs[0]) {
          add->kind = StepKind::kAddNorm;
          add->nodes.push_back(i);
          add->layer = n.layer;
        } else {
          push(StepKind::kNorm, {i});
        }
        return {};
      case Op::kLinear:
        if (Step* linears = last(StepKind::kLinears); linears && node(linears->nodes[0]).inputs[0] == n.inputs[0])
          linears->nodes.push_back(i);
        else
          push(StepKind::kLinears, {i});
        return {};
      case Op::kRope: return {};   // joins its attention
      case Op::kAttention: return attention(n, i);
      case Op::kAdd: push(StepKind::kAdd, {i}); return {};
      case Op::kSiluGate: push(StepKind::kGate, {i}); return {};
    }
    return {};
  }

  // Rotations run in place right before the attention that alone reads them.
  Result<void> attention(const Node& n, std::int32_t i) {
    std::vector<std::int32_t> nodes;
    for (const ValueId v : std::array{n.inputs[0], n.inputs[1]}) {
      const std::int32_t p = producer_[index(v)];
      if (p < 0 || node(p).op != Op::kRope) continue;
      if (uses_[index(v)] != 1 || uses_[index(node(p).inputs[0])] != 1)
        return Error{.code = ErrorCode::kUnsupported, .place = node(p).name, .expected = "a rotation read once"};
      nodes.push_back(p);
    }
    nodes.push_back(i);
    push(StepKind::kAttention, std::move(nodes));
    return {};
  }

  // Values that share storage: a rotation and an add change their first input.
  ValueId storage(ValueId v) const {
    while (true) {
      const std::int32_t p = producer_[index(v)];
      if (p < 0) return v;
      const Node& n = node(p);
      const bool in_place = n.op == Op::kRope || n.op == Op::kSiluGate ||
                            (n.op == Op::kAdd && last_reader(n.inputs[0]) == p);
      if (!in_place) return v;
      v = n.inputs[0];
    }
  }
  std::int32_t last_reader(ValueId v) const { return last_reader_[index(v)]; }

  void find_readers() {
    last_reader_.assign(graph_.widths.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      for (const ValueId v : graph_.nodes[n].inputs) last_reader_[index(v)] = static_cast<std::int32_t>(n);
  }

  std::vector<Lifetime> lifetimes() const {
    std::vector<Lifetime> life(graph_.widths.size());
    for (std::size_t s = 0; s < plan_.steps.size(); ++s) {
      const auto touch = [&](ValueId v) {
        Lifetime& l = life[index(storage(v))];
        if (l.first < 0) l.first = static_cast<std::int32_t>(s);
        l.last = static_cast<std::int32_t>(s);
      };
      for (const std::int32_t n : plan_.steps[s].nodes) {
        for (const ValueId v : node(n).inputs) touch(v);
        touch(node(n).output);
      }
    }
    return life;
  }

  // First fit by time: at each value's birth the lowest gap that no living value covers.
  void assign_arena() {
    find_readers();
    const std::vector<Lifetime> life = lifetimes();
    std::vector<ValueId> order;
    for (std::size_t v = 0; v < life.size(); ++v) {
      const ValueId id = static_cast<ValueId>(v);
      if (life[v].first >= 0 && id != graph_.tokens && id != graph_.hidden) order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](ValueId a, ValueId b) { return life[index(a)].first < life[index(b)].first; });
    plan_.offsets.assign(graph_.widths.size(), -1);
    std::vector<ValueId> living;
    for (const ValueId v : order) {
      std::erase_if(living, [&](ValueId o) { return life[index(o)].last < life[index(v)].first; });
      std::sort(living.begin(), living.end(),
                [&](ValueId a, ValueId b) { return plan_.offsets[index(a)] < plan_.offsets[index(b)]; });
      std::int64_t at = 0;
      for (const ValueId o : living) {
        if (plan_.offsets[index(o)] >= at + padded(v)) break;
        at = std::max(at, plan_.offsets[index(o)] + padded(o));
      }
      plan_.offsets[index(v)] = at;
      plan_.arena_floats = std::max(plan_.arena_floats, at + padded(v));
      living.push_back(v);
    }
    for (std::size_t v = 0; v < life.size(); ++v) {
      const ValueId s = storage(static_cast<ValueId>(v));
      if (s != static_cast<ValueId>(v)) plan_.offsets[v] = plan_.offsets[index(s)];
    }
    for (const Node& n : graph_.nodes)
      if (n.op == Op::kLinear) plan_.widest_input = std::max(plan_.widest_input, graph_.widths[index(n.inputs[0])]);
  }
  // Whole cache lines, so that no two values share one.
  std::int64_t padded(ValueId v) const { return (graph_.widths[index(v)] + 15) / 16 * 16; }

  const Graph& graph_;
  std::vector<std::int32_t> producer_, last_reader_;
  std::vector<std::int32_t> uses_;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const Graph& graph) { return Planner(graph).run(); }

}  // namespace retort
