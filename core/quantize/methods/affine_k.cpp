// Q2_K, Q4_K, Q5_K: super-blocks of 256 whose parts have a small integer scale and minimum under two f16 scales.
// Each part is fitted by itself, then the parts' scales and minima are rounded, then the codes follow from these.
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

// Scales and minima of the parts as integers, and the f16 factors that they are multiplied with.
struct PartScales {
  std::uint16_t d = 0, dmin = 0;
  std::uint8_t scales[16] = {}, minima[16] = {};
};

struct PartFit {
  float scale[16], minimum[16], inverse[16], base[16];
  float weight[16];   // sum of the part's weights
};

// ---- how each type does these steps ----

struct Q2 {
  using Block = BlockQ2_K;
  static constexpr TensorType kType = TensorType::kQ2_K;
  static constexpr int kPart = 16, kTop = 3, kScaleTop = 15;
  static constexpr AffineSearch kPlain{3, -0.5f, 0.1f, 15, true}, kWeighed{3, -0.9f, 0.05f, 36, false};
  static constexpr float kSpread = 1;
  static float plain_weight_base(const float*) { return 0; }
  static void pack(Block& block, const PartScales& parts, const SuperCodes& codes) {
    block.d = parts.d;
    block.dmin = parts.dmin;
    for (int j = 0; j < 16; ++j) block.scales[j] = static_cast<std::uint8_t>(parts.scales[j] | parts.minima[j] << 4);
    pack_pairs(codes, block.codes);
  }
};

// Weights of plain 4 and 5 bits: root mean square of the part + |x|.
float root_mean_square(const float* x) {
  float sum = 0;
  for (int i = 0; i < 32; ++i) sum += x[i] * x[i];
  return std::sqrt(sum / 32);
}

// Eight pairs of six bits in twelve bytes: low parts of the last four in the third word, their high bits on top of the
// first two words.
void pack_six_bits(const PartScales& parts, std::uint8_t out[12]) {
  for (int j = 0; j < 4; ++j) {
    const int scale = parts.scales[j + 4], minimum = parts.minima[j + 4];
    out[j] = static_cast<std::uint8_t>(parts.scales[j] | (scale >> 4) << 6);
    out[j + 4] = static_cast<std::uint8_t>(parts.minima[j] | (minimum >> 4) << 6);
    out[j + 8] = static_cast<std::uint8_t>((scale & 15) | (minimum & 15) << 4);
  }
}

struct Q4 {
  using Block = BlockQ4_K;
  static constexpr TensorType kType = TensorType::kQ4_K;
  static constexpr int kPart = 32, kTop = 15, kScaleTop = 63;
  static constexpr AffineSearch kPlain{15, -1.0f, 0.1f, 20, false}, kWeighed{15, -0.9f, 0.05f, 36, false};
  static constexpr float kSpread = 2;
  static float plain_weight_base(const float* x) { return root_mean_square(x); }
  static void pack(Block& block, const PartScales& parts, const SuperCodes& codes) {
    block.d = parts.d;
    block.dmin = parts.dmin;
    pack_six_bits(parts, block.scales);
    pack_nibbles(codes, block.codes);
  }
};

struct Q5 {
  using Block = BlockQ5_K;
  static constexpr TensorType kType = TensorType::kQ5_K;
  static constexpr int kPart = 32, kTop = 31, kScaleTop = 63;
  static constexpr AffineSearch kPlain{31, -0.5f, 0.1f, 15, false}, kWeighed{31, -0.9f, 0.05f, 36, false};
  static constexpr float kSpread = 2;
  static float plain_weight_base(const float* x) { return root_mean_square(x); }
  static void pack(Block& block, const PartScales& parts, const SuperCodes& codes) {
    block.d = parts.d;
    block.dmin = parts.dmin;
    pack_six_bits(parts, block.scales);
    pack_bits(codes, 4, block.high);
    pack_nibbles(codes, block.codes);
  }
};

// ---- the steps ----

// Rounds positive values to 0 … top with the largest at the top.
std::uint16_t round_positive(const float* values, int n, int top, std::uint8_t* codes) {
  float largest = 0;
  for (int j = 0; j < n; ++j) largest = values[j] > largest ? values[j] : largest;
  if (!(largest > 0)) return 0;
  const float inverse = static_cast<float>(top) / largest;
  for (int j = 0; j < n; ++j) {
    codes[j] = static_cast<std::uint8_t>(clamped(nearest(inverse * values[j]), 0.0f, static_cast<float>(top)));
  }
  return f32_to_f16(largest / static_cast<float>(top));
}

