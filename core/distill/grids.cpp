#include "core/distill/grids.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/api/half.h"

namespace retort::distill {
namespace {

// -2^(b-1) … 2^(b-1) - 1 for b = 8; those of fewer bits are the middle of it.
constexpr std::array<float, 256> kIntegers = [] {
  std::array<float, 256> out{};
  for (int i = 0; i < 256; ++i) out[static_cast<std::size_t>(i)] = static_cast<float>(i - 128);
  return out;
}();
constexpr std::span<const float> integers(int bits) {
  return std::span<const float>(kIntegers).subspan(static_cast<std::size_t>(128 - (1 << (bits - 1))), std::size_t{1} << bits);
}

constexpr std::array<float, 15> kE2M1 = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
// Quantiles of the normal distribution, as bitsandbytes publishes them.
constexpr std::array<float, 16> kNormal = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
                                           -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
                                           0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

constexpr std::array kGrids = {
    Grid{"INT2", 2, integers(2), 64, true, GridScale::kHalf},    Grid{"INT3", 3, integers(3), 128, true, GridScale::kHalf},
    Grid{"INT4", 4, integers(4), 128, true, GridScale::kHalf},   Grid{"INT5", 5, integers(5), 128, true, GridScale::kHalf},
    Grid{"INT6", 6, integers(6), 128, true, GridScale::kHalf},   Grid{"INT8", 8, integers(8), 0, true, GridScale::kHalf},
    Grid{"MXFP4", 4, kE2M1, 32, false, GridScale::kExponent},    Grid{"NF4", 4, kNormal, 64, false, GridScale::kFloat},
};

// What the largest magnitude is divided by, in turn; the one with the least error is taken.
constexpr std::array<float, 9> kTries = {1.0f, 0.95f, 0.9f, 0.85f, 0.8f, 0.74f, 0.68f, 0.6f, 0.5f};

bool is_integer(const Grid& grid) noexcept { return grid.values[1] - grid.values[0] == 1; }

// To the nearest whole number, ties to even, without a call of the library: |x| stays far below 2^22.
float nearest_integer(const Grid& grid, float x) noexcept {
  constexpr float kShift = 12582912.0f;   // 1.5 · 2^23
  x = std::max(x, grid.values.front());
  x = std::min(x, grid.values.back());
  return (x + kShift) - kShift;
}

}  // namespace

std::span<const Grid> grids() noexcept { return kGrids; }

const Grid* find_grid(std::string_view level) noexcept {
  const auto found = std::find_if(kGrids.begin(), kGrids.end(), [&](const Grid& grid) { return grid.level == level; });
  return found == kGrids.end() ? nullptr : &*found;
}

const Grid* integer_grid(int bits) noexcept {
  const auto found = std::find_if(kGrids.begin(), kGrids.end(), [&](const Grid& grid) { return is_integer(grid) && grid.bits == bits; });
  return found == kGrids.end() ? nullptr : &*found;
}

std::uint8_t nearest_code(const Grid& grid, float x) noexcept {
  if (is_integer(grid)) return static_cast<std::uint8_t>(static_cast<int>(nearest_integer(grid, x) - grid.values.front()));
  std::size_t code = 0;
  while (code + 1 < grid.values.size() && x > 0.5f * (grid.values[code] + grid.values[code + 1])) ++code;
  return static_cast<std::uint8_t>(code);
}

float held_scale(const Grid& grid, float scale) noexcept {
  switch (grid.scale) {
    case GridScale::kHalf: return kernels::f16_to_f32(kernels::f32_to_f16(std::clamp(scale, 0.0f, 65504.0f)));
    case GridScale::kExponent: return scale > 0 ? std::ldexp(1.0f, std::clamp(static_cast<int>(std::lround(std::log2(scale))), -126, 127)) : std::ldexp(1.0f, -126);
    case GridScale::kFloat: return scale;
  }
  return scale;
}

double squared_error(const Grid& grid, const float* weights, std::int64_t count, float scale) noexcept {
  const float inverse = 1 / scale;
  float sum = 0;   // of a group: some hundred small numbers
  if (is_integer(grid)) {
    for (std::int64_t i = 0; i < count; ++i) {
      const float error = weights[i] - scale * nearest_integer(grid, weights[i] * inverse);
      sum += error * error;
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      const float error = weights[i] - scale * grid.values[nearest_code(grid, weights[i] * inverse)];
      sum += error * error;
    }
  }
  return static_cast<double>(sum);
}

float fit_group(const Grid& grid, const float* weights, std::int64_t count, std::uint8_t* codes) noexcept {
  float largest = 0;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(weights[i]));
  float best = held_scale(grid, 0);
  double least = HUGE_VAL;
  for (const float part : kTries) {
    const float scale = held_scale(grid, part * largest / grid.greatest());
    if (!(scale >= 0x1p-126f) || !std::isfinite(1 / scale)) continue;
    if (const double error = squared_error(grid, weights, count, scale); error < least) {
      least = error;
      best = scale;
    }
  }
  const float inverse = least == HUGE_VAL ? 0 : 1 / best;
  for (std::int64_t i = 0; i < count; ++i) codes[i] = nearest_code(grid, weights[i] * inverse);
  return best;
}

}  // namespace retort::distill
