#include "core/model/graph.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace retort {

// As transformers computes it: the logarithm in f32, cut to a whole number.
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t greatest) noexcept {
  const std::int64_t half = buckets / 2, exact = half / 2, side = distance > 0 ? half : 0, n = std::abs(distance);
  if (n < exact) return side + n;
  const float ratio = std::log(static_cast<float>(n) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(greatest) / static_cast<double>(exact)));
  return side + std::min(half - 1, exact + static_cast<std::int64_t>(ratio * static_cast<float>(half - exact)));
}

}  // namespace retort
