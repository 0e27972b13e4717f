#include "core/distill/code_layout.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/api/blocks.h"

namespace retort::distill {
namespace {

using namespace kernels;

// Sets `count` bits of a byte from bit `shift` on.
void put_bits(std::uint8_t& byte, int shift, int count, int value) noexcept {
  const int mask = ((1 << count) - 1) << shift;
  byte = static_cast<std::uint8_t>((byte & ~mask) | (value << shift & mask));
}

// Blocks of 32: byte j holds elements j and j + 16.
template <class Block>
void put_small(std::byte* block, int element, int code) noexcept {
  Block& b = *reinterpret_cast<Block*>(block);
  put_bits(b.codes[element % 16], 4 * (element / 16), 4, code);
  if constexpr (requires { b.high; }) put_bits(b.high[element / 8], element % 8, 1, code >> 4);
}

// Two bits each: byte l of a half holds elements l, l + 32, l + 64, l + 96 of that half.
void put_pair(std::uint8_t* codes, int element, int code) noexcept {
  put_bits(codes[32 * (element / 128) + element % 32], 2 * (element % 128 / 32), 2, code);
}

// Four bits each: byte l of a quarter holds elements l and l + 32 of that quarter.
void put_nibble(std::uint8_t* codes, int element, int code) noexcept {
  put_bits(codes[32 * (element / 64) + element % 32], 4 * (element % 64 / 32), 4, code);
}

void put_q2_k(std::byte* block, int element, int code) noexcept { put_pair(reinterpret_cast<BlockQ2_K*>(block)->codes, element, code); }

void put_q3_k(std::byte* block, int element, int code) noexcept {
  auto& b = *reinterpret_cast<BlockQ3_K*>(block);
  put_pair(b.codes, element, code);
  put_bits(b.high[element % 32], element / 32, 1, code >> 2);
}

void put_q4_k(std::byte* block, int element, int code) noexcept { put_nibble(reinterpret_cast<BlockQ4_K*>(block)->codes, element, code); }

void put_q5_k(std::byte* block, int element, int code) noexcept {
  auto& b = *reinterpret_cast<BlockQ5_K*>(block);
  put_nibble(b.codes, element, code);
  put_bits(b.high[element % 32], element / 32, 1, code >> 4);
}

void put_q6_k(std::byte* block, int element, int code) noexcept {
  auto& b = *reinterpret_cast<BlockQ6_K*>(block);
  const int half = element / 128, at = element % 128;
  put_bits(b.low[64 * half + at % 64], 4 * (at / 64), 4, code);
  put_bits(b.high[32 * half + at % 32], 2 * (at / 32), 2, code >> 4);
}

constexpr std::array kLayouts = {
    CodeLayout{TensorType::kQ4_0, 16, put_small<BlockQ4_0>}, CodeLayout{TensorType::kQ4_1, 16, put_small<BlockQ4_1>},
    CodeLayout{TensorType::kQ5_0, 32, put_small<BlockQ5_0>}, CodeLayout{TensorType::kQ5_1, 32, put_small<BlockQ5_1>},
    CodeLayout{TensorType::kQ2_K, 4, put_q2_k},              CodeLayout{TensorType::kQ3_K, 8, put_q3_k},
    CodeLayout{TensorType::kQ4_K, 16, put_q4_k},             CodeLayout{TensorType::kQ5_K, 32, put_q5_k},
    CodeLayout{TensorType::kQ6_K, 64, put_q6_k},
};

}  // namespace

const CodeLayout* code_layout(TensorType type) noexcept {
  const auto found = std::find_if(kLayouts.begin(), kLayouts.end(), [&](const CodeLayout& layout) { return layout.type == type; });
  return found == kLayouts.end() ? nullptr : &*found;
}

}  // namespace retort::distill
