#include "core/distill/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace retort::distill {
namespace {

constexpr std::array<std::pair<Decay, std::string_view>, 3> kNames = {
    {{Decay::kConstant, "constant"}, {Decay::kLinear, "linear"}, {Decay::kCosine, "cosine"}}};

}  // namespace

std::string_view decay_name(Decay decay) noexcept { return kNames[static_cast<std::size_t>(decay)].second; }

std::optional<Decay> find_decay(std::string_view name) noexcept {
  for (const auto& [decay, known] : kNames)
    if (known == name) return decay;
  return std::nullopt;
}

double Schedule::rate(std::int64_t step) const noexcept {
  if (step < warmup) return base * static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(warmup, 1));
  if (decay == Decay::kConstant) return base;
  const double part = std::clamp(static_cast<double>(step - warmup) / static_cast<double>(std::max<std::int64_t>(total - warmup, 1)), 0.0, 1.0);
  const double left = decay == Decay::kLinear ? 1 - part : 0.5 * (1 + std::cos(std::numbers::pi * part));
  return base * (floor + (1 - floor) * left);
}

}  // namespace retort::distill
