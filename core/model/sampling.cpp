#include "core/model/sampling.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace retort {
namespace {

constexpr std::size_t kLanes = 16;

// Independent maxima let the compiler use vectors without reordering anything that matters.
float greatest(std::span<const float> x) noexcept {
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  float best = *std::max_element(lanes.begin(), lanes.end());
  for (; i < x.size(); ++i) best = x[i] > best ? x[i] : best;
  return best;
}

// e^x for x <= 0 in f32: 2^n · p(r), Cephes' coefficients; relative error below 2e-7, 0 below -87.
inline float exp_negative(float x) noexcept {
  x = x >= -87.0f ? x : -87.0f;   // NaN too
  // Adding 1.5 · 2^23 leaves the nearest whole number in the low bits.
  const float magic = 12582912.0f;
  const float n = (x * 1.44269504088896341f + magic) - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

}  // namespace

TokenId greedy_token(std::span<const float> logits) noexcept {
  const float best = greatest(logits);
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] == best) return static_cast<TokenId>(i);
  return -1;
}

double log_sum_exp(std::span<const float> logits) noexcept {
  const float best = greatest(logits);
  // Lanes of f32 over short stretches, summed in f64.
  constexpr std::size_t kStretch = 1024;
  double sum = 0;
  for (std::size_t start = 0; start < logits.size(); start += kStretch) {
    const std::span<const float> part = logits.subspan(start, std::min(kStretch, logits.size() - start));
    std::array<float, kLanes> lanes{};
    std::size_t i = 0;
    for (; i + kLanes <= part.size(); i += kLanes)
      for (std::size_t l = 0; l < kLanes; ++l) lanes[l] += exp_negative(part[i + l] - best);
    for (const float lane : lanes) sum += static_cast<double>(lane);
    for (; i < part.size(); ++i) sum += static_cast<double>(exp_negative(part[i] - best));
  }
  return static_cast<double>(best) + std::log(sum);
}

double Sampler::uniform() noexcept {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

TokenId Drawer::draw(std::span<const float> logits, const Drawing& how) {
  const float best = greatest(logits);
  candidates_.clear();
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) return -1;
    const double p = std::exp((static_cast<double>(logits[i]) - static_cast<double>(best)) / how.temperature);
    total += p;
    // A token this unlikely never decides anything, and leaving it out keeps the sort short.
    if (p > 1e-12) candidates_.emplace_back(p, static_cast<TokenId>(i));
  }
  std::sort(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  double kept = 0;
  std::size_t count = 0;
  while (count < candidates_.size() && (count == 0 || kept < how.top_p * total)) kept += candidates_[count++].first;
  double at = how.uniform * kept;
  for (std::size_t i = 0; i < count; ++i) {
    at -= candidates_[i].first;
    if (at < 0) return candidates_[i].second;
  }
  return count == 0 ? -1 : candidates_[count - 1].second;
}

}  // namespace retort
