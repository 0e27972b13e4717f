// The super-block types as the interleaved layout holds them: what differs between them, and their sub-block scales.
#pragma once

#include "kernels/avx2/codes.h"

namespace retort::kernels::avx2 {
namespace {

// What differs between the types.
template <int kBits_, int kSub_, bool kHasMinimum_, bool kNibbleScales_>
struct Shape {
  static constexpr int kBits = kBits_;
  static constexpr int kSub = kSub_;                    // elements of a sub-block
  static constexpr bool kHasMinimum = kHasMinimum_;     // dmin and minima; otherwise the codes have an offset
  static constexpr bool kNibbleScales = kNibbleScales_; // Q2_K: scale and minimum in one byte
  static constexpr int kOffsetShift = kBits - 1;        // 4 or 32
  static constexpr int kHeader = kHasMinimum ? 32 : 16;
  static constexpr int kRecord = kHeader + 128 + 256 * kBits;
  // maddubs results that fit one 16-bit sum: 2 · (2^bits - 1) · 127 each.
  static constexpr int kPerSum = kBits == 6 ? 2 : kBits == 5 ? 4 : 8;
};
using Q2K = Shape<2, 16, true, true>;
using Q3K = Shape<3, 16, false, false>;
using Q4K = Shape<4, 32, true, false>;
using Q5K = Shape<5, 32, true, false>;
using Q6K = Shape<6, 16, false, false>;

// Scales of sub-blocks 2·pair and 2·pair + 1, 16 bits each, interleaved per row.
template <class S>
inline __attribute__((always_inline)) __m256i scale_pair(const std::uint8_t* sub, int pair) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sub + 16 * pair));
  if constexpr (S::kNibbleScales) return _mm256_and_si256(_mm256_cvtepu8_epi16(bytes), _mm256_set1_epi16(15));
  else if constexpr (S::kHasMinimum) return _mm256_cvtepu8_epi16(bytes);
  else return _mm256_cvtepi8_epi16(bytes);
}

// What multiplies the sums of x: minima, or scales where the codes have an offset.
template <class S>
inline __attribute__((always_inline)) __m256i bias_pair(const std::uint8_t* sub, int pair) {
  if constexpr (S::kNibbleScales) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(sub + 16 * pair));
    return _mm256_srli_epi16(_mm256_cvtepu8_epi16(bytes), 4);
  } else if constexpr (S::kHasMinimum) {
    return scale_pair<S>(sub + 64, pair);
  } else {
    return scale_pair<S>(sub, pair);
  }
}

// The first (or second) of the two scales in both halves of each lane.
template <bool kSecond>
inline __attribute__((always_inline)) __m256i spread(__m256i pair) {
  const __m128i half = kSecond ? _mm_setr_epi8(2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15)
                               : _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
  return _mm256_shuffle_epi8(pair, _mm256_broadcastsi128_si256(half));
}

}  // namespace
}  // namespace retort::kernels::avx2
