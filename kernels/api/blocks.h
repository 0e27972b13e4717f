// The packed block layouts, byte for byte as GGUF files hold them (ggml's block formats).
// All scales are f16 unless said otherwise; codes lie low nibble first: in a block of 32, byte j holds element j in
// its low nibble and element j + 16 in its high one.
#pragma once

#include <cstdint>

namespace retort::kernels {

// x = d · (code - 8), code 0…15.
struct BlockQ4_0 { std::uint16_t d; std::uint8_t codes[16]; };
static_assert(sizeof(BlockQ4_0) == 18);

// x = d · code + m, code 0…15.
struct BlockQ4_1 { std::uint16_t d, m; std::uint8_t codes[16]; };
static_assert(sizeof(BlockQ4_1) == 20);

// x = d · (code - 16), code 0…31; bit j of `high` is the fifth bit of element j.
struct BlockQ5_0 { std::uint16_t d; std::uint8_t high[4]; std::uint8_t codes[16]; };
static_assert(sizeof(BlockQ5_0) == 22);

// x = d · code + m, code 0…31.
struct BlockQ5_1 { std::uint16_t d, m; std::uint8_t high[4]; std::uint8_t codes[16]; };
static_assert(sizeof(BlockQ5_1) == 24);

// x = d · code, code -127…127 (-128 is decoded, never written).
struct BlockQ8_0 { std::uint16_t d; std::int8_t codes[32]; };
static_assert(sizeof(BlockQ8_0) == 34);

// Super-blocks of 256 weights share f16 scales; sub-blocks have small integer scales.

// 16 sub-blocks of 16: x = d · (scale & 15) · code - dmin · (scale >> 4), code 0…3.
struct BlockQ2_K { std::uint8_t scales[16]; std::uint8_t codes[64]; std::uint16_t d, dmin; };
static_assert(sizeof(BlockQ2_K) == 84);

// 16 sub-blocks of 16: x = d · (scale - 32) · (code - 4), code 0…7, its third bit in `high`, 6-bit scales in 12 bytes.
struct BlockQ3_K { std::uint8_t high[32]; std::uint8_t codes[64]; std::uint8_t scales[12]; std::uint16_t d; };
static_assert(sizeof(BlockQ3_K) == 110);

// 8 sub-blocks of 32: x = d · scale · code - dmin · minimum, code 0…15, 6-bit scales and minima in 12 bytes.
struct BlockQ4_K { std::uint16_t d, dmin; std::uint8_t scales[12]; std::uint8_t codes[128]; };
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K with a fifth bit in `high`.
struct BlockQ5_K { std::uint16_t d, dmin; std::uint8_t scales[12]; std::uint8_t high[32]; std::uint8_t codes[128]; };
static_assert(sizeof(BlockQ5_K) == 176);

// 16 sub-blocks of 16: x = d · scale · (code - 32), code 0…63, two high bits in `high`, 8-bit scales.
struct BlockQ6_K { std::uint8_t low[128]; std::uint8_t high[64]; std::int8_t scales[16]; std::uint16_t d; };
static_assert(sizeof(BlockQ6_K) == 210);

// Activations rounded to 8 bits per block, as llama.cpp does for the same weight types.
// For weights in blocks of 32: d = max|x| / 127 (stored as f16), s = d · sum of codes (for Q4_1 and Q5_1).
struct BlockQ8_1 { std::uint16_t d, s; std::int8_t codes[32]; };
static_assert(sizeof(BlockQ8_1) == 36);
// For super-blocks: f32 scale, sums of 16 codes each.
struct BlockQ8_K { float d; std::int8_t codes[256]; std::int16_t sums[16]; };
static_assert(sizeof(BlockQ8_K) == 292);

}  // namespace retort::kernels
