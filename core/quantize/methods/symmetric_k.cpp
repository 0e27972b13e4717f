// Q3_K and Q6_K: super-blocks of 256 in 16 parts with signed integer scales under one f16 scale, no minimum.
#include <cmath>
#include <cstring>

#include "core/quantize/methods/methods.h"
#include "core/quantize/methods/search.h"
#include "core/quantize/methods/super_blocks.h"
#include "kernels/api/blocks.h"
#include "kernels/api/half.h"

namespace retort {
namespace {

using namespace kernels;
constexpr int kParts = 16, kPart = 16;

// The scales of the 16 parts as integers: x = d · scale · code.
struct PartScales {
  std::uint16_t d = 0;
  std::int8_t scales[kParts] = {};
};

// Index of the scale of largest magnitude, the first of equals.
int largest_scale(const float* scales) {
  int largest = 0;
  for (int j = 1; j < kParts; ++j) {
    if (std::fabs(scales[j]) > std::fabs(scales[largest])) largest = j;
  }
  return largest;
}

// Rounds codes of every part to the rounded scales. Parts whose scale became 0 keep the codes that they came with.
void round_parts(const float* x, const PartScales& parts, float shift, SuperCodes& codes) {
  const float d = f16_to_f32(parts.d);
  for (int j = 0; j < kParts; ++j) {
    const float scale = d * parts.scales[j];
    if (scale != 0) round_codes(x + j * kPart, kPart, scale, 0, shift, 2 * shift - 1, codes.data() + j * kPart);
  }
}

// Weighed fit of all parts; codes are those of the search.
void fit_weighed(const float* x, const float* weights, int range, float* scales, SuperCodes& codes) {
  LaneBlocks lanes;
  SymmetricFit fit;
  for (int first = 0; first < kParts; first += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const int at = (first + lane) * kPart;
      lanes.put(lane, x + at, weights + at, kPart);
    }
    search_symmetric(lanes, kPart, range, fit);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int at = (first + lane) * kPart;
      scales[first + lane] = fit.scale[lane];
      const float top = static_cast<float>(range);
      search_codes(x + at, kPart, fit.inverse[lane], 0, top, 2 * top - 1, codes.data() + at);
    }
  }
}

class Q3 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kQ3_K; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float> importance,
                     std::byte* out, float*) const noexcept override {
    const std::int64_t per_row = columns / kSuperBlock, blocks = count * per_row;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float* x = rows + b * kSuperBlock;
      SuperCodes codes;
      const PartScales parts =
          importance.empty() ? plain(x, codes) : weighed(x, importance.data() + b % per_row * kSuperBlock, codes);
      round_parts(x, parts, 4, codes);
      const BlockQ3_K block = pack(parts, codes);
      std::memcpy(out + b * static_cast<std::int64_t>(sizeof(block)), &block, sizeof(block));
    }
  }

 private:
  static PartScales plain(const float* x, SuperCodes& codes) {
    float scales[kParts];
    LaneBlocks lanes{};
    Lanes found[kPart];
    SymmetricFit fit;
    for (int first = 0; first < kParts; first += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) lanes.put(lane, x + (first + lane) * kPart, x, kPart);
      descend_symmetric(lanes, 4, fit, found);
      std::memcpy(scales + first, fit.scale, sizeof(fit.scale));
      for (int lane = 0; lane < kLanes; ++lane) {
        std::uint8_t* part = codes.data() + (first + lane) * kPart;
        for (int i = 0; i < kPart; ++i) part[i] = static_cast<std::uint8_t>(found[i][lane]);
      }
    }
    PartScales parts;
    const float largest = scales[largest_scale(scales)];
    if (largest == 0) {
      for (std::int8_t& scale : parts.scales) scale = -32;   // as zero bytes decode
      return parts;
    }
    const float inverse = -32.0f / largest;
    for (int j = 0; j < kParts; ++j) {
      parts.scales[j] = static_cast<std::int8_t>(clamped(nearest(inverse * scales[j]), -32.0f, 31.0f));
    }
    parts.d = f32_to_f16(1 / inverse);
    return parts;
  }

  static PartScales weighed(const float* x, const float* importance, SuperCodes& codes) {
    float spread = 0, weights[kSuperBlock], scales[kParts], sums[kParts];
    sums_of_squares(x, 1, kSuperBlock, &spread);
    weigh(x, importance, 2 * spread / kSuperBlock, kSuperBlock, weights);
    fit_weighed(x, weights, 4, scales, codes);
    for (int j = 0; j < kParts; ++j) {
      sums[j] = 0;
      for (int i = 0; i < kPart; ++i) sums[j] += weights[j * kPart + i];
    }
    PartScales parts;
    std::uint8_t rounded[kParts];
    parts.d = f32_to_f16(fit_signed_scales(scales, sums, kParts, 32, rounded));
    for (int j = 0; j < kParts; ++j) parts.scales[j] = static_cast<std::int8_t>(rounded[j] - 32);
    return parts;
  }

  // Scales: low nibbles of 0 … 7 and 8 … 15 share a byte; their two high bits lie four to a byte behind.
  static BlockQ3_K pack(const PartScales& parts, const SuperCodes& codes) {
    BlockQ3_K block{};
    block.d = parts.d;
    for (int j = 0; j < kParts; ++j) {
      const int scale = parts.scales[j] + 32;
      block.scales[j % 8] = static_cast<std::uint8_t>(block.scales[j % 8] | (scale & 15) << (j < 8 ? 0 : 4));
      block.scales[8 + j % 4] = static_cast<std::uint8_t>(block.scales[8 + j % 4] | (scale >> 4) << (2 * (j / 4)));
    }
    pack_bits(codes, 2, block.high);
    pack_pairs(codes, block.codes);
    return block;
  }
};

