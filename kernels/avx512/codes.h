// As avx2/codes.h, for 16 rows: quad Q of 32 elements as 64 bytes.
#pragma once

#include "kernels/avx512/vec.h"

namespace retort::kernels::avx512 {
namespace {

template <int From, int To, int Mask>
inline __attribute__((always_inline)) __m512i move_bits(__m512i v) {
  if constexpr (From < To) v = _mm512_slli_epi16(v, To - From);
  if constexpr (From > To) v = _mm512_srli_epi16(v, From - To);
  return _mm512_and_si512(v, _mm512_set1_epi8(Mask));
}

// Unsigned codes for 2 … 6 bits, signed bytes for 8.
template <int Bits, int Q>
inline __attribute__((always_inline)) __m512i codes(const std::uint8_t* planes) {
  if constexpr (Bits == 8) {
    return load_bytes(planes + 64 * Q);
  } else if constexpr (Bits >= 4) {
    const __m512i low = move_bits<Q < 4 ? 0 : 4, 0, 15>(load_bytes(planes + 64 * (Q % 4)));
    if constexpr (Bits == 4) return low;
    else if constexpr (Bits == 5) return _mm512_or_si512(low, move_bits<Q, 4, 16>(load_bytes(planes + 256)));
    else return _mm512_or_si512(low, move_bits<2 * (Q % 4), 4, 48>(load_bytes(planes + 256 + 64 * (Q / 4))));
  } else {
    const __m512i low = move_bits<2 * (Q % 4), 0, 3>(load_bytes(planes + 64 * (Q / 4)));
    if constexpr (Bits == 2) return low;
    else return _mm512_or_si512(low, move_bits<Q, 2, 4>(load_bytes(planes + 128)));
  }
}

// Codes as unsigned bytes: signed 8-bit ones get 128 added, which is the offset 2^(bits - 1) of the other types too.
template <int Bits, int Q>
inline __attribute__((always_inline)) __m512i unsigned_codes(const std::uint8_t* planes) {
  if constexpr (Bits == 8) return _mm512_xor_si512(codes<8, Q>(planes), _mm512_set1_epi8(-128));
  else return codes<Bits, Q>(planes);
}

}  // namespace
}  // namespace retort::kernels::avx512
