#include "core/distill/train_plan.h"

#include <algorithm>

#include "core/distill/op_rules.h"

namespace retort::distill {
namespace {

class Planner {
 public:
  Planner(const Graph& graph, const TrainPlanOptions& options)
      : graph_(graph), options_(options), used_(graph.nodes.size(), false), values_(graph.widths.size()) {}

  Result<TrainPlan> run() {
    RETORT_CHECK(look_around());
    for (std::int32_t n = 0; n < nodes(); ++n)
      if (used_[static_cast<std::size_t>(n)]) forward(n);
    mark_loss();
    if (options_.backward) {
      for (Value& value : values_)
        if (!value.kept) value.buffer = kNoBuffer;
      for (std::int32_t n = nodes() - 1; n >= 0; --n)
        if (used_[static_cast<std::size_t>(n)]) backward(n);
    }
    set_lives();
    return std::move(plan_);
  }

 private:
  // What is known of one value of the graph.
  struct Value {
    std::int32_t producer = -1;
    std::vector<std::int32_t> consumers;
    bool per_sequence = false;
    bool output = false;           // a loss reads it
    bool wants_gradient = false;   // something trained lies upstream
    bool needed = false;           // the backward pass reads it
    bool kept = false;             // from the forward pass on; else made again when needed
    BufferId buffer = kNoBuffer;   // where it is now
    BufferId gradient = kNoBuffer;
  };

  std::int32_t nodes() const { return static_cast<std::int32_t>(graph_.nodes.size()); }
  const Node& node(std::int32_t n) const { return graph_.nodes[static_cast<std::size_t>(n)]; }
  Value& value(ValueId v) { return values_[static_cast<std::size_t>(v)]; }

  bool trains(WeightId id) const {
    return id != kNoWeight && options_.backward &&
           (options_.trainable.empty() || options_.trainable[static_cast<std::size_t>(id)]);
  }

  Result<void> look_around() {
    for (const ValueId v : options_.outputs) value(v).output = true;
    for (std::int32_t n = 0; n < nodes(); ++n) {
      const Node& x = node(n);
      Value& out = value(x.output);
      out.producer = n;
      out.per_sequence = rule_of(x.op).to_sequences;
      for (const ValueId v : x.inputs) out.per_sequence = out.per_sequence || value(v).per_sequence;
      if (x.op == Op::kLinear && x.output == graph_.logits && !out.per_sequence) plan_.head = n;
    }
    std::vector<bool> wanted(values_.size());
    for (const ValueId v : options_.outputs) wanted[static_cast<std::size_t>(v)] = true;
    for (std::int32_t n = nodes() - 1; n >= 0; --n) {
      if (n == plan_.head || !wanted[static_cast<std::size_t>(node(n).output)]) continue;
      used_[static_cast<std::size_t>(n)] = true;
      for (const ValueId v : node(n).inputs) wanted[static_cast<std::size_t>(v)] = true;
    }
    for (std::int32_t n = 0; n < nodes(); ++n) {
      if (!used_[static_cast<std::size_t>(n)]) continue;
      const Node& x = node(n);
      if (const std::string_view why = why_not_trained(graph_, x); !why.empty())
        return Error{.code = ErrorCode::kUnsupported, .place = x.name, .expected = "an operation that can be trained",
                     .found = std::string(why)};
      bool wants = trains(x.weight) || trains(x.bias);
      for (const ValueId v : x.inputs) {
        value(v).consumers.push_back(n);
        wants = wants || value(v).wants_gradient;
      }
      value(x.output).wants_gradient = wants;
    }
    choose_kept();
    return {};
  }

  bool reads_in_backward(const Node& x, std::size_t input) {
    if (!value(x.output).wants_gradient) return false;
    switch (rule_of(x.op).reads) {
      case Reads::kNothing: return false;
      case Reads::kInputs: return true;
      case Reads::kInputsForWeight: return input == 0 && trains(x.weight);
    }
    return false;
  }

  void choose_kept() {
    for (std::size_t v = 0; v < values_.size(); ++v) {
      Value& x = values_[v];
      if (x.producer < 0) continue;   // the ids lie in the batch
      bool crosses = false;
      for (const std::int32_t c : x.consumers) {
        for (std::size_t i = 0; i < node(c).inputs.size(); ++i)
          x.needed = x.needed || (static_cast<std::size_t>(node(c).inputs[i]) == v && reads_in_backward(node(c), i));
        crosses = crosses || node(c).layer != node(x.producer).layer;
      }
      // A cheap value is made from inputs that its own gradient needs anyway; without a gradient it has no such inputs.
      const bool cheap = rule_of(node(x.producer).op).cheap && x.wants_gradient;
      x.kept = x.output || (options_.recompute ? crosses : x.needed && !cheap);
    }
  }

