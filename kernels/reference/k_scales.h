// The 6-bit scales of the super-block types, unpacked.
#pragma once

#include <cstdint>

namespace retort::kernels {

// Q3_K: 16 scales. Byte i % 8 of the first eight holds the low four bits of scale i (low nibble for i < 8), bits
// 2·(i / 4) of byte 8 + i % 4 the high two. Values are stored with 32 added.
static inline void unpack_q3_k_scales(const std::uint8_t packed[12], std::int8_t scales[16]) noexcept {
  for (int i = 0; i < 16; ++i) {
    const int low = packed[i % 8] >> (i < 8 ? 0 : 4) & 15;
    const int high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
    scales[i] = static_cast<std::int8_t>((low | high << 4) - 32);
  }
}

// Q4_K and Q5_K: 8 scales and 8 minima. The first four lie in the low six bits of bytes 0…3 and 4…7; the last four have
// their low nibbles in bytes 8…11 (scale low, minimum high) and their high two bits on top of bytes 0…3 and 4…7.
static inline void unpack_q4_k_scales(const std::uint8_t packed[12], std::uint8_t scales[8],
                               std::uint8_t minima[8]) noexcept {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 63;
    minima[i] = packed[i + 4] & 63;
    scales[i + 4] = static_cast<std::uint8_t>((packed[i + 8] & 15) | packed[i] >> 6 << 4);
    minima[i + 4] = static_cast<std::uint8_t>(packed[i + 8] >> 4 | packed[i + 4] >> 6 << 4);
  }
}

}  // namespace retort::kernels
