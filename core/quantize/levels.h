// Levels: what people pick ("Q4_K_M"), each a policy that gives every tensor its type, as data.
// A GGUF level is llama.cpp's own mix with its fallbacks, so files have the same types and sizes as llama-quantize's.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/model.h"

namespace retort {

// Level::gguf_file_type of a level that GGUF has no types for.
inline constexpr std::uint32_t kNoGgufFileType = 0xffffffff;

struct Level {
  std::string_view id;            // "Q4_K_M"
  std::string_view plain;         // "4-bit, mixed"
  std::string_view explanation;   // one line for the hover
  double nominal_bits;            // of its main type
  std::uint32_t gguf_file_type;   // general.file_type, or kNoGgufFileType
  bool takes_importance;          // an importance matrix changes its bytes
};
// Largest first: F16, Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K, and INT8.
std::span<const Level> levels() noexcept;
const Level* find_level(std::string_view id) noexcept;

struct TensorPlan {
  WeightId weight;
  std::string name;               // canonical
  kernels::TensorType type;       // what it becomes
  std::optional<kernels::TensorType> wanted;   // set when the rows don't fill a block: what the level asked for
  std::uint64_t bytes;            // I8: codes and scales
};
struct LevelPlan {
  std::vector<TensorPlan> tensors;      // every weight, in the graph's order
  std::uint64_t bytes = 0;              // tensor data
  // GGUF file with metadata and padding, equal to llama-quantize's. INT8, which GGUF lacks, is counted as if it had it.
  // Of a model that cannot become GGUF: the folder that is written.
  std::uint64_t file_bytes = 0;
  double bits_per_weight = 0;
};
struct ExportImportance;          // core/export/gguf_export.h

struct TypeOverride {
  std::string pattern;            // ECMAScript regular expression over canonical names, first match wins
  kernels::TensorType type;
};
// Norms, biases and other one-dimensional weights keep their type (F32 when the source is a folder).
// has_importance matters for a few choices, as in llama.cpp; `note` then is what the file will say about the matrix
// (null: texts of usual length), since file_bytes counts it. Errors: kBadArgument (unknown level, type, pattern).
Result<LevelPlan> plan_level(const Model& model, std::string_view level, bool has_importance,
                             std::span<const TypeOverride> overrides = {}, const ExportImportance* note = nullptr);

}  // namespace retort
