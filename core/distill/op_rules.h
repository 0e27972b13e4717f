// What the planner must know of each operation, and the functions that run it forward and backward. One row an operation.
#pragma once

#include "core/distill/execute.h"
#include "core/model/graph.h"

namespace retort::distill {

// Which inputs the backward pass reads.
enum class Reads : std::uint8_t {
  kNothing,
  kInputs,
  kInputsForWeight,   // the first, and only for the gradient of the weight
};

struct OpRule {
  Op op;
  std::string_view name;
  Reads reads = Reads::kNothing;
  bool cheap = false;              // better made again than kept
  bool in_place = false;           // the output may lie where an input lay that nobody else wants
  bool adds = false;               // backward can add to a gradient that is already there
  bool gradient_in_place = false;  // d_in[0] may lie where d_out lies
  bool writes_all = false;         // backward writes every input's gradient, wanted or not
  bool to_sequences = false;       // the output has one row a sequence
  void (*forward)(const Run& run, const Instruction& step) = nullptr;
  void (*backward)(const Run& run, const Instruction& step) = nullptr;   // null: can't be trained
};

const OpRule& rule_of(Op op) noexcept;
// "" when the node can be run, else what of it can't.
std::string_view why_not_trained(const Graph& graph, const Node& node) noexcept;

}  // namespace retort::distill
