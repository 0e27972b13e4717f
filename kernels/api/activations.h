// Activations rounded to 8 bits: the rules that llama.cpp follows for the same weight types, kept as separate arrays
// (codes, scales, sums) rather than blocks, because kernels read the codes as one stream.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/tensor_type.h"

namespace retort::kernels {

enum class Q8Layout : std::uint8_t {
  kNone,       // f32
  kBlocks32,   // d = max|x| / 127 rounded to f16; code = round_half_even(x · (127 / max|x|)); for blocks of 32
  kBlocks256,  // d = 1 / (-127 / x_max), x_max the first value of greatest magnitude with its sign; for super-blocks
  kRow,        // d = max|x| / 127 in f32 for the whole row; for INT8
};

// A block whose greatest magnitude lies below this becomes zeros with scale 0: its reciprocal could overflow.
inline constexpr float kSmallestRounded = 0x1p-100f;

// One rounded row of n values, n a multiple of the layout's block (any n for kRow). Arrays that a layout does not name
// are left alone.
struct Q8Row {
  std::int8_t* codes = nullptr;     // n, then zeros up to a multiple of 4
  float* scales = nullptr;          // one per block
  std::int32_t* sums = nullptr;     // kBlocks32: the sum of a block's codes; kRow: one for the row
  float* scaled_sums = nullptr;     // kBlocks32: scale · sum
  std::int16_t* sums32 = nullptr;   // kBlocks256: sums of 32 codes each
  std::int16_t* sums16 = nullptr;   // kBlocks256: sums of 16 codes each
};

// The rounding that belongs to a weight type; kNone for dense types.
constexpr Q8Layout q8_layout(TensorType type) noexcept {
  switch (type) {
    case TensorType::kQ4_0: case TensorType::kQ4_1: case TensorType::kQ5_0: case TensorType::kQ5_1:
    case TensorType::kQ8_0: return Q8Layout::kBlocks32;
    case TensorType::kQ2_K: case TensorType::kQ3_K: case TensorType::kQ4_K: case TensorType::kQ5_K:
    case TensorType::kQ6_K: return Q8Layout::kBlocks256;
    case TensorType::kI8: return Q8Layout::kRow;
    default: return Q8Layout::kNone;
  }
}

// Rounds one row.
using RoundRow = void (*)(Q8Layout layout, const float* x, std::size_t n, const Q8Row& out);
// out[i] = code · scale: what a rounded row stands for.
using ExpandRow = void (*)(Q8Layout layout, const Q8Row& row, std::size_t n, float* out);

}  // namespace retort::kernels
