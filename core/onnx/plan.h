// Plan: an ONNX graph made ready to run: values numbered, types known, every node checked, constants in place. Nothing that
// Retort can't run gets through; sizes are known only when inputs are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/onnx/operator.h"

namespace retort::onnx {

class Convolution;

struct Step {
  const Node* node = nullptr;
  const Operator* row = nullptr;
  std::vector<int> inputs, outputs;      // value numbers; -1: left out
  std::vector<int> last_used;            // values that nothing needs after this step
  // Set to see what rounding the first input to codes 0 … 255 does: value = (code - zero) · scale.
  struct Rounding {
    float scale;
    std::uint8_t zero;
  };
  std::optional<Rounding> rounded_input{};
  // Set by fuse.h: computes the step in the node's place, from its first input alone.
  std::shared_ptr<Convolution> convolution;
};

struct Plan {
  struct Value {
    std::string name;
    ElementType type = ElementType::kUndefined;
    Tensor constant;                     // set when the value is a weight or a Constant
    bool is_constant = false;
  };
  std::shared_ptr<const OnnxFile> file;
  std::int64_t opset = 0;
  std::vector<Value> values;
  std::vector<Step> steps;               // in the graph's order
  std::vector<int> inputs, outputs;      // of the graph, as declared; inputs with a weight of their name are no inputs
  std::vector<const ValueInfo*> input_infos;
};

// Drops steps that no output needs and says after which step each value can go.
void mark_last_uses(Plan& plan);

// A node that can't run, or a tensor or input that is at fault.
struct Problem {
  std::string op;                        // "" when no operator is concerned
  Error error;
};

// All that stands in the way of running the graph; empty when it runs. At most 64.
std::vector<Problem> problems_of(const OnnxFile& file);

// `memory` holds what must be copied. Errors: kUnsupported, kCorrupt (a value unknown, made twice or used before it is made),
// kOutOfMemory; `place` names node and operator.
Result<std::shared_ptr<const Plan>> make_plan(std::shared_ptr<const OnnxFile> file, Memory& memory);

}  // namespace retort::onnx
