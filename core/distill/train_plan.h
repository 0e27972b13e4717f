// TrainPlan: a graph lowered for training. A straight list of instructions (forward, loss, backward) over buffers whose
// life spans are known, so that each lies where an earlier one ended. What the backward pass needs is kept; what is cheap
// to make again (norms, gates) or, with `recompute`, everything inside a layer is made again when it is wanted.
//
// The decoder's head (hidden → vocabulary) is not in the plan: losses over a vocabulary run it in tiles (lm_head.h).
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/graph.h"
#include "kernels/api/matmul.h"

namespace retort::distill {

using BufferId = std::int32_t;
inline constexpr BufferId kNoBuffer = -1;

enum class Act : std::uint8_t {
  kForward,      // the node's operation: in → out
  kBackward,     // the node's gradients: in (where it needs them), d_out → d_in and its weights'
  kCopy,         // out = in[0]
  kAccumulate,   // out += in[0]
  kLoss,         // the caller reads outputs and writes their gradients
};

struct Instruction {
  Act act = Act::kForward;
  std::int32_t node = -1;
  std::vector<BufferId> in{};         // by input of the node; kNoBuffer where it isn't needed
  BufferId out = kNoBuffer;           // kForward, kCopy, kAccumulate
  BufferId d_out = kNoBuffer;         // kBackward
  std::vector<BufferId> d_in{};       // kBackward, by input; kNoBuffer where no gradient is wanted
  std::vector<bool> accumulate{};     // kBackward, by input: add to what d_in holds
};

struct PlanBuffer {
  std::int64_t width = 0;             // floats per row
  bool per_sequence = false;          // rows are sequences instead of tokens
  std::int32_t first = -1, last = -1; // instructions that touch it
};

struct TrainPlanOptions {
  std::vector<ValueId> outputs;       // values that losses read and give gradients for
  std::vector<bool> trainable;        // by WeightId
  bool backward = true;               // false: the forward pass only
  std::int32_t padding = -1;          // a token whose embedding isn't trained by looking it up; see padding_token()
  bool recompute = false;             // keep only what goes from layer to layer
  kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32;   // of products; all else is f32
};

struct TrainPlan {
  std::vector<Instruction> instructions;
  std::vector<PlanBuffer> buffers;
  std::vector<BufferId> output_values, output_gradients;   // by TrainPlanOptions::outputs
  std::int32_t loss = -1;             // index of the kLoss instruction
  std::int32_t head = -1;             // the node left out: the linear from hidden to vocabulary; -1 when there is none
};

// Errors: kUnsupported naming the node that can't be differentiated.
Result<TrainPlan> make_train_plan(const Graph& graph, const TrainPlanOptions& options);

// Where each buffer lies for a batch of so many tokens and sequences, in floats; the last element is the total.
std::vector<std::size_t> lay_out(const TrainPlan& plan, std::int64_t tokens, std::int64_t sequences);

}  // namespace retort::distill
