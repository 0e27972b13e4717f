// Backward passes of norms and gates, softmax, the optimizer. Sums that decide a row's gradient are in f64.
#include "kernels/avx2/exp.h"
#include "kernels/avx2/train.h"
#include "kernels/reference/train.h"

namespace retort::kernels::avx2 {
namespace {

RETORT_INLINE double sum_lanes(__m256d v) {
  const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
RETORT_INLINE __m256d low_half(__m256 v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
RETORT_INLINE __m256d high_half(__m256 v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }

// Lanes of a sum in f64.
struct Sum {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
  inline __attribute__((always_inline)) void add(__m256 v) {
    a = _mm256_add_pd(a, low_half(v));
    b = _mm256_add_pd(b, high_half(v));
  }
  inline __attribute__((always_inline)) void add_product(__m256 x, __m256 y) {
    a = _mm256_fmadd_pd(low_half(x), low_half(y), a);
    b = _mm256_fmadd_pd(high_half(x), high_half(y), b);
  }
  inline __attribute__((always_inline)) double total() const { return sum_lanes(_mm256_add_pd(a, b)); }
};

// Calls step(offset, count) for eight values at a time; the last may be fewer.
template <class Step>
inline __attribute__((always_inline)) void each8(std::size_t n, const Step& step) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) step(i, 8);
  if (i < n) step(i, static_cast<int>(n - i));
}

RETORT_INLINE __m256 get(const float* from, int count) { return count >= 8 ? _mm256_loadu_ps(from) : load_first(from, count); }

RETORT_INLINE void put(float* to, int count, bool accumulate, __m256 v) {
  store_first(to, count, accumulate ? _mm256_add_ps(get(to, count), v) : v);
}

}  // namespace

double softmax_row(const float* x, float scale, float* out, std::size_t n) {
  const __m256 lowest = _mm256_set1_ps(-__builtin_inff()), factor = _mm256_set1_ps(scale);
  __m256 peak = lowest;
  each8(n, [&](std::size_t i, int count) {
    const __m256 v = _mm256_mul_ps(get(x + i, count), factor);
    peak = _mm256_max_ps(peak, count >= 8 ? v : _mm256_blendv_ps(lowest, v, _mm256_castsi256_ps(first_lanes(count))));
  });
  const float most = max_lanes(peak);
  const __m256 shift = _mm256_set1_ps(most);
  Sum sum;
  each8(n, [&](std::size_t i, int count) {
    const __m256 e = exp8(_mm256_sub_ps(_mm256_mul_ps(get(x + i, count), factor), shift));
    sum.add(count >= 8 ? e : _mm256_and_ps(e, _mm256_castsi256_ps(first_lanes(count))));
    store_first(out + i, count, e);
  });
  const double total = sum.total();
  const __m256 inverse = _mm256_set1_ps(static_cast<float>(1.0 / total));
  each8(n, [&](std::size_t i, int count) { store_first(out + i, count, _mm256_mul_ps(get(out + i, count), inverse)); });
  return static_cast<double>(most) + __builtin_log(total);
}

void rms_norm_backward(const float* x, const float* weight, float weight_offset, float epsilon, const float* dy, float* dx,
                       bool accumulate, float* dweight, std::size_t rows, std::size_t n) {
  const __m256 offset = _mm256_set1_ps(weight_offset);
  const double count_all = static_cast<double>(n);
  for (std::size_t r = 0; r < rows; ++r, x += n, dy += n, dx += n) {
    Sum squares, along;
    each8(n, [&](std::size_t i, int count) {
      const __m256 v = get(x + i, count);
      const __m256 g = _mm256_mul_ps(get(dy + i, count), _mm256_add_ps(get(weight + i, count), offset));
      squares.add_product(v, v);
      along.add_product(g, v);
    });
    const double inverse = 1.0 / __builtin_sqrt(squares.total() / count_all + static_cast<double>(epsilon));
    const __m256 scale = _mm256_set1_ps(static_cast<float>(inverse));
    const __m256 back = _mm256_set1_ps(static_cast<float>(along.total() * inverse * inverse * inverse / count_all));
    each8(n, [&](std::size_t i, int count) {
      const __m256 v = get(x + i, count), d = get(dy + i, count);
      const __m256 g = _mm256_mul_ps(d, _mm256_add_ps(get(weight + i, count), offset));
      put(dweight + i, count, true, _mm256_mul_ps(_mm256_mul_ps(d, v), scale));
      put(dx + i, count, accumulate, _mm256_fmsub_ps(g, scale, _mm256_mul_ps(v, back)));
    });
  }
}

void layer_norm_backward(const float* x, const float* weight, float epsilon, const float* dy, float* dx, bool accumulate,
                         float* dweight, float* dbias, std::size_t rows, std::size_t n) {
  const double count_all = static_cast<double>(n);
  for (std::size_t r = 0; r < rows; ++r, x += n, dy += n, dx += n) {
    Sum sum, squares, mean, along;
    each8(n, [&](std::size_t i, int count) { sum.add(get(x + i, count)); });
    const __m256 centre = _mm256_set1_ps(static_cast<float>(sum.total() / count_all));
    each8(n, [&](std::size_t i, int count) {
      __m256 v = _mm256_sub_ps(get(x + i, count), centre);
      if (count < 8) v = _mm256_and_ps(v, _mm256_castsi256_ps(first_lanes(count)));
      const __m256 g = _mm256_mul_ps(get(dy + i, count), get(weight + i, count));
      squares.add_product(v, v);
      mean.add(g);
      along.add_product(g, v);
    });
    const double inverse = 1.0 / __builtin_sqrt(squares.total() / count_all + static_cast<double>(epsilon));
    const __m256 scale = _mm256_set1_ps(static_cast<float>(inverse));
    const __m256 shift = _mm256_set1_ps(static_cast<float>(mean.total() / count_all));
    const __m256 back = _mm256_set1_ps(static_cast<float>(along.total() * inverse * inverse / count_all));
    each8(n, [&](std::size_t i, int count) {
      const __m256 v = _mm256_sub_ps(get(x + i, count), centre), d = get(dy + i, count);
      const __m256 g = _mm256_sub_ps(_mm256_mul_ps(d, get(weight + i, count)), shift);
      put(dweight + i, count, true, _mm256_mul_ps(_mm256_mul_ps(d, v), scale));
      if (dbias != nullptr) put(dbias + i, count, true, d);
      put(dx + i, count, accumulate, _mm256_mul_ps(_mm256_fnmadd_ps(v, back, g), scale));
    });
  }
}

void silu_gate_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup, std::size_t n) {
  const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
  each8(n, [&](std::size_t i, int count) {
    const __m256 g = get(gate + i, count), d = get(dy + i, count);
    const __m256 s = _mm256_div_ps(one, _mm256_add_ps(one, exp8(_mm256_xor_ps(g, sign))));
    const __m256 slope = _mm256_mul_ps(s, _mm256_fmadd_ps(g, _mm256_sub_ps(one, s), one));
    const __m256 du = _mm256_mul_ps(d, _mm256_mul_ps(g, s));
    store_first(dgate + i, count, _mm256_mul_ps(_mm256_mul_ps(d, get(up + i, count)), slope));
    store_first(dup + i, count, du);
  });
}

