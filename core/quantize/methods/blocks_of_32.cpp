// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: blocks of 32 with an f16 scale, and an f16 minimum in the _1 types.
// Without importance: one rounding to nearest, the codes from the unrounded f32 scale. With importance: a weighed
// search per block (Q8_0 has no use for one).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/quantize/methods/methods.h"
#include "core/quantize/methods/search.h"
#include "kernels/api/blocks.h"
#include "kernels/api/half.h"

namespace retort {
namespace {

using namespace kernels;
constexpr int kBlock = 32;
using Codes = std::array<std::uint8_t, kBlock>;

// 1 / scale, or 0 for a block of zeros and for one so small that its scale has no inverse (its f16 scale is 0 anyway).
float inverse_of(float scale) {
  constexpr float kLeast = 0x1p-126f;
  return std::fabs(scale) >= kLeast ? 1.0f / scale : 0.0f;
}

float largest_magnitude(const float* x) {
  // Magnitudes of floats are ordered like their bits, and integer maxima vectorise.
  std::int32_t largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

// The value of largest magnitude with its sign; of equals the first.
float signed_extreme(const float* x) {
  const float magnitude = largest_magnitude(x);
  for (int i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) == magnitude) return x[i];
  }
  return 0;
}

struct Range {
  float low, high;
};

Range range_of(const float* x) {
  Range range{x[0], x[0]};
  for (int i = 1; i < kBlock; ++i) {
    range.low = x[i] < range.low ? x[i] : range.low;
    range.high = x[i] > range.high ? x[i] : range.high;
  }
  return range;
}

// floor(v + a half) for codes, where v + a half is never negative.
void round_up_codes(const float* x, float base, float inverse, float half, std::int32_t top, Codes& codes) {
  for (int i = 0; i < kBlock; ++i) {
    codes[i] = static_cast<std::uint8_t>(std::min(top, static_cast<std::int32_t>((x[i] - base) * inverse + half)));
  }
}

void pack_low(const Codes& codes, std::uint8_t* out) {
  for (int i = 0; i < 16; ++i) out[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

void pack_high(const Codes& codes, std::uint8_t* out) {
  std::uint32_t bits = 0;
  for (int i = 0; i < kBlock; ++i) bits |= static_cast<std::uint32_t>(codes[i] >> 4 & 1) << i;
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(bits >> 8 * i);
}

void pack(BlockQ4_0& block, float scale, float, const Codes& codes) {
  block.d = f32_to_f16(scale);
  pack_low(codes, block.codes);
}
void pack(BlockQ4_1& block, float scale, float minimum, const Codes& codes) {
  block.d = f32_to_f16(scale);
  block.m = f32_to_f16(minimum);
  pack_low(codes, block.codes);
}
void pack(BlockQ5_0& block, float scale, float, const Codes& codes) {
  block.d = f32_to_f16(scale);
  pack_high(codes, block.high);
  pack_low(codes, block.codes);
}
void pack(BlockQ5_1& block, float scale, float minimum, const Codes& codes) {
  block.d = f32_to_f16(scale);
  block.m = f32_to_f16(minimum);
  pack_high(codes, block.high);
  pack_low(codes, block.codes);
}

// What the four types with 4 or 5 bits share. kRange: codes lie in [-kRange, kRange) or, affine, in [0, kRange].
template <class Block, TensorType kType, bool kAffine, int kRange>
class SmallBlocks final : public Quantizer {
 public:
  TensorType type() const noexcept override { return kType; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float> importance,
                     std::byte* out, float*) const noexcept override {
    if (!importance.empty()) return search(rows, count, columns, importance.data(), out);
    const std::int64_t blocks = count * columns / kBlock;
    for (std::int64_t b = 0; b < blocks; ++b) store(out, b, nearest_block(rows + b * kBlock));
  }

 private:
  static void store(std::byte* out, std::int64_t index, const Block& block) {
    std::memcpy(out + index * static_cast<std::int64_t>(sizeof(Block)), &block, sizeof(Block));
  }

  static Block nearest_block(const float* x) {
    Block block;
    Codes codes;
    if constexpr (kAffine) {
      const Range range = range_of(x);
      const float scale = (range.high - range.low) / static_cast<float>(kRange);
      const float inverse = inverse_of(scale);
      round_up_codes(x, range.low, inverse, 0.5f, kRange, codes);
      pack(block, scale, range.low, codes);
    } else {
      const float scale = signed_extreme(x) / static_cast<float>(-kRange);
      const float inverse = inverse_of(scale);
      round_up_codes(x, 0, inverse, static_cast<float>(kRange) + 0.5f, 2 * kRange - 1, codes);
      pack(block, scale, 0, codes);
    }
    return block;
  }

  // Eight blocks at a time, across rows; the last group may be smaller.
  static void search(const float* rows, std::int64_t count, std::int64_t columns, const float* importance,
                     std::byte* out) {
    const std::int64_t per_row = columns / kBlock, blocks = count * per_row;
    constexpr std::int64_t kRowsAtOnce = 64;
    float squares[kRowsAtOnce];
    std::int64_t summed_from = 0, summed_to = 0;
    LaneBlocks lanes;
    for (std::int64_t first = 0; first < blocks; first += kLanes) {
      const std::int64_t used = std::min<std::int64_t>(kLanes, blocks - first);
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        const std::int64_t block = first + std::min(lane, used - 1), row = block / per_row;
        if (row >= summed_to) {
          summed_from = row;
          summed_to = std::min(count, row + kRowsAtOnce);
          sums_of_squares(rows + row * columns, summed_to - row, columns, squares);
        }
        const float spread = squares[row - summed_from] / static_cast<float>(columns);
        float weights[kBlock];
        weigh(rows + block * kBlock, importance + block % per_row * kBlock, spread, kBlock, weights);
        lanes.put(static_cast<int>(lane), rows + block * kBlock, weights, kBlock);
      }
      search_group(lanes, rows + first * kBlock, static_cast<int>(used), out, first);
    }
  }

  static void search_group(const LaneBlocks& lanes, const float* x, int used, std::byte* out, std::int64_t first) {
    Codes codes;
    Block block;
    if constexpr (kAffine) {
      AffineFit fit;
      search_affine(lanes, kBlock, {kRange, -0.9f, 0.05f, 36, false}, fit);
      for (int lane = 0; lane < used; ++lane, x += kBlock) {
        for (int i = 0; i < kBlock; ++i) {
          const float code = nearest(fit.inverse[lane] * (x[i] - fit.base[lane]));
          codes[i] = static_cast<std::uint8_t>(clamped(code, 0.0f, static_cast<float>(kRange)));
        }
        pack(block, fit.scale[lane], -fit.minimum[lane], codes);
        store(out, first + lane, block);
      }
    } else {
      SymmetricFit fit;
      search_symmetric(lanes, kBlock, kRange, fit);
      constexpr float top = kRange;
      for (int lane = 0; lane < used; ++lane, x += kBlock) {
        const float shift = fit.inverse[lane] != 0 ? top : 0;   // a block of zeros has codes 0, as in ggml's files
        for (int i = 0; i < kBlock; ++i) {
          const float code = clamped(nearest(fit.inverse[lane] * x[i]), -top, top - 1);
          codes[i] = static_cast<std::uint8_t>(code + shift);
        }
        pack(block, fit.scale[lane], 0, codes);
        store(out, first + lane, block);
      }
    }
  }
};

class Q8 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kQ8_0; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float>,
                     std::byte* out, float*) const noexcept override {
    const std::int64_t blocks = count * columns / kBlock;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float* x = rows + b * kBlock;
      const float scale = largest_magnitude(x) / 127.0f;
      const float inverse = inverse_of(scale);
      BlockQ8_0 block;
      block.d = f32_to_f16(scale);
      for (int i = 0; i < kBlock; ++i) block.codes[i] = static_cast<std::int8_t>(half_away(x[i] * inverse));
      std::memcpy(out + b * static_cast<std::int64_t>(sizeof(block)), &block, sizeof(block));
    }
  }

 private:
  // std::round for |v| < 2^22, in a form that vectorises: adding the float below a half and cutting the fraction off
  // gives the nearest integer, halves away from zero.
  static std::int32_t half_away(float v) {
    return static_cast<std::int32_t>(v + std::copysign(0x1.fffffep-2f, v));
  }
};

}  // namespace

const Quantizer& q4_0() noexcept {
  static const SmallBlocks<BlockQ4_0, TensorType::kQ4_0, false, 8> quantizer;
  return quantizer;
}
const Quantizer& q4_1() noexcept {
  static const SmallBlocks<BlockQ4_1, TensorType::kQ4_1, true, 15> quantizer;
  return quantizer;
}
const Quantizer& q5_0() noexcept {
  static const SmallBlocks<BlockQ5_0, TensorType::kQ5_0, false, 16> quantizer;
  return quantizer;
}
const Quantizer& q5_1() noexcept {
  static const SmallBlocks<BlockQ5_1, TensorType::kQ5_1, true, 31> quantizer;
  return quantizer;
}
const Quantizer& q8_0() noexcept {
  static const Q8 quantizer;
  return quantizer;
}

}  // namespace retort
