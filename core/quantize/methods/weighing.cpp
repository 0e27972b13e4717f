#include <cmath>

#include "core/quantize/methods/methods.h"

namespace retort {

void sums_of_squares(const float* rows, std::int64_t count, std::int64_t columns, float* sums) noexcept {
  constexpr std::int64_t kTogether = 4;
  std::int64_t r = 0;
  for (; r + kTogether <= count; r += kTogether) {
    const float* x = rows + r * columns;
    float a = 0, b = 0, c = 0, d = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      a += x[i] * x[i];
      b += x[columns + i] * x[columns + i];
      c += x[2 * columns + i] * x[2 * columns + i];
      d += x[3 * columns + i] * x[3 * columns + i];
    }
    sums[r] = a, sums[r + 1] = b, sums[r + 2] = c, sums[r + 3] = d;
  }
  for (; r < count; ++r) {
    const float* x = rows + r * columns;
    float sum = 0;
    for (std::int64_t i = 0; i < columns; ++i) sum += x[i] * x[i];
    sums[r] = sum;
  }
}

void weigh(const float* values, const float* importance, float spread, int n, float* weights) noexcept {
  for (int i = 0; i < n; ++i) weights[i] = importance[i] * std::sqrt(spread + values[i] * values[i]);
}

}  // namespace retort