// Φ(x) from erf(z) = 1 - (a1 t + … + a5 t⁵) e^{-z²}, t = 1 / (1 + p z), z = |x| / √2: within 1.5e-7 of erf (Abramowitz &
// Stegun 7.1.26), and e^{-x²/2} is wanted for the density anyway.
void gelu_backward(const float* x, const float* dy, float* dx, std::size_t n) {
  const __m256 one = _mm256_set1_ps(1.0f), half = _mm256_set1_ps(0.5f), sign = _mm256_set1_ps(-0.0f);
  each8(n, [&](std::size_t i, int count) {
    const __m256 v = get(x + i, count);
    const __m256 z = _mm256_mul_ps(_mm256_andnot_ps(sign, v), _mm256_set1_ps(0.70710678f));
    const __m256 bell = exp8(_mm256_mul_ps(_mm256_mul_ps(v, v), _mm256_set1_ps(-0.5f)));
    const __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(_mm256_set1_ps(0.3275911f), z, one));
    __m256 tail = _mm256_fmadd_ps(_mm256_set1_ps(1.061405429f), t, _mm256_set1_ps(-1.453152027f));
    tail = _mm256_fmadd_ps(tail, t, _mm256_set1_ps(1.421413741f));
    tail = _mm256_fmadd_ps(tail, t, _mm256_set1_ps(-0.284496736f));
    tail = _mm256_fmadd_ps(tail, t, _mm256_set1_ps(0.254829592f));
    tail = _mm256_mul_ps(_mm256_mul_ps(_mm256_mul_ps(tail, t), bell), half);   // Φ(-|x|)
    const __m256 below = _mm256_blendv_ps(_mm256_sub_ps(one, tail), tail, v);
    const __m256 slope = _mm256_fmadd_ps(_mm256_mul_ps(v, bell), _mm256_set1_ps(0.39894228f), below);
    store_first(dx + i, count, _mm256_mul_ps(get(dy + i, count), slope));
  });
}

