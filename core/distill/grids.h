// Grids: fixed lists of values that a group of weights is rounded to, times a scale of the group. Integers of 2 to 8 bits,
// and the floats of 4 bits of MXFP4 (OCP Microscaling 1.0) and NF4 (Dettmers et al. 2023). They exist for folders, where a
// level of GGUF has no place; PackedWeights trains through them, packed_folder.cpp writes them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace retort::distill {

enum class GridScale : std::uint8_t {
  kHalf,       // f16
  kExponent,   // a power of two, 2^-127 … 2^127
  kFloat,      // f32: the group's largest magnitude
};

struct Grid {
  std::string_view level;             // "INT4"
  int bits;
  std::span<const float> values;      // ascending, code c has value values[c]
  std::int64_t group;                 // weights under one scale, unless a recipe says otherwise; 0: a row
  bool any_group;                     // a recipe may say otherwise
  GridScale scale;
  float greatest() const noexcept { return values.back(); }
};

// INT2 … INT8, MXFP4, NF4. Null for another name.
const Grid* find_grid(std::string_view level) noexcept;
std::span<const Grid> grids() noexcept;
const Grid* integer_grid(int bits) noexcept;

// The code whose value is nearest to x (of two, the lower).
std::uint8_t nearest_code(const Grid& grid, float x) noexcept;
// A scale as the file holds it.
float held_scale(const Grid& grid, float scale) noexcept;
// The scale that leaves the least squared error among several, and its codes. Zeros: scale 0 (exponents: the least one).
float fit_group(const Grid& grid, const float* weights, std::int64_t count, std::uint8_t* codes) noexcept;
// What rounding a part of a group (some hundred weights) under this scale leaves.
double squared_error(const Grid& grid, const float* weights, std::int64_t count, float scale) noexcept;

}  // namespace retort::distill
