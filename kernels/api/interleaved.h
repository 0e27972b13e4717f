// The layout that integer kernels want: R rows (8 or 16, as many as a vector has 32-bit lanes) side by side, so that one
// vector of scales serves a block and no sum runs across a vector.
//
// A weight becomes groups of R rows (rows beyond the last are zeros); a group is one record per block of the type:
//   scales   f16 d[R], then f16 m[R] or dmin[R] where the type has one
//   sub      super-block types only, two sub-blocks at a time: byte [2r + s] is row r's entry for sub-block 2i + s.
//            Q4_K, Q5_K: 4 × 2R scales, then 4 × 2R minima; Q2_K: 8 × 2R bytes as stored (scale | minimum << 4);
//            Q3_K, Q6_K: 8 × 2R signed scales
//   planes   per 32 elements, vectors of 4R bytes in which byte [4r + j] belongs to row r and element 4q + j, q being
//            the "quad" 0…7 of the 32:
//            8 bits: vector q holds quad q;  nibbles: vector v holds quad v low, quad v + 4 high;
//            2 bits: vector h holds quads 4h + f in bits 2f;  1 bit: bit q of the one vector is quad q.
//            4 bits = nibbles; 5 = nibbles, 1 bit; 6 = nibbles, 2 bits; 3 = 2 bits, 1 bit; 2 = 2 bits.
// So there are as many vectors per 32 elements as the code has bits, and the size is the stored one, except that the
// packed scales of Q3_K, Q4_K and Q5_K grow by 4 bytes per 256 weights.
// I8 is kept likewise: one record per 4 columns (missing ones zero), 8-bit quads without scales.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/tensor_type.h"

namespace retort::kernels {

struct InterleavedShape {
  int block = 0;          // elements per record
  int bits = 0;           // of a code
  int scale_bytes = 0;    // per row: d, and m or dmin
  int sub_bytes = 0;      // per row: sub-block scales and minima
  constexpr int row_bytes() const noexcept { return scale_bytes + sub_bytes + block * bits / 8; }
  constexpr bool valid() const noexcept { return block != 0; }
};

constexpr InterleavedShape interleaved_shape(TensorType type) noexcept {
  switch (type) {
    case TensorType::kQ4_0: return {32, 4, 2, 0};
    case TensorType::kQ4_1: return {32, 4, 4, 0};
    case TensorType::kQ5_0: return {32, 5, 2, 0};
    case TensorType::kQ5_1: return {32, 5, 4, 0};
    case TensorType::kQ8_0: return {32, 8, 2, 0};
    case TensorType::kQ2_K: return {256, 2, 4, 16};
    case TensorType::kQ3_K: return {256, 3, 2, 16};
    case TensorType::kQ4_K: return {256, 4, 4, 16};
    case TensorType::kQ5_K: return {256, 5, 4, 16};
    case TensorType::kQ6_K: return {256, 6, 2, 16};
    case TensorType::kI8: return {4, 8, 0, 0};
    default: return {};
  }
}

// Bytes of one group of `rows` rows.
constexpr std::size_t interleaved_group_bytes(TensorType type, std::int64_t columns, int rows) noexcept {
  const InterleavedShape shape = interleaved_shape(type);
  const auto records = static_cast<std::size_t>((columns + shape.block - 1) / shape.block);
  return records * static_cast<std::size_t>(shape.row_bytes() * rows);
}

// Writes the group that starts at `first_row`; `rows` is 8 or 16, `stored` the whole weight of `total_rows` rows.
void interleave_group(TensorType type, const void* stored, std::int64_t total_rows, std::int64_t columns,
                      std::int64_t first_row, int rows, void* out) noexcept;

}  // namespace retort::kernels
