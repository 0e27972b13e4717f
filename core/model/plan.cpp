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
    find_readers();
    RETORT_CHECK(find_parts());
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const std::int32_t i = static_cast<std::int32_t>(n);
      if (i == plan_.pool) continue;
      steps_ = i < first_of_head_ ? &plan_.steps : &plan_.head_steps;
      RETORT_CHECK(lower(graph_.nodes[n], i));
    }
    assign_places();
    assign_arena();
    measure();
    return std::move(plan_);
  }

 private:
  static std::size_t index(ValueId v) noexcept { return static_cast<std::size_t>(v); }
  const Node& node(std::int32_t n) const { return graph_.nodes[static_cast<std::size_t>(n)]; }

  // Where the head begins, what it reads, and that it reads nothing else.
  Result<void> find_parts() {
    if (graph_.hidden < 0 || producer_[index(graph_.hidden)] < 0)
      return Error{.code = ErrorCode::kUnsupported, .place = "graph", .expected = "a node that makes the hidden states"};
    first_of_head_ = producer_[index(graph_.hidden)] + 1;
    plan_.head_input = graph_.hidden;
    const std::int32_t count = static_cast<std::int32_t>(graph_.nodes.size());
    if (first_of_head_ < count && node(first_of_head_).op == Op::kPool) {
      plan_.pool = first_of_head_;
      plan_.head_input = node(first_of_head_).output;
    }
    for (std::int32_t n = first_of_head_; n < count; ++n) {
      for (const ValueId v : node(n).inputs) {
        const ValueId allowed = n == plan_.pool ? graph_.hidden : plan_.head_input;
        if (v != allowed && producer_[index(v)] < first_of_head_)
          return Error{.code = ErrorCode::kUnsupported, .place = node(n).name,
                       .expected = "a head that reads the final hidden states only"};
      }
    }
    if (graph_.logits >= 0 && graph_.logits != plan_.head_input && producer_[index(graph_.logits)] < first_of_head_)
      return Error{.code = ErrorCode::kUnsupported, .place = "graph", .expected = "a head over the final norm"};
    return {};
  }

  void push(StepKind kind, std::vector<std::int32_t> nodes) {
    const std::int32_t layer = node(nodes.back()).layer;
    steps_->push_back({kind, std::move(nodes), layer});
  }

  // The step that a following node may join: the last one, if it is of this kind.
  Step* last(StepKind kind) { return !steps_->empty() && steps_->back().kind == kind ? &steps_->back() : nullptr; }

  Result<void> lower(const Node& n, std::int32_t i) {
    switch (n.op) {
      case Op::kEmbedding: push(StepKind::kEmbedding, {i}); return {};
      case Op::kRmsNorm:
      case Op::kLayerNorm:
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
      case Op::kGate: push(StepKind::kGate, {i}); return {};
      case Op::kExperts: push(StepKind::kExperts, {i}); return {};
      case Op::kMultiply:
      case Op::kScale:
      case Op::kSoftCap:
      case Op::kActivation:
      case Op::kNormalize:
      case Op::kSlice: push(StepKind::kElement, {i}); return {};
      case Op::kPool:
        return Error{.code = ErrorCode::kUnsupported, .place = n.name, .expected = "pooling at the beginning of the head"};
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

  // Values that share storage: these operations change their first input, if nobody reads it afterwards.
  static bool may_run_in_place(Op op) noexcept {
    return op == Op::kGate || op == Op::kAdd || op == Op::kMultiply || op == Op::kScale || op == Op::kSoftCap ||
           op == Op::kActivation;
  }
  bool outside(ValueId v) const noexcept { return v == graph_.tokens || v == graph_.hidden || v == plan_.head_input; }

  ValueId storage(ValueId v) const {
    while (!outside(v)) {
      const std::int32_t p = producer_[index(v)];
      if (p < 0) return v;
      const Node& n = node(p);
      const bool in_place = n.op == Op::kRope || (may_run_in_place(n.op) && last_reader(n.inputs[0]) == p);
      if (!in_place || outside(n.inputs[0])) return v;
      v = n.inputs[0];
    }
    return v;
  }
  std::int32_t last_reader(ValueId v) const { return last_reader_[index(v)]; }

  void find_readers() {
    last_reader_.assign(graph_.widths.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      for (const ValueId v : graph_.nodes[n].inputs) last_reader_[index(v)] = static_cast<std::int32_t>(n);
  }

  std::vector<Lifetime> lifetimes() const {
    std::vector<Lifetime> life(graph_.widths.size());
    const std::size_t body = plan_.steps.size();
    for (std::size_t s = 0; s < body + plan_.head_steps.size(); ++s) {
      const Step& step = s < body ? plan_.steps[s] : plan_.head_steps[s - body];
      const auto touch = [&](ValueId v) {
        Lifetime& l = life[index(storage(v))];
        if (l.first < 0) l.first = static_cast<std::int32_t>(s);
        l.last = static_cast<std::int32_t>(s);
      };
      for (const std::int32_t n : step.nodes) {
        for (const ValueId v : node(n).inputs) touch(v);
        touch(node(n).output);
      }
    }
    return life;
  }

  // First fit by time: at each value's birth the lowest gap that no living value covers.
  void assign_arena() {
    const std::vector<Lifetime> life = lifetimes();
    std::vector<ValueId> order;
    for (std::size_t v = 0; v < life.size(); ++v) {
      const ValueId id = static_cast<ValueId>(v);
      if (life[v].first >= 0 && plan_.places[v] == Place::kArena) order.push_back(id);
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
  }

  void assign_places() {
    plan_.places.assign(graph_.widths.size(), Place::kArena);
    const ValueId result = graph_.logits < 0 ? -1 : storage(graph_.logits);
    for (std::size_t v = 0; v < plan_.places.size(); ++v) {
      const ValueId root = storage(static_cast<ValueId>(v));
      if (root == graph_.tokens) plan_.places[v] = Place::kNone;
      else if (root == graph_.hidden || root == plan_.head_input) plan_.places[v] = Place::kHidden;
      else if (root == result) plan_.places[v] = Place::kOutput;
    }
  }

  void measure() {
    const auto shape = [&](const Node& n) -> const std::vector<std::int64_t>& { return graph_.weights[index(n.weight)].shape; };
    for_each_linear(graph_, [&](const Node& n) { plan_.widest_input = std::max(plan_.widest_input, shape(n)[1]); });
    for (const Node& n : graph_.nodes)
      for (const Node& expert : n.experts)
        plan_.expert_floats = std::max(plan_.expert_floats, 2 * (shape(expert)[0] + shape(expert)[1] + 32));
  }

  // Whole cache lines, so that no two values share one.
  std::int64_t padded(ValueId v) const { return (graph_.widths[index(v)] + 15) / 16 * 16; }

  const Graph& graph_;
  std::vector<std::int32_t> producer_, last_reader_;
  std::vector<std::int32_t> uses_;
  std::int32_t first_of_head_ = 0;
  std::vector<Step>* steps_ = nullptr;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const Graph& graph) { return Planner(graph).run(); }

}  // namespace retort
