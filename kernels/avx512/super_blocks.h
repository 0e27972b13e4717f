// As avx2/super_blocks.h, for 16 rows.
#pragma once

#include "kernels/avx512/codes.h"

namespace retort::kernels::avx512 {
namespace {

template <int kBits_, int kSub_, bool kHasMinimum_, bool kNibbleScales_>
struct Shape {
  static constexpr int kBits = kBits_;
  static constexpr int kSub = kSub_;                    // elements of a sub-block
  static constexpr bool kHasMinimum = kHasMinimum_;     // dmin and minima; otherwise the codes have an offset
  static constexpr bool kNibbleScales = kNibbleScales_; // Q2_K: scale and minimum in one byte
  static constexpr int kOffsetShift = kBits - 1;        // 4 or 32
  static constexpr int kHeader = kHasMinimum ? 64 : 32;
  static constexpr int kRecord = kHeader + 256 + 512 * kBits;
};
using Q2K = Shape<2, 16, true, true>;
using Q3K = Shape<3, 16, false, false>;
using Q4K = Shape<4, 32, true, false>;
using Q5K = Shape<5, 32, true, false>;
using Q6K = Shape<6, 16, false, false>;

// Scales of sub-blocks 2·pair and 2·pair + 1, 16 bits each, interleaved per row.
template <class S>
inline __attribute__((always_inline)) __m512i scale_pair(const std::uint8_t* sub, int pair) {
  const __m256i bytes = avx2::load_bytes(sub + 32 * pair);
  if constexpr (S::kNibbleScales) return _mm512_and_si512(_mm512_cvtepu8_epi16(bytes), _mm512_set1_epi16(15));
  else if constexpr (S::kHasMinimum) return _mm512_cvtepu8_epi16(bytes);
  else return _mm512_cvtepi8_epi16(bytes);
}

// What multiplies the sums of x: minima, or scales where the codes have an offset.
template <class S>
inline __attribute__((always_inline)) __m512i bias_pair(const std::uint8_t* sub, int pair) {
  if constexpr (S::kNibbleScales) return _mm512_srli_epi16(_mm512_cvtepu8_epi16(avx2::load_bytes(sub + 32 * pair)), 4);
  else if constexpr (S::kHasMinimum) return scale_pair<S>(sub + 128, pair);
  else return scale_pair<S>(sub, pair);
}

// The first or second of a pair of 16-bit entries as 32-bit integers.
template <bool kSecond>
inline __attribute__((always_inline)) __m512i entry(__m512i pair) {
  if constexpr (!kSecond) pair = _mm512_slli_epi32(pair, 16);
  return _mm512_srai_epi32(pair, 16);
}

}  // namespace
}  // namespace retort::kernels::avx512
