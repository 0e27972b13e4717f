// Tells whether a source is quantized already: stored packed, or stored dense with values that lie on the grid of a
// quantized type (an expansion). Comparing quantizers on such a source is not fair to those with another grid.
#pragma once

#include <optional>
#include <string>

#include "core/formats/checkpoint.h"

namespace retort {

struct SourceQuantization {
  TensorType type;       // which packed type, or whose grid
  bool stored = false;   // true: the file holds this type; false: dense values on its grid
  std::string scheme{};  // "GPTQ, 4 bits, groups of 128" where the values lie in several parts; `type` is then kF32
  std::string name() const { return scheme.empty() ? std::string(kernels::traits(type).name) : scheme; }
};

// Reads headers, and of dense tensors a few hundred blocks of 32 values. nullopt: neither.
std::optional<SourceQuantization> find_source_quantization(const Checkpoint& checkpoint);

// The coarsest grid that holds `values` (one block, a row's neighbours): Q4_0, Q5_0, Q8_0 when it passes through 0, else
// Q4_1, Q5_1; nullopt when none does, or when fewer than four values differ. `unit` is the relative rounding error of the
// type in which they are stored.
std::optional<TensorType> grid_of_block(std::span<const float> values, double unit);

}  // namespace retort
