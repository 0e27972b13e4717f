// Rotary frequencies of every scaling variant, as transformers' modeling_rope_utils computes them: powers, divisions
// and angles in f32, corrections in f64. (Su et al. 2021; Peng et al. 2023 for YaRN; Ding et al. 2024 for LongRoPE.)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/model/config.h"

namespace retort {

struct RopeFrequencies {
  std::vector<float> inverse;     // [rotary / 2], radians per position
  float attention_factor = 1;     // multiplies cosine and sine
};

// Values of each head that turn.
std::int64_t rotary_width(const ModelConfig& config, std::int32_t rope = 0) noexcept;

// `length` is the number of positions in use: dynamic scaling and LongRoPE depend on it, the others don't.
// `rope` is Node::rope.
RopeFrequencies rope_frequencies(const ModelConfig& config, std::int64_t length, std::int32_t rope = 0);

// Two lengths with the same key have the same frequencies; 0 while the length is within the trained one.
std::int64_t rope_length_key(const RopeConfig& rope, std::int64_t length) noexcept;

// cosine, sine: [rotary / 2] of one position, times the attention factor.
void rope_row(const RopeFrequencies& frequencies, std::int64_t position, std::span<float> cosine, std::span<float> sine);

// Checks everything that rope_frequencies() divides by or takes a logarithm of. Errors: kCorrupt, kUnsupported.
Result<void> check_rope(const ModelConfig& config, std::int32_t rope = 0);

}  // namespace retort
