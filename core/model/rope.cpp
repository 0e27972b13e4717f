#include "core/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace retort {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

// theta^(2i / rotary), the exponent and the power each rounded to f32.
std::vector<float> powers(double theta, std::int64_t rotary) {
  std::vector<float> p(static_cast<std::size_t>(rotary / 2));
  for (std::size_t i = 0; i < p.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary);
    p[i] = static_cast<float>(std::pow(static_cast<double>(static_cast<float>(theta)), static_cast<double>(exponent)));
  }
  return p;
}

std::vector<float> reciprocals(std::vector<float> p) {
  for (float& x : p) x = 1.0f / x;
  return p;
}

// Long waves are slowed by the factor, short ones are kept, those between are mixed.
void scale_llama3(const RopeConfig& rope, std::vector<float>& inverse) {
  const float low_wavelength = static_cast<float>(rope.original_context / rope.low_frequency_factor);
  const float high_wavelength = static_cast<float>(rope.original_context / rope.high_frequency_factor);
  const float factor = static_cast<float>(rope.factor);
  const float low = static_cast<float>(rope.low_frequency_factor);
  const float span = static_cast<float>(rope.high_frequency_factor - rope.low_frequency_factor);
  for (float& f : inverse) {
    const float wavelength = static_cast<float>(kTwoPi) / f;
    if (wavelength > low_wavelength) {
      f = f / factor;
    } else if (!(wavelength < high_wavelength)) {
      const float smooth = (static_cast<float>(rope.original_context) / wavelength - low) / span;
      f = (1 - smooth) * f / factor + smooth * f;
    }
  }
}

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

float yarn_attention_factor(const RopeConfig& rope) {
  if (rope.attention_factor) return static_cast<float>(*rope.attention_factor);
  const double all = rope.mscale_all_dim.value_or(0), one = rope.mscale.value_or(0);
  if (all != 0 && one != 0) return static_cast<float>(yarn_mscale(rope.factor, one) / yarn_mscale(rope.factor, all));
  return static_cast<float>(yarn_mscale(rope.factor, 1));
}

// Dimensions that turn more than beta_fast times within the trained context are kept, those below beta_slow are
// interpolated, a linear ramp lies between.
std::vector<float> scale_yarn(const RopeConfig& rope, std::int64_t rotary) {
  const auto correction = [&](double rotations) {
    return static_cast<double>(rotary) * std::log(rope.original_context / (rotations * kTwoPi)) /
           (2 * std::log(rope.theta));
  };
  double low = correction(rope.beta_fast), high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary - 1));
  if (low == high) high += 0.001;

  std::vector<float> f = powers(rope.theta, rotary);
  for (std::size_t i = 0; i < f.size(); ++i) {
    const float ramp = std::clamp((static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low),
                                  0.0f, 1.0f);
    const float kept = 1 - ramp;
    f[i] = 1.0f / (static_cast<float>(rope.factor) * f[i]) * (1 - kept) + 1.0f / f[i] * kept;
  }
  return f;
}

float longrope_attention_factor(const RopeConfig& rope) {
  if (rope.attention_factor) return static_cast<float>(*rope.attention_factor);
  if (rope.factor <= 1) return 1;
  return static_cast<float>(std::sqrt(1 + std::log(rope.factor) / std::log(rope.original_context)));
}

Error bad_scaling(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

Result<void> check_positive(const char* name, double value, double least = 0) {
  if (std::isfinite(value) && value > least && value <= 1e12) return {};
  return bad_scaling(fmt::format("rope {}", name), fmt::format("a number above {}", least), fmt::format("{}", value));
}

Result<void> check_factors(const char* name, std::size_t found, std::size_t expected) {
  if (found == expected) return {};
  return Error{.code = ErrorCode::kBadShape, .place = name, .expected = fmt::format("{} factors", expected),
               .found = fmt::format("{}", found)};
}

}  // namespace

std::int64_t rotary_width(const ModelConfig& config, std::int32_t rope) noexcept {
  const std::int64_t rotary = rope_of(config, rope).rotary;
  return rotary > 0 ? rotary : config.head_dim;
}

std::int64_t rope_length_key(const RopeConfig& rope, std::int64_t length) noexcept {
  if (static_cast<double>(length) <= rope.original_context) return 0;
  if (rope.scaling == RopeScaling::kDynamic) return length;
  return rope.scaling == RopeScaling::kLongRope ? 1 : 0;
}

