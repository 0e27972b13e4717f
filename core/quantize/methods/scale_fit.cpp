// Fitting the scales of a super-block's parts: the same least squares as for weights, for one short row at a time.
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/quantize/methods/search.h"

namespace retort {
namespace {

constexpr float kNothing = 1e-15f;

struct Sums {
  float xl = 0, ll = 0;   // Σ w·x·l, Σ w·l²
};

Sums signed_sums(const float* values, const float* weights, int n, float range, float inverse) {
  Sums sums;
  for (int i = 0; i < n; ++i) {
    const float l = clamped(nearest(inverse * values[i]), -range, range - 1);
    sums.xl += weights[i] * values[i] * l;
    sums.ll += weights[i] * l * l;
  }
  return sums;
}

// As in search.cpp: exact within ±2^22, wraps beyond.
float wrapped_nearest(float v) {
  const std::int32_t bits = std::bit_cast<std::int32_t>(v + kRoundingShift);
  return static_cast<float>((bits & 0x007fffff) - 0x00400000);
}

// The inverse scale near range / largest whose rounding loses least.
float best_inverse(const float* values, const float* weights, int n, float range, float largest) {
  float best = range / largest, least = 0;
  for (int trial = 0; trial < 9; ++trial) {
    const int k = trial == 0 ? 0 : trial <= 4 ? trial - 5 : trial - 4;   // 0, then -4 … -1, 1 … 4
    const float inverse = k == 0 ? best : (0.1f * static_cast<float>(k) + range) / largest;
    const float scale = 1 / inverse;
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const float rounded = nearest(inverse * values[i]);
      const float difference = values[i] - scale * (rounded < range ? rounded : range);
      error += weights[i] * difference * difference;
    }
    if (k == 0 || error < least) {
      least = error;
      best = inverse;
    }
  }
  return best;
}

// One pass over all codes; true when one changed.
bool improve_codes(const float* values, const float* weights, int n, float range, float* codes, Sums& sums) {
  bool changed = false;
  for (int i = 0; i < n; ++i) {
    const float w = weights[i];
    Sums rest{sums.xl - w * values[i] * codes[i], sums.ll - w * codes[i] * codes[i]};
    if (!(rest.xl > 0 && rest.ll > 0)) continue;
    const float wanted = wrapped_nearest(values[i] * rest.ll / rest.xl);
    const float code = wanted < range ? wanted : range;
    if (code == codes[i]) continue;
    rest.xl += w * values[i] * code;
    rest.ll += w * code * code;
    if (rest.xl * rest.xl * sums.ll > sums.xl * sums.xl * rest.ll) {
      codes[i] = code;
      sums = rest;
      changed = true;
    }
  }
  return changed;
}

}  // namespace

float fit_signed_scales(const float* values, const float* weights, int n, int range, std::uint8_t* codes) {
  float peak = 0;
  for (int i = 0; i < n; ++i) {
    if (std::fabs(values[i]) > std::fabs(peak)) peak = values[i];
  }
  if (std::fabs(peak) < kNothing) {
    for (int i = 0; i < n; ++i) codes[i] = 0;
    return 0;
  }
  const float top = static_cast<float>(range);
  float inverse = -top / peak;
  Sums sums = signed_sums(values, weights, n, top, inverse);
  float scale = sums.ll != 0 ? sums.xl / sums.ll : 0;
  float best = scale * sums.xl;
  for (int k = -9; k <= 9; ++k) {
    if (k == 0) continue;
    const float candidate = -(top + 0.1f * static_cast<float>(k)) / peak;
    sums = signed_sums(values, weights, n, top, candidate);
    if (sums.ll > 0 && sums.xl * sums.xl > best * sums.ll) {
      inverse = candidate;
      scale = sums.xl / sums.ll;
      best = scale * sums.xl;
    }
  }
  for (int i = 0; i < n; ++i) {
    codes[i] = static_cast<std::uint8_t>(clamped(nearest(inverse * values[i]), -top, top - 1) + top);
  }
  return scale;
}

float fit_positive_scales(const float* values, const float* weights, int n, int range, std::uint8_t* codes) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = values[i] > largest ? values[i] : largest;
  if (largest < kNothing) {
    for (int i = 0; i < n; ++i) codes[i] = 0;
    return 0;
  }
  const float top = static_cast<float>(range);
  const float inverse = best_inverse(values, weights, n, top, largest);
  float chosen[16];
  Sums sums;
  for (int i = 0; i < n; ++i) {
    chosen[i] = clamped(nearest(inverse * values[i]), 0.0f, top);
    sums.xl += weights[i] * values[i] * chosen[i];
    sums.ll += weights[i] * chosen[i] * chosen[i];
  }
  for (int round = 0; round < 5 && improve_codes(values, weights, n, top, chosen, sums); ++round) {}
  for (int i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(clamped(chosen[i], 0.0f, top));
  return sums.ll > 0 ? sums.xl / sums.ll : 0;
}

}  // namespace retort
