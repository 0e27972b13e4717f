// Choosing a token from logits. No state but the random numbers', so that a seed gives the same text again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/text/tokenizer.h"

namespace retort {

// The index of the largest; the lowest index wins ties. -1 when there is no number among them.
TokenId greedy_token(std::span<const float> logits) noexcept;

// log Σ exp(logits), the greatest subtracted first.
double log_sum_exp(std::span<const float> logits) noexcept;

// Seeded sampling at a temperature from the smallest set of tokens whose probability reaches top_p (Holtzman et al. 2020).
class Sampler {
 public:
  explicit Sampler(std::uint64_t seed) : state_(seed) {}
  // temperature > 0; 0 < top_p <= 1. -1 when a value is NaN.
  TokenId sample(std::span<const float> logits, double temperature, double top_p);

 private:
  double uniform() noexcept;   // [0, 1), SplitMix64 (Steele et al. 2014)
  std::uint64_t state_;
  std::vector<std::pair<double, TokenId>> candidates_;
};

}  // namespace retort
