// Loads of dense weights as f32, eight at a time, from addresses of any alignment.
#pragma once

#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

struct RowF32 {
  static constexpr int kBytes = 4;
  static inline __attribute__((always_inline)) __m256 load(const std::uint8_t* from) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  }
};
struct RowF16 {
  static constexpr int kBytes = 2;
  static inline __attribute__((always_inline)) __m256 load(const std::uint8_t* from) { return load_half8(from); }
};
struct RowBF16 {
  static constexpr int kBytes = 2;
  static inline __attribute__((always_inline)) __m256 load(const std::uint8_t* from) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
};

// The last `count` (1 … 7) elements of a row, zeros behind them.
template <class Row>
inline __attribute__((always_inline)) __m256 load_tail(const std::uint8_t* from, std::int64_t count) {
  std::uint8_t buffer[8 * Row::kBytes] = {};
  __builtin_memcpy(buffer, from, static_cast<std::size_t>(count) * Row::kBytes);
  return Row::load(buffer);
}

}  // namespace
}  // namespace retort::kernels::avx2
