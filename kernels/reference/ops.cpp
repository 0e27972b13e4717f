#include <cmath>

#include "kernels/reference/reference.h"

namespace retort::kernels::reference {

void rms_norm(const float* x, const float* weight, float weight_offset, float epsilon, float* y, std::size_t rows,
              std::size_t n) {
  for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon));
    for (std::size_t i = 0; i < n; ++i)
      y[i] = static_cast<float>(static_cast<double>(x[i]) * inverse * static_cast<double>(weight[i] + weight_offset));
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, std::size_t rows,
                std::size_t n) {
  for (std::size_t r = 0; r < rows; ++r, x += n, y += n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double centred = static_cast<double>(x[i]) - mean;
      squares += centred * centred;
    }
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon));
    for (std::size_t i = 0; i < n; ++i) {
      const double scaled = (static_cast<double>(x[i]) - mean) * inverse * static_cast<double>(weight[i]);
      y[i] = static_cast<float>(scaled + (bias != nullptr ? static_cast<double>(bias[i]) : 0.0));
    }
  }
}

void add_into(const float* x, float* y, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

void silu_gate(const float* gate, const float* up, float* out, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double g = static_cast<double>(gate[i]);
    out[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * static_cast<double>(up[i]));
  }
}

void rope(float* x, const float* cosine, const float* sine, std::size_t heads, std::size_t head_dim,
          std::size_t rotary, bool interleaved) {
  const std::size_t half = rotary / 2;
  for (std::size_t h = 0; h < heads; ++h, x += head_dim) {
    for (std::size_t i = 0; i < half; ++i) {
      float& a = interleaved ? x[2 * i] : x[i];
      float& b = interleaved ? x[2 * i + 1] : x[i + half];
      const float rotated = a * cosine[i] - b * sine[i];
      b = a * sine[i] + b * cosine[i];
      a = rotated;
    }
  }
}

}  // namespace retort::kernels::reference
