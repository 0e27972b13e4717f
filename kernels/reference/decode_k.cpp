// The types in super-blocks of 256. Element order of the codes, the same for Q2_K, Q3_K: two halves of 128; in a half,
// byte l (0…31) holds elements l, l+32, l+64, l+96 from its lowest bits up. Q4_K, Q5_K: four runs of 64; byte l holds
// elements l (low nibble) and l+32. Q6_K: two halves of 128; low[l] and low[l+32] hold four elements' low nibbles.
#include <cstring>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/reference/decode.h"
#include "kernels/reference/k_scales.h"

namespace retort::kernels::reference {
namespace {

template <class Block, class F>
void for_each_block(const void* packed, float* out, std::size_t n, F decode_block) {
  const auto* bytes = static_cast<const unsigned char*>(packed);
  for (std::size_t b = 0; b < n / 256; ++b) {
    Block block;
    std::memcpy(&block, bytes + b * sizeof(Block), sizeof(Block));
    decode_block(block, out + b * 256);
  }
}

}  // namespace

void decode_q2_k(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ2_K>(packed, out, n, [](const BlockQ2_K& block, float* x) {
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, field = i % 128 / 32;
      const int code = block.codes[half * 32 + i % 32] >> (2 * field) & 3;
      const float scale = d * static_cast<float>(block.scales[i / 16] & 15);
      const float minimum = dmin * static_cast<float>(block.scales[i / 16] >> 4);
      x[i] = scale * static_cast<float>(code) - minimum;
    }
  });
}

void decode_q3_k(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ3_K>(packed, out, n, [](const BlockQ3_K& block, float* x) {
    std::int8_t scales[16];
    unpack_q3_k_scales(block.scales, scales);
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, field = i % 128 / 32;
      const int low = block.codes[half * 32 + i % 32] >> (2 * field) & 3;
      const int high = block.high[i % 32] >> (4 * half + field) & 1;
      x[i] = d * static_cast<float>(scales[i / 16]) * static_cast<float>((low | high << 2) - 4);
    }
  });
}

void decode_q4_k(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ4_K>(packed, out, n, [](const BlockQ4_K& block, float* x) {
    std::uint8_t scales[8], minima[8];
    unpack_q4_k_scales(block.scales, scales, minima);
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 256; ++i) {
      const int code = block.codes[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;
      const float scale = d * static_cast<float>(scales[i / 32]);
      const float minimum = dmin * static_cast<float>(minima[i / 32]);
      x[i] = scale * static_cast<float>(code) - minimum;
    }
  });
}

void decode_q5_k(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ5_K>(packed, out, n, [](const BlockQ5_K& block, float* x) {
    std::uint8_t scales[8], minima[8];
    unpack_q4_k_scales(block.scales, scales, minima);
    const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
    for (int i = 0; i < 256; ++i) {
      const int low = block.codes[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;
      const int high = block.high[i % 32] >> (i / 32) & 1;
      const float scale = d * static_cast<float>(scales[i / 32]);
      const float minimum = dmin * static_cast<float>(minima[i / 32]);
      x[i] = scale * static_cast<float>(low | high << 4) - minimum;
    }
  });
}

void decode_q6_k(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ6_K>(packed, out, n, [](const BlockQ6_K& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, field = i % 128 / 32, l = i % 32;
      const int low = block.low[half * 64 + field % 2 * 32 + l] >> (field < 2 ? 0 : 4) & 15;
      const int high = block.high[half * 32 + l] >> (2 * field) & 3;
      x[i] = d * static_cast<float>(block.scales[i / 16]) * static_cast<float>((low | high << 4) - 32);
    }
  });
}

}  // namespace retort::kernels::reference
