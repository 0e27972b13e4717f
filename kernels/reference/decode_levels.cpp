// Types whose codes name levels: IQ4 (uneven), ternary, and the 4-bit floats.
#include <bit>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/reference/decode.h"
#include "kernels/reference/for_each_block.h"

namespace retort::kernels::reference {
namespace {

// ggml's kvalues_iq4nl: what the types are, not a choice.
constexpr std::int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// E2M1 times two: with half the scale, every product is exact.
constexpr std::int8_t kDoubledE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(exponent - 128): half of E8M0's value; exponents 0 and 1 are subnormals.
float half_of_e8m0(std::uint8_t exponent) noexcept {
  const std::uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23;
  return std::bit_cast<float>(bits);
}

// Half of an E4M3 scale whose sign bit is ignored; the code of NaN counts as 0.
float half_of_scale(std::uint8_t code) noexcept {
  return code == 0x7f ? 0.0f : 0.5f * (code == 0xff ? 480.0f : f8_e4m3_to_f32(code & 0x7f));
}

// One ternary digit: the fraction's next digit after `power` multiplications by 3, which wrap in 8 bits.
float ternary(std::uint8_t fraction, std::uint8_t power) noexcept {
  const auto shifted = static_cast<std::uint8_t>(fraction * power);
  return static_cast<float>((shifted * 3 >> 8) - 1);
}

}  // namespace

void decode_iq4_nl(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ4_NL, 32>(packed, out, n, [](const BlockIQ4_NL& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; ++j) {
      x[j] = d * static_cast<float>(kIq4Levels[block.codes[j] & 15]);
      x[j + 16] = d * static_cast<float>(kIq4Levels[block.codes[j] >> 4]);
    }
  });
}

void decode_iq4_xs(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ4_XS, 256>(packed, out, n, [](const BlockIQ4_XS& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int s = 0; s < 8; ++s) {
      const int low = block.scales_low[s / 2] >> (s % 2 * 4) & 15, high = block.scales_high >> (2 * s) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      for (int j = 0; j < 16; ++j) {
        const std::uint8_t codes = block.codes[16 * s + j];
        x[32 * s + j] = scale * static_cast<float>(kIq4Levels[codes & 15]);
        x[32 * s + j + 16] = scale * static_cast<float>(kIq4Levels[codes >> 4]);
      }
    }
  });
}

void decode_tq1_0(const void* packed, float* out, std::size_t n) {
  constexpr std::uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  for_each_block<BlockTQ1_0, 256>(packed, out, n, [&](const BlockTQ1_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int p = 0; p < 5; ++p) {
      for (int j = 0; j < 32; ++j) x[32 * p + j] = d * ternary(block.codes[j], kPowers[p]);
      for (int j = 0; j < 16; ++j) x[160 + 16 * p + j] = d * ternary(block.codes[32 + j], kPowers[p]);
      if (p == 4) continue;
      for (int j = 0; j < 4; ++j) x[240 + 4 * p + j] = d * ternary(block.last[j], kPowers[p]);
    }
  });
}

void decode_tq2_0(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockTQ2_0, 256>(packed, out, n, [](const BlockTQ2_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 256; ++i) {
      const int code = block.codes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
      x[i] = d * static_cast<float>(code - 1);
    }
  });
}

void decode_mxfp4(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockMXFP4, 32>(packed, out, n, [](const BlockMXFP4& block, float* x) {
    const float d = half_of_e8m0(block.exponent);
    for (int j = 0; j < 16; ++j) {
      x[j] = d * static_cast<float>(kDoubledE2M1[block.codes[j] & 15]);
      x[j + 16] = d * static_cast<float>(kDoubledE2M1[block.codes[j] >> 4]);
    }
  });
}

void decode_nvfp4(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockNVFP4, 64>(packed, out, n, [](const BlockNVFP4& block, float* x) {
    for (int s = 0; s < 4; ++s) {
      const float d = half_of_scale(block.scales[s]);
      for (int j = 0; j < 8; ++j) {
        const std::uint8_t codes = block.codes[8 * s + j];
        x[16 * s + j] = d * static_cast<float>(kDoubledE2M1[codes & 15]);
        x[16 * s + j + 8] = d * static_cast<float>(kDoubledE2M1[codes >> 4]);
      }
    }
  });
}

}  // namespace retort::kernels::reference
