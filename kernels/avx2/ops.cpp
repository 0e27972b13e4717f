// Norms, residual addition, gate and rotary embedding. Sums are in f64, as in the reference.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/exp.h"

namespace retort::kernels::avx2 {
namespace {

RETORT_INLINE double sum_lanes(__m256d v) {
  const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

RETORT_INLINE __m256d low_half(__m256 v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
RETORT_INLINE __m256d high_half(__m256 v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }

// Calls step(offset, values, count) for eight values at a time; the last may be fewer, with zeros behind.
template <class Step>
inline __attribute__((always_inline)) void each8(const float* x, std::size_t n, const Step& step) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) step(i, _mm256_loadu_ps(x + i), 8);
  if (i < n) step(i, load_first(x + i, static_cast<int>(n - i)), static_cast<int>(n - i));
}

RETORT_INLINE double sum_of_squares(const float* x, std::size_t n) {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  each8(x, n, [&](std::size_t, __m256 v, int) {
    a = _mm256_fmadd_pd(low_half(v), low_half(v), a);
    b = _mm256_fmadd_pd(high_half(v), high_half(v), b);
  });
  return sum_lanes(_mm256_add_pd(a, b));
}

RETORT_INLINE double sum_of(const float* x, std::size_t n) {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  each8(x, n, [&](std::size_t, __m256 v, int) {
    a = _mm256_add_pd(a, low_half(v));
    b = _mm256_add_pd(b, high_half(v));
  });
  return sum_lanes(_mm256_add_pd(a, b));
}

}  // namespace

void rms_norm(const float* x, const float* weight, float weight_offset, float epsilon, float* y, std::size_t rows,
              std::size_t n) {
  const __m256 offset = _mm256_set1_ps(weight_offset);
  for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
    const double mean = sum_of_squares(x, n) / static_cast<double>(n);
    const __m256 inverse = _mm256_set1_ps(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(epsilon))));
    each8(x, n, [&](std::size_t i, __m256 v, int count) {
      const __m256 w = _mm256_add_ps(load_first(weight + i, count), offset);
      store_first(y + i, count, _mm256_mul_ps(_mm256_mul_ps(v, inverse), w));
    });
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, std::size_t rows,
                std::size_t n) {
  for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
    const double mean = sum_of(x, n) / static_cast<double>(n);
    const __m256d centre = _mm256_set1_pd(mean);
    // The centred values are squared in f64: the difference of two large sums would lose the variance of a row far from 0.
    __m256d a = _mm256_setzero_pd();
    each8(x, n, [&](std::size_t, __m256 v, int count) {
      const __m256i present = first_lanes(count);
      __m256d low = _mm256_sub_pd(low_half(v), centre), high = _mm256_sub_pd(high_half(v), centre);
      low = _mm256_and_pd(low, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(present))));
      high = _mm256_and_pd(high, _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(present, 1))));
      a = _mm256_fmadd_pd(low, low, _mm256_fmadd_pd(high, high, a));
    });
    const double variance = sum_lanes(a) / static_cast<double>(n);
    const __m256d inverse = _mm256_set1_pd(1.0 / __builtin_sqrt(variance + static_cast<double>(epsilon)));
    each8(x, n, [&](std::size_t i, __m256 v, int count) {
      const __m128 low = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_sub_pd(low_half(v), centre), inverse));
      const __m128 high = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_sub_pd(high_half(v), centre), inverse));
      const __m256 shift = bias != nullptr ? load_first(bias + i, count) : _mm256_setzero_ps();
      store_first(y + i, count, _mm256_fmadd_ps(_mm256_set_m128(high, low), load_first(weight + i, count), shift));
    });
  }
}

void add_into(const float* x, float* y, std::size_t n) {
  each8(x, n, [&](std::size_t i, __m256 v, int count) {
    store_first(y + i, count, _mm256_add_ps(load_first(y + i, count), v));
  });
}

void silu_gate(const float* gate, const float* up, float* out, std::size_t n) {
  const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
  each8(gate, n, [&](std::size_t i, __m256 g, int count) {
    const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, exp8(_mm256_xor_ps(g, sign))));
    store_first(out + i, count, _mm256_mul_ps(silu, load_first(up + i, count)));
  });
}

namespace {

// Pairs (i, i + half).
RETORT_INLINE void rotate_halves(float* x, const float* cosine, const float* sine, std::size_t half) {
  for (std::size_t i = 0; i < half; i += 8) {
    const int count = half - i < 8 ? static_cast<int>(half - i) : 8;
    const __m256 a = load_first(x + i, count), b = load_first(x + i + half, count);
    const __m256 c = load_first(cosine + i, count), s = load_first(sine + i, count);
    store_first(x + i, count, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
    store_first(x + i + half, count, _mm256_fmadd_ps(a, s, _mm256_mul_ps(b, c)));
  }
}

// Pairs (2i, 2i + 1), four at a time.
RETORT_INLINE void rotate_neighbours(float* x, const float* cosine, const float* sine, std::size_t half) {
  const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
  for (std::size_t i = 0; i < half; i += 4) {
    const int count = half - i < 4 ? static_cast<int>(half - i) : 4;
    const __m256 v = load_first(x + 2 * i, 2 * count);
    const __m256 c = _mm256_permutevar8x32_ps(load_first(cosine + i, count), twice);
    const __m256 s = _mm256_permutevar8x32_ps(load_first(sine + i, count), twice);
    const __m256 swapped = _mm256_permute_ps(v, 0xb1);
    store_first(x + 2 * i, 2 * count, _mm256_fmaddsub_ps(v, c, _mm256_mul_ps(swapped, s)));
  }
}

}  // namespace

void rope(float* x, const float* cosine, const float* sine, std::size_t heads, std::size_t head_dim,
          std::size_t rotary, bool interleaved) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim) {
    if (interleaved) rotate_neighbours(x, cosine, sine, rotary / 2);
    else rotate_halves(x, cosine, sine, rotary / 2);
  }
}

}  // namespace retort::kernels::avx2
