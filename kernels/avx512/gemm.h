// As avx2/gemm.h with 32 columns: c[m, 32] (+)= a[m, k] · b[k, 32], twelve rows at a time in 24 accumulators.
#pragma once

#include "kernels/avx512/vec.h"

namespace retort::kernels::avx512 {
namespace {

constexpr std::int64_t kPanelDepth = 256;  // of a panel of b; whole blocks of every packed type

struct GemmArgs {
  const float* a;
  std::int64_t a_stride;
  const float* b;          // [k, 32]
  std::int64_t k;
  float* c;
  std::int64_t c_stride;
  bool accumulate;         // add to what c holds
};

template <int M>
inline __attribute__((always_inline)) void gemm_rows(const GemmArgs& args) {
  __m512 sum[M][2];
  for (int i = 0; i < M; ++i) {
    const float* const c = args.c + i * args.c_stride;
    sum[i][0] = args.accumulate ? _mm512_loadu_ps(c) : _mm512_setzero_ps();
    sum[i][1] = args.accumulate ? _mm512_loadu_ps(c + 16) : _mm512_setzero_ps();
  }
  const float* a = args.a;
  const float* b = args.b;
  for (std::int64_t k = 0; k < args.k; ++k, ++a, b += 32) {
    const __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
#pragma GCC unroll 12
    for (int i = 0; i < M; ++i) {
      const __m512 x = _mm512_set1_ps(a[i * args.a_stride]);
      sum[i][0] = _mm512_fmadd_ps(x, b0, sum[i][0]);
      sum[i][1] = _mm512_fmadd_ps(x, b1, sum[i][1]);
    }
  }
  for (int i = 0; i < M; ++i) {
    _mm512_storeu_ps(args.c + i * args.c_stride, sum[i][0]);
    _mm512_storeu_ps(args.c + i * args.c_stride + 16, sum[i][1]);
  }
}

}  // namespace

// All m rows.
static inline void gemm32(GemmArgs args, std::int64_t m) {
  const auto step = [&](int rows) {
    args.a += rows * args.a_stride;
    args.c += rows * args.c_stride;
    m -= rows;
  };
  for (; m >= 12; step(12)) gemm_rows<12>(args);
  for (; m >= 4; step(4)) gemm_rows<4>(args);
  for (; m >= 1; step(1)) gemm_rows<1>(args);
}

// As gemm32 where only the first `columns` of c exist: goes through a small buffer.
static inline void gemm_narrow(GemmArgs args, std::int64_t m, std::int64_t columns) {
  float buffer[12 * 32] = {};
  GemmArgs part = args;
  part.c = buffer;
  part.c_stride = 32;
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (std::int64_t first = 0; first < m; first += 12) {
    const std::int64_t count = m - first < 12 ? m - first : 12;
    float* const c = args.c + first * args.c_stride;
    for (std::int64_t i = 0; i < count && args.accumulate; ++i)
      __builtin_memcpy(buffer + i * 32, c + i * args.c_stride, bytes);
    part.a = args.a + first * args.a_stride;
    gemm32(part, count);
    for (std::int64_t i = 0; i < count; ++i) __builtin_memcpy(c + i * args.c_stride, buffer + i * 32, bytes);
  }
}

}  // namespace retort::kernels::avx512
