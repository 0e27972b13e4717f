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

// Sixteen levels that are not equally spaced. Block of 32: x = d · level[code].
struct BlockIQ4_NL { std::uint16_t d; std::uint8_t codes[16]; };
static_assert(sizeof(BlockIQ4_NL) == 18);

// 8 sub-blocks of 32: x = d · (scale - 32) · level[code]; a scale has 4 bits in `scales_low`, 2 in `scales_high`.
struct BlockIQ4_XS { std::uint16_t d, scales_high; std::uint8_t scales_low[4]; std::uint8_t codes[128]; };
static_assert(sizeof(BlockIQ4_XS) == 136);

// The other IQ types name rows of a codebook (reference/iq_grids.h), 8 elements a row (IQ1, IQ2) or 4 (IQ3).

// 8 sub-blocks of 32, 8 bytes each: 4 row numbers, then u32: 4 × 7 bits of signs, 4 bits of scale.
// x = d · (0.5 + scale) / 4 · row element · sign.
struct BlockIQ2_XXS { std::uint16_t d; std::uint8_t parts[64]; };
static_assert(sizeof(BlockIQ2_XXS) == 66);

// 32 u16: row number (9 bits), signs (7 bits); 16 scales of 4 bits. x as IQ2_XXS.
struct BlockIQ2_XS { std::uint16_t d; std::uint16_t codes[32]; std::uint8_t scales[8]; };
static_assert(sizeof(BlockIQ2_XS) == 74);

// 32 row numbers (8 bits, 2 more in `high`), 8 signs each; 16 scales of 4 bits. x as IQ2_XXS.
struct BlockIQ2_S { std::uint16_t d; std::uint8_t codes[32]; std::uint8_t signs[32]; std::uint8_t high[8]; std::uint8_t scales[8]; };
static_assert(sizeof(BlockIQ2_S) == 82);

// 64 row numbers; 8 u32 as in IQ2_XXS. x = d · (0.5 + scale) / 2 · row element · sign.
struct BlockIQ3_XXS { std::uint16_t d; std::uint8_t codes[64]; std::uint8_t scales[32]; };
static_assert(sizeof(BlockIQ3_XXS) == 98);

// 64 row numbers (8 bits, 1 more in `high`), a sign bit per element; 8 scales of 4 bits. x = d · (1 + 2 · scale) · element · sign.
struct BlockIQ3_S { std::uint16_t d; std::uint8_t codes[64]; std::uint8_t high[8]; std::uint8_t signs[32]; std::uint8_t scales[4]; };
static_assert(sizeof(BlockIQ3_S) == 110);

// 32 row numbers of 11 bits: 8 in `codes`, 3 in `high`, whose top bits are a 3-bit scale and the sign of the shift.
// x = d · (2 · scale + 1) · (row element ± 1/8), row elements -1, 0, 1.
struct BlockIQ1_S { std::uint16_t d; std::uint8_t codes[32]; std::uint16_t high[8]; };
static_assert(sizeof(BlockIQ1_S) == 50);

// As IQ1_S with 16 scales of 3 bits and a shift's sign per row; the f16 d lies in the top nibbles of the four scale words.
struct BlockIQ1_M { std::uint8_t codes[32]; std::uint8_t high[16]; std::uint16_t scales[4]; };
static_assert(sizeof(BlockIQ1_M) == 56);

// Ternary: x = d · (-1, 0, 1). Five digits a byte (a fraction of 256/243, most significant digit first), the last 16 elements
// four a byte.
struct BlockTQ1_0 { std::uint8_t codes[48]; std::uint8_t last[4]; std::uint16_t d; };
static_assert(sizeof(BlockTQ1_0) == 54);
// Two bits each, in Q2_K's order.
struct BlockTQ2_0 { std::uint8_t codes[64]; std::uint16_t d; };
static_assert(sizeof(BlockTQ2_0) == 66);

// E2M1 codes (kept doubled: 0 1 2 3 4 6 8 12 and their negatives) with powers of two or small floats for scales.
// Block of 32: x = 2^(exponent - 128) · doubled code.
struct BlockMXFP4 { std::uint8_t exponent; std::uint8_t codes[16]; };
static_assert(sizeof(BlockMXFP4) == 17);
// 4 sub-blocks of 16 with an unsigned E4M3 scale: x = scale / 2 · doubled code; byte j of a sub-block holds j and j + 8.
struct BlockNVFP4 { std::uint8_t scales[4]; std::uint8_t codes[32]; };
static_assert(sizeof(BlockNVFP4) == 36);

// Activations rounded to 8 bits per block, as llama.cpp does for the same weight types.
// For weights in blocks of 32: d = max|x| / 127 (stored as f16), s = d · sum of codes (for Q4_1 and Q5_1).
struct BlockQ8_1 { std::uint16_t d, s; std::int8_t codes[32]; };
static_assert(sizeof(BlockQ8_1) == 36);
// For super-blocks: f32 scale, sums of 16 codes each.
struct BlockQ8_K { float d; std::int8_t codes[256]; std::int16_t sums[16]; };
static_assert(sizeof(BlockQ8_K) == 292);

}  // namespace retort::kernels