RopeFrequencies rope_frequencies(const ModelConfig& config, std::int64_t length, std::int32_t which) {
  const RopeConfig& rope = rope_of(config, which);
  const std::int64_t rotary = rotary_width(config, which);
  RopeFrequencies out;
  switch (rope.scaling) {
    case RopeScaling::kNone:
      out.inverse = reciprocals(powers(rope.theta, rotary));
      break;
    case RopeScaling::kLinear:
      out.inverse = reciprocals(powers(rope.theta, rotary));
      for (float& f : out.inverse) f /= static_cast<float>(rope.factor);
      break;
    case RopeScaling::kDynamic: {
      const double l = std::max(static_cast<double>(length), rope.original_context);
      const double d = static_cast<double>(rotary);
      const double theta =
          rope.theta * std::pow(rope.factor * l / rope.original_context - (rope.factor - 1), d / (d - 2));
      out.inverse = reciprocals(powers(theta, rotary));
      break;
    }
    case RopeScaling::kLlama3:
      out.inverse = reciprocals(powers(rope.theta, rotary));
      scale_llama3(rope, out.inverse);
      break;
    case RopeScaling::kYarn:
      out.inverse = scale_yarn(rope, rotary);
      out.attention_factor = yarn_attention_factor(rope);
      break;
    case RopeScaling::kLongRope: {
      const std::vector<double>& factors =
          static_cast<double>(length) > rope.original_context ? rope.long_factors : rope.short_factors;
      out.inverse = powers(rope.theta, rotary);
      for (std::size_t i = 0; i < out.inverse.size(); ++i)
        out.inverse[i] = 1.0f / (static_cast<float>(factors[i]) * out.inverse[i]);
      out.attention_factor = longrope_attention_factor(rope);
      break;
    }
  }
  for (std::size_t i = 0; i < rope.frequency_factors.size() && i < out.inverse.size(); ++i)
    out.inverse[i] /= rope.frequency_factors[i];
  return out;
}

void rope_row(const RopeFrequencies& frequencies, std::int64_t position, std::span<float> cosine,
              std::span<float> sine) {
  for (std::size_t i = 0; i < frequencies.inverse.size(); ++i) {
    const double angle = static_cast<double>(static_cast<float>(position) * frequencies.inverse[i]);
    cosine[i] = static_cast<float>(std::cos(angle)) * frequencies.attention_factor;
    sine[i] = static_cast<float>(std::sin(angle)) * frequencies.attention_factor;
  }
}

Result<void> check_rope(const ModelConfig& config, std::int32_t which) {
  const RopeConfig& rope = rope_of(config, which);
  const std::int64_t rotary = rotary_width(config, which);
  if (rotary <= 0 || rotary % 2 != 0 || rotary > config.head_dim)
    return bad_scaling("rotary dimension", fmt::format("an even number up to {}", config.head_dim), std::to_string(rotary));
  RETORT_CHECK(check_positive("theta", rope.theta));
  RETORT_CHECK(check_positive("factor", rope.factor));
  const std::size_t half = static_cast<std::size_t>(rotary / 2);
  if (!rope.frequency_factors.empty()) {
    RETORT_CHECK(check_factors("rope_freqs.weight", rope.frequency_factors.size(), half));
    for (const float f : rope.frequency_factors) RETORT_CHECK(check_positive("frequency factor", static_cast<double>(f)));
  }
  if (rope.scaling == RopeScaling::kNone || rope.scaling == RopeScaling::kLinear) return {};
  // LongRoPE and YaRN take the logarithm of the trained context.
  RETORT_CHECK(check_positive("original context", rope.original_context, 1));
  if (rope.scaling == RopeScaling::kDynamic && (rotary <= 2 || rope.factor < 1))
    return bad_scaling("rope factor", "at least 1, over more than two dimensions", fmt::format("{}", rope.factor));
  if (rope.scaling == RopeScaling::kLlama3) {
    RETORT_CHECK(check_positive("low_freq_factor", rope.low_frequency_factor));
    RETORT_CHECK(check_positive("high_freq_factor", rope.high_frequency_factor, rope.low_frequency_factor));
  }
  if (rope.scaling == RopeScaling::kYarn) {
    RETORT_CHECK(check_positive("theta", rope.theta, 1));
    RETORT_CHECK(check_positive("beta_fast", rope.beta_fast));
    RETORT_CHECK(check_positive("beta_slow", rope.beta_slow));
  }
  if (rope.attention_factor) RETORT_CHECK(check_positive("attention_factor", *rope.attention_factor));
  if (rope.scaling == RopeScaling::kLongRope) {
    RETORT_CHECK(check_factors("short_factor", rope.short_factors.size(), half));
    RETORT_CHECK(check_factors("long_factor", rope.long_factors.size(), half));
    for (const double f : rope.short_factors) RETORT_CHECK(check_positive("short_factor", f));
    for (const double f : rope.long_factors) RETORT_CHECK(check_positive("long_factor", f));
  }
  return {};
}

}  // namespace retort