template <class K>
class AffineK final : public Quantizer {
 public:
  TensorType type() const noexcept override { return K::kType; }
  std::uint32_t version() const noexcept override { return 1; }

  void quantize_rows(const float* rows, std::int64_t count, std::int64_t columns, std::span<const float> importance,
                     std::byte* out, float*) const noexcept override {
    const std::int64_t per_row = columns / kSuperBlock, blocks = count * per_row;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float* weights = importance.empty() ? nullptr : importance.data() + b % per_row * kSuperBlock;
      const typename K::Block block = quantize_block(rows + b * kSuperBlock, weights);
      std::memcpy(out + b * static_cast<std::int64_t>(sizeof(block)), &block, sizeof(block));
    }
  }

 private:
  static constexpr int kParts = kSuperBlock / K::kPart;

  static void plain_weights(const float* x, float* weights) {
    const float base = K::plain_weight_base(x);
    for (int i = 0; i < K::kPart; ++i) weights[i] = base + std::fabs(x[i]);
  }

  static void fit_parts(const float* x, const float* importance, PartFit& parts) {
    float spread = 0;
    if (importance != nullptr) {
      sums_of_squares(x, 1, kSuperBlock, &spread);
      spread = K::kSpread * spread / kSuperBlock;
    }
    LaneBlocks lanes;
    for (int first = 0; first < kParts; first += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float* values = x + (first + lane) * K::kPart;
        float weights[K::kPart];
        if (importance != nullptr) weigh(values, importance + (first + lane) * K::kPart, spread, K::kPart, weights);
        else plain_weights(values, weights);
        lanes.put(lane, values, weights, K::kPart);
        float sum = 0;
        for (const float w : weights) sum += w;
        parts.weight[first + lane] = sum;
      }
      AffineFit fit;
      search_affine(lanes, K::kPart, importance != nullptr ? K::kWeighed : K::kPlain, fit);
      std::memcpy(parts.scale + first, fit.scale, sizeof(fit.scale));
      std::memcpy(parts.minimum + first, fit.minimum, sizeof(fit.minimum));
      std::memcpy(parts.inverse + first, fit.inverse, sizeof(fit.inverse));
      std::memcpy(parts.base + first, fit.base, sizeof(fit.base));
    }
  }

  static PartScales round_scales(const PartFit& fit, bool weighed) {
    PartScales parts;
    if (weighed) {
      parts.d = f32_to_f16(fit_positive_scales(fit.scale, fit.weight, kParts, K::kScaleTop, parts.scales));
      parts.dmin = f32_to_f16(fit_positive_scales(fit.minimum, fit.weight, kParts, K::kScaleTop, parts.minima));
    } else {
      parts.d = round_positive(fit.scale, kParts, K::kScaleTop, parts.scales);
      parts.dmin = round_positive(fit.minimum, kParts, K::kScaleTop, parts.minima);
    }
    return parts;
  }

  static typename K::Block quantize_block(const float* x, const float* importance) {
    PartFit fit;
    fit_parts(x, importance, fit);
    const PartScales parts = round_scales(fit, importance != nullptr);
    const float d = f16_to_f32(parts.d), dmin = f16_to_f32(parts.dmin);
    constexpr float top = K::kTop;
    SuperCodes codes;
    for (int j = 0; j < kParts; ++j) {
      const float* values = x + j * K::kPart;
      std::uint8_t* part = codes.data() + j * K::kPart;
      const float scale = d * parts.scales[j];
      if (scale == 0) search_codes(values, K::kPart, fit.inverse[j], fit.base[j], 0, top, part);
      else round_codes(values, K::kPart, scale, dmin * parts.minima[j], 0, top, part);
    }
    typename K::Block block;
    K::pack(block, parts, codes);
    return block;
  }
};

}  // namespace

const Quantizer& q2_k() noexcept {
  static const AffineK<Q2> quantizer;
  return quantizer;
}
const Quantizer& q4_k() noexcept {
  static const AffineK<Q4> quantizer;
  return quantizer;
}
const Quantizer& q5_k() noexcept {
  static const AffineK<Q5> quantizer;
  return quantizer;
}

}  // namespace retort
