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

// How a token is drawn: at a temperature, from the smallest set of tokens whose probability reaches top_p (Holtzman et al. 2020).
struct Drawing {
  double temperature = 1;   // above 0
  double top_p = 1;         // above 0, at most 1
  double uniform = 0;       // [0, 1): the chance in it
};

// Draws tokens; keeps its room between calls.
class Drawer {
 public:
  // Tokens by falling probability, equal ones by the lower id; -1 when a value is NaN or the greatest isn't finite.
  TokenId draw(std::span<const float> logits, const Drawing& how);

 private:
  std::vector<std::pair<double, TokenId>> candidates_;
};

// Seeded sampling.
class Sampler {
 public:
  explicit Sampler(std::uint64_t seed) : state_(seed) {}
  // temperature > 0; 0 < top_p <= 1. -1 as above.
  TokenId sample(std::span<const float> logits, double temperature, double top_p) {
    return drawer_.draw(logits, {temperature, top_p, uniform()});
  }
  // [0, 1), SplitMix64 (Steele et al. 2014): for one token, wherever it is drawn.
  double uniform() noexcept;

 private:
  std::uint64_t state_;
  Drawer drawer_;
};

}  // namespace retort
