// Reads codes out of the planes of api/interleaved.h: quad Q of 32 elements for 8 rows as 32 bytes.
#pragma once

#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

// Moves bit `From` of every byte to bit `To`; `Mask` keeps what belongs there.
template <int From, int To, int Mask>
inline __attribute__((always_inline)) __m256i move_bits(__m256i v) {
  if constexpr (From < To) v = _mm256_slli_epi16(v, To - From);
  if constexpr (From > To) v = _mm256_srli_epi16(v, From - To);
  return _mm256_and_si256(v, _mm256_set1_epi8(Mask));
}

// Unsigned codes for 2 … 6 bits, signed bytes for 8.
template <int Bits, int Q>
inline __attribute__((always_inline)) __m256i codes(const std::uint8_t* planes) {
  if constexpr (Bits == 8) {
    return load_bytes(planes + 32 * Q);
  } else if constexpr (Bits >= 4) {
    const __m256i low = move_bits<Q < 4 ? 0 : 4, 0, 15>(load_bytes(planes + 32 * (Q % 4)));
    if constexpr (Bits == 4) return low;
    else if constexpr (Bits == 5) return _mm256_or_si256(low, move_bits<Q, 4, 16>(load_bytes(planes + 128)));
    else return _mm256_or_si256(low, move_bits<2 * (Q % 4), 4, 48>(load_bytes(planes + 128 + 32 * (Q / 4))));
  } else {
    const __m256i low = move_bits<2 * (Q % 4), 0, 3>(load_bytes(planes + 32 * (Q / 4)));
    if constexpr (Bits == 2) return low;
    else return _mm256_or_si256(low, move_bits<Q, 2, 4>(load_bytes(planes + 64)));
  }
}

}  // namespace
}  // namespace retort::kernels::avx2
