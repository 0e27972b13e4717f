#include "core/distill/op_rules.h"

#include <array>

namespace retort::distill {
namespace {

constexpr std::array kRules = {
    OpRule{.op = Op::kEmbedding, .name = "embedding", .forward = embedding_forward, .backward = embedding_backward},
    OpRule{.op = Op::kRmsNorm, .name = "RMS norm", .reads = Reads::kInputs, .cheap = true, .adds = true,
           .forward = rms_norm_forward, .backward = rms_norm_backward},
    OpRule{.op = Op::kLinear, .name = "linear", .reads = Reads::kInputsForWeight, .adds = true, .forward = linear_forward,
           .backward = linear_backward},
    OpRule{.op = Op::kRope, .name = "rotary positions", .in_place = true, .gradient_in_place = true,
           .forward = rope_forward, .backward = rope_backward},
    OpRule{.op = Op::kAttention, .name = "attention", .reads = Reads::kInputs, .writes_all = true,
           .forward = attention_forward, .backward = attention_backward},
    // The planner itself hands an addition's gradient on.
    OpRule{.op = Op::kAdd, .name = "addition", .in_place = true, .forward = add_forward, .backward = copy},
    OpRule{.op = Op::kGate, .name = "gate", .reads = Reads::kInputs, .cheap = true, .gradient_in_place = true,
           .writes_all = true, .forward = gate_forward, .backward = gate_backward},
    OpRule{.op = Op::kLayerNorm, .name = "layer norm", .reads = Reads::kInputs, .cheap = true, .adds = true,
           .forward = layer_norm_forward, .backward = layer_norm_backward},
    OpRule{.op = Op::kActivation, .name = "activation", .reads = Reads::kInputs, .cheap = true, .in_place = true,
           .gradient_in_place = true, .forward = activation_forward, .backward = activation_backward},
    OpRule{.op = Op::kScale, .name = "scale", .in_place = true, .gradient_in_place = true, .forward = scale_forward,
           .backward = scale_backward},
    OpRule{.op = Op::kSlice, .name = "slice", .adds = true, .forward = slice_forward, .backward = slice_backward},
    OpRule{.op = Op::kPool, .name = "pooling", .reads = Reads::kInputs, .to_sequences = true, .forward = pool_forward,
           .backward = pool_backward},
};
constexpr OpRule kUnknown{.op = Op::kEmbedding, .name = "an operation without gradients"};

}  // namespace

const OpRule& rule_of(Op op) noexcept {
  for (const OpRule& rule : kRules)
    if (rule.op == op) return rule;
  return kUnknown;
}

std::string_view why_not_trained(const Graph& graph, const Node& node) noexcept {
  const OpRule& rule = rule_of(node.op);
  if (!rule.forward || !rule.backward) return rule.name;
  if (node.op == Op::kAttention && node.soft_cap != 0) return "attention with capped scores";
  if (node.op == Op::kAttention && node.weight != kNoWeight) return "attention with a relative position bias";
  const bool norm = node.op == Op::kRmsNorm || node.op == Op::kLayerNorm;
  if (norm && node.groups > 1 && graph.weights[static_cast<std::size_t>(node.weight)].shape[0] * node.groups !=
                                     graph.widths[static_cast<std::size_t>(node.output)])
    return "a grouped norm whose parts have weights of their own";
  return "";
}

}  // namespace retort::distill