  BufferId new_buffer(ValueId like) {
    plan_.buffers.push_back({graph_.widths[static_cast<std::size_t>(like)], value(like).per_sequence, -1, -1});
    shared_.push_back(false);
    return static_cast<BufferId>(plan_.buffers.size()) - 1;
  }

  // An input whose buffer the node may write its output to: nobody else wants it, now or later.
  std::optional<std::size_t> spare_input(const Node& x) {
    if (!rule_of(x.op).in_place) return std::nullopt;
    for (std::size_t i = x.inputs.size(); i-- > 0;) {
      const Value& in = value(x.inputs[i]);
      const bool spare = in.producer >= 0 && in.consumers.size() == 1 && !in.kept && !in.needed && in.buffer != kNoBuffer;
      if (spare && graph_.widths[static_cast<std::size_t>(x.inputs[i])] == graph_.widths[static_cast<std::size_t>(x.output)])
        return i;
    }
    return std::nullopt;
  }

  void forward(std::int32_t n) {
    const Node& x = node(n);
    Instruction step{.act = Act::kForward, .node = n};
    for (const ValueId v : x.inputs) step.in.push_back(value(v).buffer);
    if (const auto spare = spare_input(x)) {
      step.out = step.in[*spare];
      value(x.inputs[*spare]).buffer = kNoBuffer;
    } else {
      step.out = new_buffer(x.output);
    }
    value(x.output).buffer = step.out;
    plan_.instructions.push_back(std::move(step));
  }

  // The value's buffer, making it again if it is gone.
  BufferId materialize(ValueId v) {
    if (value(v).buffer != kNoBuffer || value(v).producer < 0) return value(v).buffer;
    const std::int32_t n = value(v).producer;
    for (const ValueId input : node(n).inputs) materialize(input);
    forward(n);
    return value(v).buffer;
  }

  void mark_loss() {
    Instruction step{.act = Act::kLoss};
    for (const ValueId v : options_.outputs) {
      step.in.push_back(value(v).buffer);
      if (options_.backward && value(v).wants_gradient && value(v).gradient == kNoBuffer) value(v).gradient = new_buffer(v);
      step.d_in.push_back(value(v).gradient);
    }
    plan_.output_values = step.in;
    plan_.output_gradients = step.d_in;
    plan_.loss = static_cast<std::int32_t>(plan_.instructions.size());
    plan_.instructions.push_back(std::move(step));
  }

  void backward(std::int32_t n) {
    const Node& x = node(n);
    const BufferId d_out = value(x.output).gradient;
    if (d_out == kNoBuffer || !value(x.output).wants_gradient) return;
    if (x.op == Op::kAdd) {
      for (std::size_t i = 0; i < x.inputs.size(); ++i) hand_on(n, i, d_out);
      return;
    }
    const OpRule& rule = rule_of(x.op);
    Instruction step{.act = Act::kBackward, .node = n, .d_out = d_out};
    std::vector<Instruction> after;
    for (std::size_t i = 0; i < x.inputs.size(); ++i)
      step.in.push_back(reads_in_backward(x, i) ? materialize(x.inputs[i]) : kNoBuffer);
    for (std::size_t i = 0; i < x.inputs.size(); ++i) {
      Value& in = value(x.inputs[i]);
      BufferId to = kNoBuffer;
      bool add = false;
      if (in.wants_gradient && in.gradient == kNoBuffer) {
        const bool in_place = i == 0 && rule.gradient_in_place && !shared_[static_cast<std::size_t>(d_out)];
        to = in.gradient = in_place ? d_out : new_buffer(x.inputs[i]);
      } else if (in.wants_gradient && rule.adds) {
        to = in.gradient;
        add = true;
      } else if (in.wants_gradient) {
        to = new_buffer(x.inputs[i]);
        after.push_back({.act = Act::kAccumulate, .in = {to}, .out = in.gradient});
      } else if (rule.writes_all) {
        to = new_buffer(x.inputs[i]);
      }
      step.d_in.push_back(to);
      step.accumulate.push_back(add);
    }
    plan_.instructions.push_back(std::move(step));
    for (Instruction& more : after) plan_.instructions.push_back(std::move(more));
  }

