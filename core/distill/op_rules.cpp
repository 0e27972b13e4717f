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
           .writes_all = true, .forward = silu_gate_forward, .backward = silu_gate_backward},
};
constexpr OpRule kUnknown{.op = Op::kEmbedding, .name = "an operation without gradients"};

}  // namespace

const OpRule& rule_of(Op op) noexcept {
  for (const OpRule& rule : kRules)
    if (rule.op == op) return rule;
  return kUnknown;
}

}  // namespace retort::distill
