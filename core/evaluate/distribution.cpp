#include "core/evaluate/distribution.h"

#include <algorithm>
#include <cmath>

namespace retort {

double log_normalizer(std::span<const float> logits) noexcept {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

std::int64_t arg_max(std::span<const float> logits) noexcept {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

double kl_divergence(std::span<const float> reference, std::span<const float> candidate) noexcept {
  // With r, c the logits and R, C their log normalizers: Σ exp(r - R) · ((r - c) - (R - C)).
  const double normalizer = log_normalizer(reference);
  const double shift = normalizer - log_normalizer(candidate);
  const auto offset = static_cast<float>(normalizer);
  double sum = 0;
  for (std::size_t i = 0; i < reference.size(); ++i)
    sum += std::exp(reference[i] - offset) * (static_cast<double>(reference[i]) - candidate[i] - shift);
  return std::max(0.0, sum);
}

}  // namespace retort
