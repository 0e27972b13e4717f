// What static quantization does to a node, apart from how it is written: which nodes, which codes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/onnx/calibrate.h"

namespace retort::onnx {

// A step whose activation and weight become 8-bit.
struct Target {
  const Step* step = nullptr;
  const Plan::Value* weight = nullptr;
  std::string activation;
  std::size_t axis = 0;                  // of the weight's output channels
};
std::vector<Target> targets_of(const Plan& plan);

struct Codes {
  std::vector<std::int8_t> values;
  std::vector<float> scales;             // one for each channel
};
// Scale max|w| / 127 of each channel. Errors: kNonFinite.
Result<Codes> round_weight(const Target& target);

// The weight as its codes give it back, in the session's memory. Errors: kNonFinite, kOutOfMemory.
Result<Tensor> rounded_weight(Session& session, const Target& target);

// value = (code - zero) · scale, codes 0 … 255.
struct Grid {
  float scale = 1;
  std::uint8_t zero = 0;
};
Grid grid_of(const Range& range) noexcept;

}  // namespace retort::onnx