// With e = e^{-2|u|}: tanh |u| = (1 - e) / (1 + e), 1 - tanh² u = 4 e / (1 + e)², without cancellation.
void gelu_tanh_backward(const float* x, const float* dy, float* dx, std::size_t n) {
  const __m256 one = _mm256_set1_ps(1.0f), half = _mm256_set1_ps(0.5f), root = _mm256_set1_ps(0.7978845608f);
  const __m256 cubic = _mm256_set1_ps(0.044715f), cubic3 = _mm256_set1_ps(3 * 0.044715f), sign = _mm256_set1_ps(-0.0f);
  each8(n, [&](std::size_t i, int count) {
    const __m256 v = get(x + i, count), v2 = _mm256_mul_ps(v, v);
    const __m256 u = _mm256_mul_ps(root, _mm256_mul_ps(v, _mm256_fmadd_ps(cubic, v2, one)));
    const __m256 e = exp8(_mm256_mul_ps(_mm256_andnot_ps(sign, u), _mm256_set1_ps(-2.0f)));
    const __m256 below = _mm256_div_ps(one, _mm256_add_ps(one, e));
    const __m256 t = _mm256_or_ps(_mm256_mul_ps(_mm256_sub_ps(one, e), below), _mm256_and_ps(sign, u));
    const __m256 slope_t = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(4.0f), e), _mm256_mul_ps(below, below));
    const __m256 inner = _mm256_mul_ps(root, _mm256_fmadd_ps(cubic3, v2, one));
    const __m256 bend = _mm256_mul_ps(_mm256_mul_ps(half, v), _mm256_mul_ps(slope_t, inner));
    const __m256 slope = _mm256_fmadd_ps(half, _mm256_add_ps(one, t), bend);
    store_first(dx + i, count, _mm256_mul_ps(get(dy + i, count), slope));
  });
}

void activate_backward(Activation f, const float* x, const float* dy, float* dx, std::size_t n) {
  if (f == Activation::kGelu) return gelu_backward(x, dy, dx, n);
  if (f == Activation::kGeluTanh) return gelu_tanh_backward(x, dy, dx, n);
  reference::activate_backward(f, x, dy, dx, n);
}

void adamw(const AdamWStep& step, const float* gradient, float* weight, float* first, float* second, std::size_t n) {
  const __m256 keep = _mm256_set1_ps(static_cast<float>(1.0 - step.rate * step.decay));
  const __m256 rise1 = _mm256_set1_ps(static_cast<float>(1.0 - step.beta1));
  const __m256 beta2 = _mm256_set1_ps(static_cast<float>(step.beta2));
  const __m256 rise2 = _mm256_set1_ps(static_cast<float>(1.0 - step.beta2));
  const __m256 root = _mm256_set1_ps(static_cast<float>(1.0 / __builtin_sqrt(step.correction2)));
  const __m256 epsilon = _mm256_set1_ps(static_cast<float>(step.epsilon));
  const __m256 size = _mm256_set1_ps(static_cast<float>(step.rate / step.correction1));
  const __m256 scale = _mm256_set1_ps(static_cast<float>(step.gradient_scale));
  each8(n, [&](std::size_t i, int count) {
    const __m256 g = _mm256_mul_ps(get(gradient + i, count), scale);
    __m256 m = get(first + i, count), v = get(second + i, count);
    m = _mm256_fmadd_ps(_mm256_sub_ps(g, m), rise1, m);
    v = _mm256_fmadd_ps(_mm256_mul_ps(g, g), rise2, _mm256_mul_ps(v, beta2));
    const __m256 below = _mm256_fmadd_ps(_mm256_sqrt_ps(v), root, epsilon);
    const __m256 w = _mm256_mul_ps(get(weight + i, count), keep);
    store_first(first + i, count, m);
    store_first(second + i, count, v);
    store_first(weight + i, count, _mm256_fnmadd_ps(size, _mm256_div_ps(m, below), w));
  });
}

double sum_squares(const float* x, std::size_t n) {
  Sum sum;
  each8(n, [&](std::size_t i, int count) {
    const __m256 v = get(x + i, count);
    sum.add_product(v, v);
  });
  return sum.total();
}

}  // namespace retort::kernels::avx2
