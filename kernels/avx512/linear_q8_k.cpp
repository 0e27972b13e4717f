// Weights in super-blocks of 256 times rounded activations, 16 interleaved rows at a time. Sums of a sub-block, their
// products with its scale and the sum over sub-blocks are exact in 32 bits: at most 256 · 63 · 128 · 127 < 2^29.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/super_blocks.h"

namespace retort::kernels::avx512 {
namespace {

// 32 elements: sums[t] += scale · Σ code · x. `low` scales quads 0…3, `high` quads 4…7.
template <class S, int T>
inline __attribute__((always_inline)) void dot32(const std::uint8_t* planes, const std::int8_t* const* x, int at,
                                                 __m512i low, __m512i high, __m512i* sums) {
  constexpr int kRun = S::kSub / 4;  // quads per scale
  __m512i partial[T];
  Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
    const __m512i w = codes<S::kBits, Q>(planes);
    for (int t = 0; t < T; ++t) {
      const __m512i before = Q % kRun == 0 ? _mm512_setzero_si512() : partial[t];
      partial[t] = _mm512_dpbusd_epi32(before, w, broadcast4(x[t] + at + 4 * Q));
      if constexpr (Q % kRun == kRun - 1)
        sums[t] = _mm512_add_epi32(sums[t], _mm512_mullo_epi32(partial[t], Q < 4 || S::kSub == 32 ? low : high));
    }
  });
}

// Σ over sub-blocks of bias · Σx, for one token.
template <class S>
inline __attribute__((always_inline)) __m512i bias_sum(const std::uint8_t* sub, const Q8Row& row, std::int64_t block) {
  constexpr int kPairs = 256 / S::kSub / 2;
  const std::int16_t* const x_sums = S::kSub == 32 ? row.sums32 + block * 8 : row.sums16 + block * 16;
  __m512i sum = _mm512_setzero_si512();
  for (int pair = 0; pair < kPairs; ++pair)
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(bias_pair<S>(sub, pair), broadcast4(x_sums + 2 * pair)));
  return sum;
}

template <class S, int T>
inline __attribute__((always_inline)) void group_k(const std::uint8_t* record, std::int64_t blocks, const Q8Row* rows,
                                                 __m512* out) {
  const std::int8_t* x[T];
  for (int t = 0; t < T; ++t) {
    x[t] = rows[t].codes;
    out[t] = _mm512_setzero_ps();
  }
  for (std::int64_t b = 0; b < blocks; ++b, record += S::kRecord) {
    const std::uint8_t* const sub = record + S::kHeader;
    const std::uint8_t* planes = sub + 256;
    __m512i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm512_setzero_si512();
    for (int pair = 0; pair < 256 / S::kSub / 2; ++pair) {
      const __m512i scales = scale_pair<S>(sub, pair);
      const __m512i low = entry<false>(scales), high = entry<true>(scales);
      if constexpr (S::kSub == 16) {
        dot32<S, T>(planes, x, 32 * pair, low, high, sums);
        planes += 64 * S::kBits;
      } else {
        dot32<S, T>(planes, x, 64 * pair, low, low, sums);
        dot32<S, T>(planes + 64 * S::kBits, x, 64 * pair + 32, high, high, sums);
        planes += 128 * S::kBits;
      }
    }
    const __m512 d = load_half16(record);
    for (int t = 0; t < T; ++t) {
      const __m512 x_scale = _mm512_set1_ps(rows[t].scales[b]);
      const __m512i bias = bias_sum<S>(sub, rows[t], b);
      if constexpr (!S::kHasMinimum) sums[t] = _mm512_sub_epi32(sums[t], _mm512_slli_epi32(bias, S::kOffsetShift));
      out[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), _mm512_mul_ps(d, x_scale), out[t]);
      if constexpr (S::kHasMinimum)
        out[t] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(bias), _mm512_mul_ps(load_half16(record + 32), x_scale), out[t]);
      x[t] += 256;
    }
  }
}

template <class S, int T>
inline __attribute__((always_inline)) void step_k(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t blocks = tile.columns / 256;
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 16) {
    const std::int64_t at = tile.first_row + row;
    __m512 out[T];
    group_k<S, T>(weights + at / 16 * blocks * S::kRecord, blocks, tile.rounded + first_token, out);
    for (int t = 0; t < T; ++t) store_first(tile.y + (first_token + t) * tile.y_stride + at, tile.rows - row, out[t]);
  }
}

template <class S>
void run_k(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 8 <= tile.m; t += 8) step_k<S, 8>(tile, t);
  for (; t < tile.m; ++t) step_k<S, 1>(tile, t);
}

}  // namespace

void linear_q8_k(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kQ2_K: run_k<Q2K>(tile); return;
    case TensorType::kQ3_K: run_k<Q3K>(tile); return;
    case TensorType::kQ4_K: run_k<Q4K>(tile); return;
    case TensorType::kQ5_K: run_k<Q5K>(tile); return;
    default: run_k<Q6K>(tile); return;
  }
}

}  // namespace retort::kernels::avx512
