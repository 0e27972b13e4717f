// Rows of dense values turned into panels [k][16] for gemm.h.
#pragma once

#include "kernels/avx2/dense_rows.h"

namespace retort::kernels::avx2 {

RETORT_INLINE void transpose8(__m256* r) {
  __m256 a[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  __m256 b[8];
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

namespace {

// 8 rows (of which `rows` exist; the first stands in for the others) × depth → eight columns of a panel that is Stride wide.
template <class Row, int Stride = 16>
inline void half_panel(const std::uint8_t* weights, std::int64_t row_bytes, std::int64_t rows, std::int64_t depth,
                       float* out) {
  const std::uint8_t* from[8];
  for (int r = 0; r < 8; ++r) from[r] = weights + (r < rows ? r : 0) * row_bytes;
  for (std::int64_t k = 0; k < depth; k += 8) {
    __m256 v[8];
    for (int r = 0; r < 8; ++r)
      v[r] = depth - k >= 8 ? Row::load(from[r] + k * Row::kBytes)
                            : load_tail<Row>(from[r] + k * Row::kBytes, depth - k);
    transpose8(v);
    for (int i = 0; i < 8 && k + i < depth; ++i) _mm256_storeu_ps(out + (k + i) * Stride, v[i]);
  }
}

}  // namespace
}  // namespace retort::kernels::avx2
