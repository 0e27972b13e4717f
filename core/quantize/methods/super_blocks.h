// What the types in super-blocks of 256 share: rounding to given scales and laying codes out.
#pragma once

#include <array>
#include <cstdint>

#include "core/quantize/methods/lanes.h"

namespace retort {

inline constexpr int kSuperBlock = 256;
using SuperCodes = std::array<std::uint8_t, kSuperBlock>;

// code = clamp(nearest((x + minimum) / scale), 0, top), where codes are shifted by `shift` from signed ones.
inline void round_codes(const float* x, int n, float scale, float minimum, float shift, float top,
                        std::uint8_t* codes) noexcept {
  for (int i = 0; i < n; ++i) {
    codes[i] = static_cast<std::uint8_t>(clamped(nearest((x[i] + minimum) / scale), -shift, top - shift) + shift);
  }
}

// The codes of a search that ended with `inverse` and `base`; all 0 when inverse is 0 (a block of equal values).
inline void search_codes(const float* x, int n, float inverse, float base, float shift, float top,
                         std::uint8_t* codes) noexcept {
  for (int i = 0; i < n; ++i) {
    const float code = inverse == 0 ? 0 : clamped(nearest(inverse * (x[i] - base)), -shift, top - shift) + shift;
    codes[i] = static_cast<std::uint8_t>(code);
  }
}

// Two bits each of four codes a byte: byte l of a half holds elements l, l + 32, l + 64, l + 96 of that half.
inline void pack_pairs(const SuperCodes& codes, std::uint8_t out[64]) noexcept {
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t* c = codes.data() + 128 * half;
    for (int l = 0; l < 32; ++l) {
      out[32 * half + l] = static_cast<std::uint8_t>((c[l] & 3) | (c[l + 32] & 3) << 2 | (c[l + 64] & 3) << 4 |
                                                     (c[l + 96] & 3) << 6);
    }
  }
}

// Four bits each: byte l of a quarter holds elements l and l + 32 of that quarter.
inline void pack_nibbles(const SuperCodes& codes, std::uint8_t out[128]) noexcept {
  for (int quarter = 0; quarter < 4; ++quarter) {
    const std::uint8_t* c = codes.data() + 64 * quarter;
    for (int l = 0; l < 32; ++l) {
      out[32 * quarter + l] = static_cast<std::uint8_t>((c[l] & 15) | (c[l + 32] & 15) << 4);
    }
  }
}

// One bit each, number `bit` of the code: bit k of byte l belongs to element 32 · k + l.
inline void pack_bits(const SuperCodes& codes, int bit, std::uint8_t out[32]) noexcept {
  for (int l = 0; l < 32; ++l) {
    int bits = 0;
    for (int k = 0; k < 8; ++k) bits |= (codes[static_cast<std::size_t>(32 * k + l)] >> bit & 1) << k;
    out[l] = static_cast<std::uint8_t>(bits);
  }
}

}  // namespace retort
