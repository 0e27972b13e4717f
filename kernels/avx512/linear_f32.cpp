// f32 activations times packed weights: 32 rows (two interleaved groups of 16) are decoded into a panel that stays in the
// nearest cache, then multiplied. Decoded values are the reference's, bit for bit.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/gemm.h"
#include "kernels/avx512/super_blocks.h"

namespace retort::kernels::avx512 {
namespace {

// One quad of 16 rows: lane r, byte j = row r, element j → four vectors of 16 rows.
template <int Bits, int Offset, class Store>
inline __attribute__((always_inline)) void spread_quad(__m512i quad, const Store& store) {
  const __m512i byte = _mm512_set1_epi32(255), offset = _mm512_set1_epi32(Offset);
  Unroll::times<4>([&]<int J>() __attribute__((always_inline)) {
    __m512i code;
    if constexpr (Bits == 8) code = _mm512_srai_epi32(_mm512_slli_epi32(quad, 24 - 8 * J), 24);
    else if constexpr (J == 3) code = _mm512_srli_epi32(quad, 24);
    else code = _mm512_and_si512(_mm512_srli_epi32(quad, 8 * J), byte);
    if constexpr (Offset != 0) code = _mm512_sub_epi32(code, offset);
    store(J, _mm512_cvtepi32_ps(code));
  });
}

// Blocks of 32: `count` elements of 16 rows.
template <int Bits, bool kHasMinimum>
inline void panel_32(const std::uint8_t* record, std::int64_t count, float* out) {
  constexpr int kHeader = kHasMinimum ? 64 : 32;
  constexpr int kOffset = kHasMinimum || Bits == 8 ? 0 : 1 << (Bits - 1);
  for (; count > 0; count -= 32, record += kHeader + 64 * Bits, out += 32 * 32) {
    const __m512 d = load_half16(record);
    const __m512 m = kHasMinimum ? load_half16(record + 32) : _mm512_setzero_ps();
    Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
      spread_quad<Bits, kOffset>(codes<Bits, Q>(record + kHeader), [&](int j, __m512 code) {
        const __m512 scaled = _mm512_mul_ps(code, d);
        _mm512_storeu_ps(out + (4 * Q + j) * 32, kHasMinimum ? _mm512_add_ps(scaled, m) : scaled);
      });
    });
  }
}

template <bool kSecond>
inline __attribute__((always_inline)) __m512 entry_ps(__m512i pair) {
  return _mm512_cvtepi32_ps(entry<kSecond>(pair));
}

// Super-blocks: `count` elements (a multiple of 256) of 16 rows.
template <class S>
inline void panel_k(const std::uint8_t* record, std::int64_t count, float* out) {
  constexpr int kOffset = S::kHasMinimum ? 0 : 1 << (S::kBits - 1);
  for (; count > 0; count -= 256, record += S::kRecord) {
    const __m512 d = load_half16(record);
    const __m512 dmin = S::kHasMinimum ? load_half16(record + 32) : _mm512_setzero_ps();
    const std::uint8_t* const sub = record + S::kHeader;
    const std::uint8_t* planes = sub + 256;
    for (int chunk = 0; chunk < 8; ++chunk, planes += 64 * S::kBits, out += 32 * 32) {
      const int pair = S::kSub == 16 ? chunk : chunk / 2;
      const __m512i scales = scale_pair<S>(sub, pair), biases = bias_pair<S>(sub, pair);
      const bool odd = S::kSub == 32 && chunk % 2 == 1;
      const __m512 low = _mm512_mul_ps(d, odd ? entry_ps<true>(scales) : entry_ps<false>(scales));
      const __m512 high = S::kSub == 16 ? _mm512_mul_ps(d, entry_ps<true>(scales)) : low;
      const __m512 low_min = _mm512_mul_ps(dmin, odd ? entry_ps<true>(biases) : entry_ps<false>(biases));
      const __m512 high_min = S::kSub == 16 ? _mm512_mul_ps(dmin, entry_ps<true>(biases)) : low_min;
      Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
        spread_quad<S::kBits, kOffset>(codes<S::kBits, Q>(planes), [&](int j, __m512 code) {
          const __m512 scaled = _mm512_mul_ps(Q < 4 ? low : high, code);
          _mm512_storeu_ps(out + (4 * Q + j) * 32,
                           S::kHasMinimum ? _mm512_sub_ps(scaled, Q < 4 ? low_min : high_min) : scaled);
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
    case TensorType::kQ4_0: return {32 + 256, 32, &panel_32<4, false>};
    case TensorType::kQ4_1: return {64 + 256, 32, &panel_32<4, true>};
    case TensorType::kQ5_0: return {32 + 320, 32, &panel_32<5, false>};
    case TensorType::kQ5_1: return {64 + 320, 32, &panel_32<5, true>};
    case TensorType::kQ8_0: return {32 + 512, 32, &panel_32<8, false>};
    case TensorType::kQ2_K: return {Q2K::kRecord, 256, &panel_k<Q2K>};
    case TensorType::kQ3_K: return {Q3K::kRecord, 256, &panel_k<Q3K>};
    case TensorType::kQ4_K: return {Q4K::kRecord, 256, &panel_k<Q4K>};
    case TensorType::kQ5_K: return {Q5K::kRecord, 256, &panel_k<Q5K>};
    default: return {Q6K::kRecord, 256, &panel_k<Q6K>};
  }
}

}  // namespace

void linear_f32_interleaved(const LinearTile& tile) {
  const PanelType type = panel_type(tile.type);
  const std::int64_t group_bytes = tile.columns / type.block * type.record_bytes;
  const std::int64_t groups = (tile.first_row + tile.rows + 15) / 16;  // up to this tile's end
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 32) {
    const std::int64_t first_group = (tile.first_row + row) / 16;
    const std::int64_t columns = tile.rows - row < 32 ? tile.rows - row : 32;
    for (std::int64_t k = 0; k < tile.columns; k += kPanelDepth) {
      const std::int64_t depth = tile.columns - k < kPanelDepth ? tile.columns - k : kPanelDepth;
      for (std::int64_t half = 0; half < 2; ++half) {
        // Past the last group the first one is decoded again; its results are not stored.
        const std::int64_t group = first_group + half < groups ? first_group + half : first_group;
        type.decode(weights + group * group_bytes + k / type.block * type.record_bytes, depth,
                    tile.scratch + 16 * half);
      }
      const GemmArgs args{tile.x + k, tile.x_stride, tile.scratch, depth,
                          tile.y + tile.first_row + row, tile.y_stride, k > 0};
      if (columns == 32) gemm32(args, tile.m);
      else gemm_narrow(args, tile.m, columns);
    }
  }
}

}  // namespace retort::kernels::avx512
