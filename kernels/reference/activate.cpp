#include <cmath>

#include "kernels/reference/reference.h"

namespace retort::kernels::reference {
namespace {

double value_of(Activation f, double x) {
  switch (f) {
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kGelu: return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case Activation::kGeluTanh: {
      // (1 + tanh u) / 2 = 1 / (1 + e^-2u), where nothing cancels.
      const double root = std::sqrt(2 / std::acos(-1.0));
      return x / (1 + std::exp(-2 * root * (x + 0.044715 * x * x * x)));
    }
    case Activation::kGeluQuick: return x / (1 + std::exp(-1.702 * x));
    case Activation::kRelu: return x < 0 ? 0 : x;
    case Activation::kReluSquared: return x < 0 ? 0 : x * x;
    case Activation::kTanh: return std::tanh(x);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
  }
  return x;
}

}  // namespace

void activate(Activation f, const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<float>(value_of(f, static_cast<double>(x[i])));
}

void multiply_into(const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] *= x[i];
}

void scale(float factor, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] *= factor;
}

void soft_cap(float cap, float* y, std::size_t n) {
  const double c = static_cast<double>(cap);
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<float>(c * std::tanh(static_cast<double>(y[i]) / c));
}

}  // namespace retort::kernels::reference
