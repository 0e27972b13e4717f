// Distributions over the vocabulary, from logits: log-likelihoods and divergences.
#pragma once

#include <cstdint>
#include <span>

namespace retort {

// log softmax(logits)[token] = logits[token] - log_normalizer(logits). Sums in double.
double log_normalizer(std::span<const float> logits) noexcept;
std::int64_t arg_max(std::span<const float> logits) noexcept;   // the lowest index wins ties

// KL(softmax(reference) || softmax(candidate)) in nats; exactly 0 for equal logits.
double kl_divergence(std::span<const float> reference, std::span<const float> candidate) noexcept;

}  // namespace retort
