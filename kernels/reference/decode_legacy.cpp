// The types in blocks of 32; layouts and formulas in api/blocks.h.
#include <cstring>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/reference/decode.h"

namespace retort::kernels::reference {
namespace {

// Calls decode_block(block, out) for each block; the copy makes unaligned sources well defined.
template <class Block, class F>
void for_each_block(const void* packed, float* out, std::size_t n, F decode_block) {
  const auto* bytes = static_cast<const unsigned char*>(packed);
  for (std::size_t b = 0; b < n / 32; ++b) {
    Block block;
    std::memcpy(&block, bytes + b * sizeof(Block), sizeof(Block));
    decode_block(block, out + b * 32);
  }
}

int low(std::uint8_t byte) { return byte & 15; }
int high(std::uint8_t byte) { return byte >> 4; }

// The fifth bit of element j, in place.
int fifth_bit(const std::uint8_t bits[4], int j) { return (bits[j / 8] >> (j % 8) & 1) << 4; }

}  // namespace

void decode_q4_0(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ4_0>(packed, out, n, [](const BlockQ4_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; ++j) {
      x[j] = static_cast<float>(low(block.codes[j]) - 8) * d;
      x[j + 16] = static_cast<float>(high(block.codes[j]) - 8) * d;
    }
  });
}

void decode_q4_1(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ4_1>(packed, out, n, [](const BlockQ4_1& block, float* x) {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (int j = 0; j < 16; ++j) {
      x[j] = static_cast<float>(low(block.codes[j])) * d + m;
      x[j + 16] = static_cast<float>(high(block.codes[j])) * d + m;
    }
  });
}

void decode_q5_0(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ5_0>(packed, out, n, [](const BlockQ5_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 16; ++j) {
      x[j] = static_cast<float>((low(block.codes[j]) | fifth_bit(block.high, j)) - 16) * d;
      x[j + 16] = static_cast<float>((high(block.codes[j]) | fifth_bit(block.high, j + 16)) - 16) * d;
    }
  });
}

void decode_q5_1(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ5_1>(packed, out, n, [](const BlockQ5_1& block, float* x) {
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (int j = 0; j < 16; ++j) {
      x[j] = static_cast<float>(low(block.codes[j]) | fifth_bit(block.high, j)) * d + m;
      x[j + 16] = static_cast<float>(high(block.codes[j]) | fifth_bit(block.high, j + 16)) * d + m;
    }
  });
}

void decode_q8_0(const void* packed, float* out, std::size_t n) {
  for_each_block<BlockQ8_0>(packed, out, n, [](const BlockQ8_0& block, float* x) {
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < 32; ++j) x[j] = static_cast<float>(block.codes[j]) * d;
  });
}

}  // namespace retort::kernels::reference
