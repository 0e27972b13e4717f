#include "core/model/pooling.h"

#include <algorithm>
#include <cmath>

namespace retort {

void pool_sequence(Pool pool, const float* rows, std::int64_t tokens, std::int64_t width, float* out) {
  if (pool == Pool::kFirst || pool == Pool::kLast) {
    std::copy_n(pool == Pool::kLast ? rows + (tokens - 1) * width : rows, width, out);
    return;
  }
  const double count = static_cast<double>(tokens);
  for (std::int64_t i = 0; i < width; ++i) {
    double sum = 0;
    float greatest = rows[i];
    for (std::int64_t t = 0; t < tokens; ++t) {
      sum += static_cast<double>(rows[t * width + i]);
      greatest = std::max(greatest, rows[t * width + i]);
    }
    out[i] = pool == Pool::kMax ? greatest : static_cast<float>(sum / (pool == Pool::kMean ? count : std::sqrt(count)));
  }
}

}  // namespace retort
