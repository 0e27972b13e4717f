// Values of ONNX graphs out of safetensors files: sets of inputs, and the right answers beside them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/onnx/session.h"

namespace retort::onnx {

// The type that safetensors holds such values in; truth values are bytes there.
TensorType stored_type(ElementType type) noexcept;
// The graph's inputs; tensors are named PREFIX + input. What the file lacks is left out: the session says so.
Result<Session::Values> read_values(Session& session, const Checkpoint& file, const std::string& prefix = {});
// One set of inputs, or several whose names begin with 0/, 1/ …
Result<std::vector<Session::Values>> read_value_sets(Session& session, const std::filesystem::path& path);
// The right answers of each set: whole numbers named `label` or 0/label, 1/label …; empty when the file has none.
// Errors: kBadShape (another type), those of opening the file.
Result<std::vector<std::vector<std::int64_t>>> read_labels(const std::filesystem::path& path, std::size_t sets);

}  // namespace retort::onnx