  // The gradient of a sum is that of each summand. The same buffer may serve both where the one that others add to is
  // only added to after the other has been read.
  void hand_on(std::int32_t n, std::size_t i, BufferId d_out) {
    const ValueId v = node(n).inputs[i];
    Value& in = value(v);
    if (!in.wants_gradient) return;
    if (in.gradient != kNoBuffer) {
      plan_.instructions.push_back({.act = Act::kAccumulate, .in = {d_out}, .out = in.gradient});
      return;
    }
    if (may_share(n, i)) {
      in.gradient = d_out;
      shared_[static_cast<std::size_t>(d_out)] = true;
      return;
    }
    in.gradient = new_buffer(v);
    plan_.instructions.push_back({.act = Act::kCopy, .in = {d_out}, .out = in.gradient});
  }

  bool may_share(std::int32_t n, std::size_t i) {
    const Node& x = node(n);
    if (x.inputs.size() != 2 || x.inputs[0] == x.inputs[1]) return false;
    const Value &mine = value(x.inputs[i]), &other = value(x.inputs[1 - i]);
    // The other's gradient must be read by its producer, once, before any other consumer of mine adds to it; and the
    // other way round.
    const auto undisturbed = [&](const Value& reader, const Value& added) {
      if (!reader.wants_gradient) return true;
      if (reader.producer < 0 || node(reader.producer).op == Op::kAdd) return added.consumers.size() == 1;
      for (const std::int32_t c : added.consumers)
        if (c != n && c > reader.producer) return false;
      return true;
    };
    return undisturbed(mine, other) && undisturbed(other, mine) && !mine.output && !other.output;
  }

  void set_lives() {
    const auto touch = [&](BufferId id, std::int32_t at) {
      if (id == kNoBuffer) return;
      PlanBuffer& buffer = plan_.buffers[static_cast<std::size_t>(id)];
      if (buffer.first < 0) buffer.first = at;
      buffer.last = at;
    };
    for (std::int32_t at = 0; at < static_cast<std::int32_t>(plan_.instructions.size()); ++at) {
      const Instruction& step = plan_.instructions[static_cast<std::size_t>(at)];
      for (const BufferId id : step.in) touch(id, at);
      for (const BufferId id : step.d_in) touch(id, at);
      touch(step.out, at);
      touch(step.d_out, at);
    }
    // Without a backward pass the caller reads the outputs after the last instruction.
    for (const BufferId id : plan_.output_values) touch(id, static_cast<std::int32_t>(plan_.instructions.size()));
  }

  const Graph& graph_;
  const TrainPlanOptions& options_;
  TrainPlan plan_;
  std::vector<bool> used_, shared_;
  std::vector<Value> values_;
};

}  // namespace

Result<TrainPlan> make_train_plan(const Graph& graph, const TrainPlanOptions& options) {
  return Planner(graph, options).run();
}

std::vector<std::size_t> lay_out(const TrainPlan& plan, std::int64_t tokens, std::int64_t sequences) {
  constexpr std::size_t kAlign = 16;   // floats: a cache line
  const std::size_t count = plan.buffers.size();
  std::vector<std::size_t> offsets(count + 1, 0), sizes(count), order;
  for (std::size_t b = 0; b < count; ++b) {
    const PlanBuffer& buffer = plan.buffers[b];
    const auto floats = static_cast<std::size_t>(buffer.width * (buffer.per_sequence ? sequences : tokens));
    sizes[b] = (floats + kAlign - 1) / kAlign * kAlign;
    if (buffer.first >= 0) order.push_back(b);
  }
  // Largest first, each at the lowest place that is free for all of its life.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  std::vector<std::size_t> placed, neighbours;
  for (const std::size_t b : order) {
    neighbours.clear();
    for (const std::size_t p : placed)
      if (plan.buffers[p].first <= plan.buffers[b].last && plan.buffers[b].first <= plan.buffers[p].last)
        neighbours.push_back(p);
    std::sort(neighbours.begin(), neighbours.end(), [&](std::size_t x, std::size_t y) { return offsets[x] < offsets[y]; });
    std::size_t at = 0;
    for (const std::size_t p : neighbours) {
      if (offsets[p] >= at + sizes[b]) break;
      at = std::max(at, offsets[p] + sizes[p]);
    }
    offsets[b] = at;
    offsets[count] = std::max(offsets[count], at + sizes[b]);
    placed.push_back(b);
  }
  return offsets;
}

}  // namespace retort::distill
