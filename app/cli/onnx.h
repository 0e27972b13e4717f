// What `retort inspect` and `retort forward` do with an ONNX file.
#pragma once

#include <string>

#include "app/cli/commands.h"

namespace retort::cli {

// A file that begins as ONNX files do, or is named so.
bool is_onnx(const std::string& path);
Result<void> inspect_onnx(const std::string& path, bool json, bool tensors);
// Inputs and outputs by the graph's names, run `repeat` times; --json prints the seconds of each run.
Result<void> forward_onnx(const std::string& path, const std::string& input, const std::string& output, int repeat, const CommonOptions& options,
                          Context& context);

struct OnnxQuantizeOptions {
  CommonOptions common;
  std::string model, type, calibration, data, output;   // data: what both are compared on; "": the calibration inputs
  std::string ranges = "mse";                           // RangeMethod's id
  double most_error = 0.05, most_f32 = 0.1;             // what measure_sensitivity aims at
};
// Writes the graph with 8-bit weights and activations, runs both and prints what that changed.
Result<void> quantize_onnx(const OnnxQuantizeOptions& options, Context& context);

}  // namespace retort::cli
