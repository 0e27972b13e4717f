// The IQ types of 1 to 3 bits: rows of a codebook, signs, small scales. The order of the products is that of ggml: the
// scale of a sub-block first, then the row's element, then the sign (which is exact).
#include <array>
#include <bit>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/reference/decode.h"
#include "kernels/reference/for_each_block.h"
#include "kernels/reference/iq_grids.h"

namespace retort::kernels::reference {
namespace {

// Codebooks with their levels written out: Width elements a row, Bits bits each in the packed table.
template <int Width, int Bits, std::size_t Rows, std::size_t Levels>
constexpr auto expand(const std::array<std::uint16_t, Rows>& packed, const std::array<std::int8_t, Levels>& levels) {
  std::array<std::array<std::int8_t, Width>, Rows> rows{};
  for (std::size_t r = 0; r < Rows; ++r)
    for (std::size_t j = 0; j < Width; ++j)
      rows[r][j] = levels[static_cast<std::size_t>(packed[r] >> (Bits * j) & ((1 << Bits) - 1))];
  return rows;
}

constexpr std::array<std::int8_t, 4> kLevels1 = {-1, 0, 1, 0};
constexpr std::array<std::int8_t, 4> kLevels2 = {0x08, 0x19, 0x2b, 0};
constexpr std::array<std::int8_t, 8> kLevels3Xxs = {0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3e};
constexpr std::array<std::int8_t, 8> kLevels3S = {0x01, 0x03, 0x05, 0x07, 0x09, 0x0b, 0x0d, 0x0f};
// Static tables rather than constexpr: 11 thousand elements are more than compilers like to evaluate.
const auto kIq1 = expand<8, 2>(kIq1Grid, kLevels1);
const auto kIq2Xxs = expand<8, 2>(kIq2XxsGrid, kLevels2);
const auto kIq2Xs = expand<8, 2>(kIq2XsGrid, kLevels2);
const auto kIq2S = expand<8, 2>(kIq2SGrid, kLevels2);
const auto kIq3Xxs = expand<4, 3>(kIq3XxsGrid, kLevels3Xxs);
const auto kIq3S = expand<4, 3>(kIq3SGrid, kLevels3S);

// Seven stored signs; the eighth makes the number of minuses even.
unsigned even_signs(unsigned seven) noexcept {
  return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

// Writes scale · element · sign; bit j of `signs` is element j's.
template <std::size_t Width>
void put(float scale, const std::array<std::int8_t, Width>& row, unsigned signs, float* x) noexcept {
  for (std::size_t j = 0; j < Width; ++j) {
    const float value = scale * static_cast<float>(row[j]);
    x[j] = signs >> j & 1u ? -value : value;
  }
}

std::uint32_t word_at(const std::uint8_t* bytes) noexcept {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

void put_shifted(float scale, const std::array<std::int8_t, 8>& row, bool negative, float* x) noexcept {
  const float shift = negative ? -0.125f : 0.125f;
  for (std::size_t j = 0; j < 8; ++j) x[j] = scale * (static_cast<float>(row[j]) + shift);
}

}  // namespace

void decode_iq2_xxs(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ2_XXS, 256>(packed, out, n, [](const BlockIQ2_XXS& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int s = 0; s < 8; ++s) {
      const std::uint8_t* const part = block.parts + 8 * s;
      const std::uint32_t word = word_at(part + 4);
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
      for (int g = 0; g < 4; ++g)
        put(scale, kIq2Xxs[part[g]], even_signs(word >> (7 * g) & 127u), x + 32 * s + 8 * g);
    }
  });
}

void decode_iq2_xs(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ2_XS, 256>(packed, out, n, [](const BlockIQ2_XS& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 32; ++g) {
      const int nibble = block.scales[g / 4] >> (g / 2 % 2 * 4) & 15;
      const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
      put(scale, kIq2Xs[block.codes[g] & 511u], even_signs(block.codes[g] >> 9), x + 8 * g);
    }
  });
}

void decode_iq2_s(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ2_S, 256>(packed, out, n, [](const BlockIQ2_S& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 32; ++g) {
      const int nibble = block.scales[g / 4] >> (g / 2 % 2 * 4) & 15;
      const float scale = d * (0.5f + static_cast<float>(nibble)) * 0.25f;
      const unsigned row = block.codes[g] | (block.high[g / 4] >> (g % 4 * 2) & 3u) << 8;
      put(scale, kIq2S[row], block.signs[g], x + 8 * g);
    }
  });
}

void decode_iq3_xxs(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ3_XXS, 256>(packed, out, n, [](const BlockIQ3_XXS& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int s = 0; s < 8; ++s) {
      const std::uint32_t word = word_at(block.scales + 4 * s);
      const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
      for (int g = 0; g < 4; ++g) {
        const unsigned signs = even_signs(word >> (7 * g) & 127u);
        put(scale, kIq3Xxs[block.codes[8 * s + 2 * g]], signs, x + 32 * s + 8 * g);
        put(scale, kIq3Xxs[block.codes[8 * s + 2 * g + 1]], signs >> 4, x + 32 * s + 8 * g + 4);
      }
    }
  });
}

void decode_iq3_s(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ3_S, 256>(packed, out, n, [](const BlockIQ3_S& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 64; ++g) {
      const int nibble = block.scales[g / 16] >> (g / 8 % 2 * 4) & 15;
      const float scale = d * static_cast<float>(1 + 2 * nibble);
      const unsigned row = block.codes[g] | (block.high[g / 8] >> (g % 8) & 1u) << 8;
      put(scale, kIq3S[row], static_cast<unsigned>(block.signs[g / 2]) >> (g % 2 * 4), x + 4 * g);
    }
  });
}

void decode_iq1_s(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ1_S, 256>(packed, out, n, [](const BlockIQ1_S& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 32; ++g) {
      const unsigned high = block.high[g / 4];
      const float scale = d * static_cast<float>(2 * (high >> 12 & 7u) + 1);
      const unsigned row = block.codes[g] | (high >> (g % 4 * 3) & 7u) << 8;
      put_shifted(scale, kIq1[row], (high & 0x8000u) != 0, x + 8 * g);
    }
  });
}

void decode_iq1_m(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockIQ1_M, 256>(packed, out, n, [](const BlockIQ1_M& block, float* x) {
    unsigned half = 0;
    for (int i = 0; i < 4; ++i) half |= static_cast<unsigned>(block.scales[i] >> 12) << (4 * i);
    const float d = f16_to_f32(static_cast<std::uint16_t>(half));
    for (int g = 0; g < 32; ++g) {
      const unsigned stored = block.scales[g / 8] >> (g / 2 % 4 * 3) & 7u;
      const float scale = d * static_cast<float>(2 * stored + 1);
      const unsigned high = static_cast<unsigned>(block.high[g / 2]) >> (g % 2 * 4);
      put_shifted(scale, kIq1[block.codes[g] | (high & 7u) << 8], (high & 8u) != 0, x + 8 * g);
    }
  });
}

}  // namespace retort::kernels::reference
