// Static quantization of an ONNX graph: the weights of Conv, MatMul and Gemm become INT8 with a scale for each output channel,
// their activations UINT8 with one range each, taken from calibration runs. What is written is standard ONNX (QuantizeLinear and
// DequantizeLinear around the unchanged operators), so that any runtime can run it; everything else is copied byte for byte.
#pragma once

#include <map>
#include <string>

#include "core/onnx/session.h"

namespace retort::onnx {

struct Range {
  float low = 0, high = 0;               // 0 lies inside
};
using Ranges = std::map<std::string, Range, std::less<>>;   // by value name

// Widens the ranges of the values that quantization asks for by one run. Errors: those of a run, kNonFinite.
Result<void> observe(Session& session, const Session::Values& inputs, Ranges& ranges, const JobContext& job);

struct QuantizedGraph {
  std::string bytes;                     // the file
  std::size_t nodes = 0, kept = 0;       // products and convolutions that became 8-bit, and that stayed
  std::uint64_t weight_bytes_before = 0, weight_bytes_after = 0;
};
// Scale w = max|w| / 127 of its channel, codes rounded half to even; activations: scale (high - low) / 255, zero point rounded.
// A node stays as it is when its weight isn't constant f32 or no range was seen.
// Errors: kUnsupported (external data), kNonFinite (a weight).
Result<QuantizedGraph> quantize_graph(const Plan& plan, const Ranges& ranges);

}  // namespace retort::onnx
