// Static quantization of an ONNX graph: the weights of Conv, MatMul and Gemm become INT8 with a scale for each output channel,
// their activations UINT8 with one range each, taken from calibration runs. What is written is standard ONNX (QuantizeLinear and
// DequantizeLinear around the unchanged operators), so that any runtime can run it; everything else is copied byte for byte.
// Nodes that carry most of the damage can stay in f32: which ones is measured, one by one and together.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/onnx/calibrate.h"

namespace retort::onnx {

// Names of the values that become 8-bit: first inputs of products and convolutions with constant f32 weights.
std::vector<std::string> quantized_activations(const Plan& plan);

// Biases of nodes that become 8-bit, by the node's index: what they were, less the shift of the mean that rounding causes in each
// output channel. Conv and Gemm with a constant bias or none. Errors: those of a run, kNonFinite (a weight).
using Biases = std::map<std::size_t, std::vector<float>>;
Result<Biases> corrected_biases(Session& session, const Ranges& ranges, std::span<const Session::Values> sets, const JobContext& job);

using NodeSet = std::set<std::size_t>;   // by the node's index in its graph

struct QuantizedGraph {
  std::string bytes;                     // the file
  std::size_t nodes = 0, kept = 0;       // products and convolutions that became 8-bit, and that stayed
  std::uint64_t weight_bytes_before = 0, weight_bytes_after = 0;
};
// Scale w = max|w| / 127 of its channel, codes rounded half to even; activations: scale (high - low) / 255, zero point rounded.
// A node stays as it is when its weight isn't constant f32, no range was seen, or `kept` has it.
// Errors: kUnsupported (external data), kNonFinite (a weight).
Result<QuantizedGraph> quantize_graph(const Plan& plan, const Ranges& ranges, const NodeSet& kept = {}, const Biases& biases = {});

struct Sensitivity {
  std::size_t node = 0;                  // index in the graph
  std::string label, weight;             // "node 3 conv1 (Conv)", the weight's name
  std::uint64_t bytes = 0;               // of the weight in f32
  double error = 0;                      // of the outputs when this node alone is 8-bit
  bool kept = false;                     // stays in f32
};
struct SensitivityReport {
  std::vector<Sensitivity> nodes;        // the most damaging first
  double error_all = 0;                  // of the outputs when every node is 8-bit
  double error = 0;                      // with the kept ones in f32
  NodeSet kept() const;
};
// Errors are the relative root mean square of all f32 outputs over `sets`, measured by running the graph with rounded weights and
// activations. Keeps nodes in f32, those with the most damage for their bytes first, until the error is at most `target` (relative), but none whose weights would
// make more than `most_bytes` (a share of all weights' bytes) stay. target 0 keeps none.
// Errors: those of a run, kNonFinite (a weight), kCanceled. Progress in nodes.
Result<SensitivityReport> measure_sensitivity(Session& session, const Ranges& ranges, const Biases& biases, std::span<const Session::Values> sets, double target,
                                              double most_bytes, const JobContext& job);

}  // namespace retort::onnx
