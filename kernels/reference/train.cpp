#include "kernels/reference/train.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort::kernels::reference {
namespace {

void put(float* dx, bool accumulate, double value) {
  *dx = accumulate ? *dx + static_cast<float>(value) : static_cast<float>(value);
}

}  // namespace

double softmax_row(const float* x, float scale, float* out, std::size_t n) {
  double most = -INFINITY;
  for (std::size_t i = 0; i < n; ++i) most = std::max(most, static_cast<double>(x[i]) * static_cast<double>(scale));
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i]) * static_cast<double>(scale) - most);
  const double log_sum = most + std::log(sum);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) * static_cast<double>(scale) - log_sum));
  return log_sum;
}

// With h = x · inverse and g = dy · w: dx = inverse · (g - h · mean(g · h)).
void rms_norm_backward(const float* x, const float* weight, float weight_offset, float epsilon, const float* dy, float* dx,
                       bool accumulate, float* dweight, std::size_t rows, std::size_t n) {
  const double count = static_cast<double>(n);
  for (std::size_t r = 0; r < rows; ++r, x += n, dy += n, dx += n) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const double inverse = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double h = static_cast<double>(x[i]) * inverse;
      mean += static_cast<double>(dy[i]) * static_cast<double>(weight[i] + weight_offset) * h / count;
      dweight[i] += static_cast<float>(static_cast<double>(dy[i]) * h);
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double g = static_cast<double>(dy[i]) * static_cast<double>(weight[i] + weight_offset);
      put(dx + i, accumulate, inverse * (g - static_cast<double>(x[i]) * inverse * mean));
    }
  }
}

// With h = (x - mean) · inverse and g = dy · w: dx = inverse · (g - mean(g) - h · mean(g · h)).
void layer_norm_backward(const float* x, const float* weight, float epsilon, const float* dy, float* dx, bool accumulate,
                         float* dweight, float* dbias, std::size_t rows, std::size_t n) {
  const double count = static_cast<double>(n);
  for (std::size_t r = 0; r < rows; ++r, x += n, dy += n, dx += n) {
    double centre = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) centre += static_cast<double>(x[i]) / count;
    for (std::size_t i = 0; i < n; ++i) squares += std::pow(static_cast<double>(x[i]) - centre, 2);
    const double inverse = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    double mean = 0, along = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double h = (static_cast<double>(x[i]) - centre) * inverse;
      const double g = static_cast<double>(dy[i]) * static_cast<double>(weight[i]);
      mean += g / count;
      along += g * h / count;
      dweight[i] += static_cast<float>(static_cast<double>(dy[i]) * h);
      if (dbias != nullptr) dbias[i] += dy[i];
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double h = (static_cast<double>(x[i]) - centre) * inverse;
      put(dx + i, accumulate, inverse * (static_cast<double>(dy[i]) * static_cast<double>(weight[i]) - mean - h * along));
    }
  }
}

void silu_gate_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gate[i]), d = static_cast<double>(dy[i]);
    const double s = 1.0 / (1.0 + std::exp(-g));
    dup[i] = static_cast<float>(d * g * s);
    dgate[i] = static_cast<float>(d * static_cast<double>(up[i]) * s * (1.0 + g * (1.0 - s)));
  }
}

// gelu(x) = x Φ(x); gelu'(x) = Φ(x) + x φ(x).
void gelu_backward(const float* x, const float* dy, float* dx, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(x[i]);
    const double below = 0.5 * std::erfc(-v / std::numbers::sqrt2);
    const double density = std::exp(-0.5 * v * v) * 0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2;
    dx[i] = static_cast<float>(static_cast<double>(dy[i]) * (below + v * density));
  }
}

// gelu(x) = x/2 (1 + tanh u), u = sqrt(2/π) (x + 0.044715 x³).
void gelu_tanh_backward(const float* x, const float* dy, float* dx, std::size_t n) {
  constexpr double kScale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  for (std::size_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(x[i]);
    const double t = std::tanh(kScale * (v + 0.044715 * v * v * v));
    const double slope = 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * kScale * (1 + 3 * 0.044715 * v * v);
    dx[i] = static_cast<float>(static_cast<double>(dy[i]) * slope);
  }
}

namespace {

double slope_of(Activation f, double x) {
  const double s = 1.0 / (1.0 + std::exp(-x)), q = 1.0 / (1.0 + std::exp(-1.702 * x));
  switch (f) {
    case Activation::kSilu: return s * (1 + x * (1 - s));
    case Activation::kGeluQuick: return q * (1 + 1.702 * x * (1 - q));
    case Activation::kRelu: return x > 0 ? 1 : 0;
    case Activation::kReluSquared: return x > 0 ? 2 * x : 0;
    case Activation::kTanh: return 1 - std::tanh(x) * std::tanh(x);
    case Activation::kSigmoid: return s * (1 - s);
    case Activation::kGelu:
    case Activation::kGeluTanh: break;   // have functions of their own
  }
  return 0;
}

}  // namespace

void activate_backward(Activation f, const float* x, const float* dy, float* dx, std::size_t n) {
  if (f == Activation::kGelu) return gelu_backward(x, dy, dx, n);
  if (f == Activation::kGeluTanh) return gelu_tanh_backward(x, dy, dx, n);
  for (std::size_t i = 0; i < n; ++i)
    dx[i] = static_cast<float>(static_cast<double>(dy[i]) * slope_of(f, static_cast<double>(x[i])));
}

void adamw(const AdamWStep& step, const float* gradient, float* weight, float* first, float* second, std::size_t n) {
  const double keep = 1.0 - step.rate * step.decay, root = std::sqrt(step.correction2), size = step.rate / step.correction1;
  for (std::size_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gradient[i]) * step.gradient_scale;
    const double m = static_cast<double>(first[i]) + (g - static_cast<double>(first[i])) * (1.0 - step.beta1);
    const double v = static_cast<double>(second[i]) * step.beta2 + (1.0 - step.beta2) * g * g;
    first[i] = static_cast<float>(m);
    second[i] = static_cast<float>(v);
    weight[i] = static_cast<float>(static_cast<double>(weight[i]) * keep - size * m / (std::sqrt(v) / root + step.epsilon));
  }
}

double sum_squares(const float* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

namespace {

template <class Operand>
void multiply(const MatmulTile& t) {
  for (std::int64_t i = 0; i < t.m; ++i) {
    for (std::int64_t j = 0; j < t.n; ++j) {
      double sum = t.accumulate ? static_cast<double>(t.c[i * t.c_stride + j]) : 0.0;
      for (std::int64_t p = 0; p < t.k; ++p) {
        const float a = Operand::of(t.transpose_a ? t.a[p * t.a_stride + i] : t.a[i * t.a_stride + p]);
        const float b = Operand::of(t.transpose_b ? t.b[j * t.b_stride + p] : t.b[p * t.b_stride + j]);
        sum += static_cast<double>(a) * static_cast<double>(b);
      }
      t.c[i * t.c_stride + j] = static_cast<float>(sum);
    }
  }
}

}  // namespace

void matmul(const MatmulTile& tile) { multiply<AsItIs>(tile); }
void matmul_bf16(const MatmulTile& tile) { multiply<RoundedToBf16>(tile); }

}  // namespace retort::kernels::reference
