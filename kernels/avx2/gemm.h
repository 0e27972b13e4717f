// c[m, 16] (+)= a[m, k] · b[k, 16] in f32: six rows of a at a time, 12 accumulators in registers. Each output is one
// chain of fused multiply-adds over k in order, however the work is cut.
#pragma once

#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

struct GemmArgs {
  const float* a;
  std::int64_t a_stride;
  const float* b;          // row k at b + k · b_stride
  std::int64_t b_stride;
  std::int64_t k;
  float* c;
  std::int64_t c_stride;
  bool accumulate;         // add to what c holds
};

template <int M>
inline __attribute__((always_inline)) void gemm_rows(const GemmArgs& args) {
  __m256 sum[M][2];
  for (int i = 0; i < M; ++i) {
    const float* const c = args.c + i * args.c_stride;
    sum[i][0] = args.accumulate ? _mm256_loadu_ps(c) : _mm256_setzero_ps();
    sum[i][1] = args.accumulate ? _mm256_loadu_ps(c + 8) : _mm256_setzero_ps();
  }
  const float* a = args.a;
  const float* b = args.b;
  for (std::int64_t k = 0; k < args.k; ++k, ++a, b += args.b_stride) {
    const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < M; ++i) {
      const __m256 x = _mm256_broadcast_ss(a + i * args.a_stride);
      sum[i][0] = _mm256_fmadd_ps(x, b0, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(x, b1, sum[i][1]);
    }
  }
  for (int i = 0; i < M; ++i) {
    _mm256_storeu_ps(args.c + i * args.c_stride, sum[i][0]);
    _mm256_storeu_ps(args.c + i * args.c_stride + 8, sum[i][1]);
  }
}

}  // namespace

// All m rows.
static inline void gemm16(GemmArgs args, std::int64_t m) {
  for (; m >= 6; m -= 6) {
    gemm_rows<6>(args);
    args.a += 6 * args.a_stride;
    args.c += 6 * args.c_stride;
  }
  switch (m) {
    case 5: gemm_rows<5>(args); return;
    case 4: gemm_rows<4>(args); return;
    case 3: gemm_rows<3>(args); return;
    case 2: gemm_rows<2>(args); return;
    case 1: gemm_rows<1>(args); return;
    default: return;
  }
}

// As gemm16 where only the first `columns` of c exist: goes through a small buffer.
static inline void gemm_narrow(GemmArgs args, std::int64_t m, int columns) {
  float buffer[6 * 16] = {};
  GemmArgs part = args;
  part.c = buffer;
  part.c_stride = 16;
  for (std::int64_t first = 0; first < m; first += 6) {
    const std::int64_t count = m - first < 6 ? m - first : 6;
    float* const c = args.c + first * args.c_stride;
    for (std::int64_t i = 0; i < count && args.accumulate; ++i)
      for (int j = 0; j < columns; ++j) buffer[i * 16 + j] = c[i * args.c_stride + j];
    part.a = args.a + first * args.a_stride;
    gemm16(part, count);
    for (std::int64_t i = 0; i < count; ++i)
      for (int j = 0; j < columns; ++j) c[i * args.c_stride + j] = buffer[i * 16 + j];
  }
}

}  // namespace retort::kernels::avx2
