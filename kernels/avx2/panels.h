// Decodes weights into panels [k][16] of f32: k-th row = the k-th column's values of 16 weight rows, as gemm.h wants.
// The values are the reference decoders', bit for bit.
#pragma once

#include "kernels/api/tensor_type.h"
#include "kernels/avx2/super_blocks.h"

namespace retort::kernels::avx2 {
namespace {

constexpr std::int64_t kPanelDepth = 256;  // 16 KiB: half of the first-level cache

// One quad of 8 rows: lane r, byte j = row r, element j → four vectors of 8 rows.
template <int Bits, int Offset, class Store>
inline __attribute__((always_inline)) void spread_quad(__m256i quad, const Store& store) {
  const __m256i byte = _mm256_set1_epi32(255), offset = _mm256_set1_epi32(Offset);
  Unroll::times<4>([&]<int J>() __attribute__((always_inline)) {
    __m256i code;
    if constexpr (Bits == 8) code = _mm256_srai_epi32(_mm256_slli_epi32(quad, 24 - 8 * J), 24);
    else if constexpr (J == 3) code = _mm256_srli_epi32(quad, 24);
    else code = _mm256_and_si256(_mm256_srli_epi32(quad, 8 * J), byte);
    if constexpr (Offset != 0) code = _mm256_sub_epi32(code, offset);
    store(J, _mm256_cvtepi32_ps(code));
  });
}

// Blocks of 32: `count` elements of 8 rows from `record`, at column stride 16.
template <int Bits, bool kHasMinimum>
inline void panel_32(const std::uint8_t* record, std::int64_t count, float* out) {
  constexpr int kHeader = kHasMinimum ? 32 : 16;
  constexpr int kOffset = kHasMinimum || Bits == 8 ? 0 : 1 << (Bits - 1);
  for (; count > 0; count -= 32, record += kHeader + 32 * Bits) {
    const __m256 d = load_half8(record);
    const __m256 m = kHasMinimum ? load_half8(record + 16) : _mm256_setzero_ps();
    Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
      spread_quad<Bits, kOffset>(codes<Bits, Q>(record + kHeader), [&](int j, __m256 code) {
        const __m256 scaled = _mm256_mul_ps(code, d);
        _mm256_storeu_ps(out + (4 * Q + j) * 16, kHasMinimum ? _mm256_add_ps(scaled, m) : scaled);
      });
    });
    out += 32 * 16;
  }
}

// The first or second of a pair of 16-bit sub-block entries as floats.
template <bool kSecond>
inline __attribute__((always_inline)) __m256 entry(__m256i pair) {
  if constexpr (!kSecond) pair = _mm256_slli_epi32(pair, 16);
  return _mm256_cvtepi32_ps(_mm256_srai_epi32(pair, 16));
}

// Super-blocks: `count` elements (a multiple of 256) of 8 rows.
template <class S>
inline void panel_k(const std::uint8_t* record, std::int64_t count, float* out) {
  constexpr int kOffset = S::kHasMinimum ? 0 : 1 << (S::kBits - 1);
  for (; count > 0; count -= 256, record += S::kRecord) {
    const __m256 d = load_half8(record);
    const __m256 dmin = S::kHasMinimum ? load_half8(record + 16) : _mm256_setzero_ps();
    const std::uint8_t* const sub = record + S::kHeader;
    const std::uint8_t* planes = sub + 128;
    for (int chunk = 0; chunk < 8; ++chunk, planes += 32 * S::kBits, out += 32 * 16) {
      const int pair = S::kSub == 16 ? chunk : chunk / 2;
      const __m256i scales = scale_pair<S>(sub, pair), biases = bias_pair<S>(sub, pair);
      const bool odd = S::kSub == 32 && chunk % 2 == 1;
      const __m256 low = _mm256_mul_ps(d, odd ? entry<true>(scales) : entry<false>(scales));
      const __m256 high = S::kSub == 16 ? _mm256_mul_ps(d, entry<true>(scales)) : low;
      const __m256 low_min = _mm256_mul_ps(dmin, odd ? entry<true>(biases) : entry<false>(biases));
      const __m256 high_min = S::kSub == 16 ? _mm256_mul_ps(dmin, entry<true>(biases)) : low_min;
      Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
        spread_quad<S::kBits, kOffset>(codes<S::kBits, Q>(planes), [&](int j, __m256 code) {
          const __m256 scaled = _mm256_mul_ps(Q < 4 ? low : high, code);
          _mm256_storeu_ps(out + (4 * Q + j) * 16,
                           S::kHasMinimum ? _mm256_sub_ps(scaled, Q < 4 ? low_min : high_min) : scaled);
        });
      });
    }
  }
}

struct PanelType {
  std::int64_t record_bytes, block;
  void (*decode)(const std::uint8_t* record, std::int64_t count, float* out);
};

inline PanelType panel_type(TensorType type) {
  switch (type) {
    case TensorType::kQ4_0: return {16 + 128, 32, &panel_32<4, false>};
    case TensorType::kQ4_1: return {32 + 128, 32, &panel_32<4, true>};
    case TensorType::kQ5_0: return {16 + 160, 32, &panel_32<5, false>};
    case TensorType::kQ5_1: return {32 + 160, 32, &panel_32<5, true>};
    case TensorType::kQ8_0: return {16 + 256, 32, &panel_32<8, false>};
    case TensorType::kQ2_K: return {Q2K::kRecord, 256, &panel_k<Q2K>};
    case TensorType::kQ3_K: return {Q3K::kRecord, 256, &panel_k<Q3K>};
    case TensorType::kQ4_K: return {Q4K::kRecord, 256, &panel_k<Q4K>};
    case TensorType::kQ5_K: return {Q5K::kRecord, 256, &panel_k<Q5K>};
    default: return {Q6K::kRecord, 256, &panel_k<Q6K>};
  }
}

}  // namespace
}  // namespace retort::kernels::avx2
