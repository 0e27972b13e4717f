// Values of ONNX graphs out of safetensors files.
#pragma once

#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/onnx/session.h"

namespace retort::cli {

// The type that safetensors holds such values in; truth values are bytes there.
TensorType stored_type(onnx::ElementType type) noexcept;
// The graph's inputs; tensors are named PREFIX + input. What the file lacks is left out: the session says so.
Result<onnx::Session::Values> read_values(onnx::Session& session, const Checkpoint& file, const std::string& prefix = {});
// One set of inputs, or several whose names begin with 0/, 1/ …
Result<std::vector<onnx::Session::Values>> read_value_sets(onnx::Session& session, const std::string& path);

}  // namespace retort::cli
