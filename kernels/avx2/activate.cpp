// Functions of one value, eight at a time.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/exp.h"

namespace retort::kernels::avx2 {
namespace {

RETORT_INLINE __m256 set(float x) { return _mm256_set1_ps(x); }

RETORT_INLINE __m256 sigmoid8(__m256 x) {
  return _mm256_div_ps(set(1.0f), _mm256_add_ps(set(1.0f), exp8(_mm256_xor_ps(x, set(-0.0f)))));
}

// x · erfc(-x / √2) / 2. For z >= 0, erfc z = e^(-z²) · Q(1 / (1 + 0.3 z)), where Q is the polynomial of degree 9 without
// constant term whose relative error is least (1.8e-8; fitted on Chebyshev nodes up to z = 8, beyond which e^(-z²) is
// below 1e-27). For negative x that is the result itself, so nothing cancels.
RETORT_INLINE __m256 gelu8(__m256 x) {
  constexpr float kQ[] = {0.16920982f, 0.17040548f, 0.15021313f,  0.20861015f, -0.08166585f,
                          0.53102442f, -0.49915030f, 0.47978417f, -0.12843104f};
  const __m256 z = _mm256_mul_ps(_mm256_andnot_ps(set(-0.0f), x), set(0.70710678f));
  const __m256 t = _mm256_div_ps(set(1.0f), _mm256_fmadd_ps(set(0.3f), z, set(1.0f)));
  __m256 q = set(kQ[8]);
  for (int i = 7; i >= 0; --i) q = _mm256_fmadd_ps(q, t, set(kQ[i]));
  const __m256 square = _mm256_mul_ps(z, z);
  // What rounding took from z²: e^(-z²) would magnify it.
  const __m256 rest = _mm256_fmsub_ps(z, z, square);
  const __m256 power = exp8(_mm256_xor_ps(square, set(-0.0f)));
  const __m256 tail = _mm256_mul_ps(_mm256_mul_ps(q, t), _mm256_fnmadd_ps(rest, power, power));
  const __m256 whole = _mm256_blendv_ps(_mm256_sub_ps(set(2.0f), tail), tail, x);   // by the sign of x
  return _mm256_mul_ps(_mm256_mul_ps(x, set(0.5f)), whole);
}

// (1 + tanh u) / 2 = 1 / (1 + e^-2u).
RETORT_INLINE __m256 gelu_tanh8(__m256 x) {
  const __m256 cube = _mm256_mul_ps(_mm256_mul_ps(x, x), x);
  const __m256 u = _mm256_mul_ps(set(1.59576912f), _mm256_fmadd_ps(set(0.044715f), cube, x));
  return _mm256_mul_ps(x, sigmoid8(u));
}

template <class F>
inline __attribute__((always_inline)) void each(const float* x, float* y, std::size_t n, const F& f) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, f(_mm256_loadu_ps(x + i)));
  if (i < n) store_first(y + i, static_cast<int>(n - i), f(load_first(x + i, static_cast<int>(n - i))));
}

RETORT_INLINE __m256 positive(__m256 x) { return _mm256_max_ps(x, _mm256_setzero_ps()); }

}  // namespace

void activate(Activation f, const float* x, float* y, std::size_t n) {
  switch (f) {
    case Activation::kSilu: each(x, y, n, [](__m256 v) { return _mm256_mul_ps(v, sigmoid8(v)); }); break;
    case Activation::kGelu: each(x, y, n, [](__m256 v) { return gelu8(v); }); break;
    case Activation::kGeluTanh: each(x, y, n, [](__m256 v) { return gelu_tanh8(v); }); break;
    case Activation::kGeluQuick:
      each(x, y, n, [](__m256 v) { return _mm256_mul_ps(v, sigmoid8(_mm256_mul_ps(v, set(1.702f)))); });
      break;
    case Activation::kRelu: each(x, y, n, [](__m256 v) { return positive(v); }); break;
    case Activation::kReluSquared: each(x, y, n, [](__m256 v) { return _mm256_mul_ps(positive(v), positive(v)); }); break;
    case Activation::kTanh: each(x, y, n, [](__m256 v) { return tanh8(v); }); break;
    case Activation::kSigmoid: each(x, y, n, [](__m256 v) { return sigmoid8(v); }); break;
  }
}

void multiply_into(const float* x, float* y, std::size_t n) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  for (; i < n; ++i) y[i] *= x[i];
}

void scale(float factor, float* y, std::size_t n) {
  each(y, y, n, [factor](__m256 v) { return _mm256_mul_ps(v, set(factor)); });
}

void soft_cap(float cap, float* y, std::size_t n) {
  each(y, y, n, [cap](__m256 v) { return _mm256_mul_ps(set(cap), tanh8(_mm256_div_ps(v, set(cap)))); });
}

}  // namespace retort::kernels::avx2