class Q6 final : public Quantizer {
 public:
  TensorType type() const noexcept override { return TensorType::kQ6_K; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float> importance,
                     std::byte* out, float*) const noexcept override {
    const std::int64_t per_row = columns / kSuperBlock, blocks = count * per_row;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float* weights = importance.empty() ? nullptr : importance.data() + b % per_row * kSuperBlock;
      const BlockQ6_K block = quantize_block(rows + b * kSuperBlock, weights);
      std::memcpy(out + b * static_cast<std::int64_t>(sizeof(block)), &block, sizeof(block));
    }
  }

 private:
  // Errors are weighed with the importance alone, or with x²: six bits leave little to gain.
  static BlockQ6_K quantize_block(const float* x, const float* importance) {
    float squares[kSuperBlock];
    if (importance == nullptr) {
      for (int i = 0; i < kSuperBlock; ++i) squares[i] = x[i] * x[i];
    }
    float scales[kParts];
    SuperCodes codes;
    fit_weighed(x, importance == nullptr ? squares : importance, 32, scales, codes);
    const float largest = scales[largest_scale(scales)];
    if (std::fabs(largest) < 1e-15f) return BlockQ6_K{};
    const float inverse = -128.0f / largest;
    PartScales parts;
    parts.d = f32_to_f16(1 / inverse);
    for (int j = 0; j < kParts; ++j) {
      parts.scales[j] = static_cast<std::int8_t>(clamped(nearest(inverse * scales[j]), -128.0f, 127.0f));
    }
    round_parts(x, parts, 32, codes);
    return pack(parts, codes);
  }

  static BlockQ6_K pack(const PartScales& parts, const SuperCodes& codes) {
    BlockQ6_K block;
    block.d = parts.d;
    std::memcpy(block.scales, parts.scales, sizeof(block.scales));
    for (int half = 0; half < 2; ++half) {
      const std::uint8_t* c = codes.data() + 128 * half;
      for (int l = 0; l < 32; ++l) {
        std::uint8_t* low = block.low + 64 * half;
        low[l] = static_cast<std::uint8_t>((c[l] & 15) | (c[l + 64] & 15) << 4);
        low[l + 32] = static_cast<std::uint8_t>((c[l + 32] & 15) | (c[l + 96] & 15) << 4);
        block.high[32 * half + l] = static_cast<std::uint8_t>(c[l] >> 4 | (c[l + 32] >> 4) << 2 | (c[l + 64] >> 4) << 4 |
                                                              (c[l + 96] >> 4) << 6);
      }
    }
    return block;
  }
};

}  // namespace

const Quantizer& q3_k() noexcept {
  static const Q3 quantizer;
  return quantizer;
}
const Quantizer& q6_k() noexcept {
  static const Q6 quantizer;
  return quantizer;
}

}  // namespace retort
