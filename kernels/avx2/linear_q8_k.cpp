// Weights in super-blocks of 256 times rounded activations, in integers, 8 interleaved rows at a time.
//
// Within a sub-block 16-bit sums of maddubs cannot overflow (kPerSum); madd with the sub-block's scale in both
// halves of a lane then gives scale · Σ code · x per row, exactly, in 32 bits: at most 256 · 63 · 128 · 127 < 2^29.
// Minima (Q2_K, Q4_K, Q5_K) and the codes' offset (Q3_K: 4, Q6_K: 32) multiply the sums of x, two sub-blocks per madd.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/super_blocks.h"

namespace retort::kernels::avx2 {
namespace {

// 32 elements: sums[t] += scale · Σ code · x. `low` scales quads 0…3, `high` quads 4…7.
template <class S, int T>
inline __attribute__((always_inline)) void dot32(const std::uint8_t* planes, const std::int8_t* const* x, int at,
                                                 __m256i low, __m256i high, __m256i* sums) {
  constexpr int kRun = S::kPerSum < 8 ? S::kPerSum : S::kSub / 4;  // quads per 16-bit sum
  __m256i partial[T];
  Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
    const __m256i w = codes<S::kBits, Q>(planes);
    for (int t = 0; t < T; ++t) {
      const __m256i products = _mm256_maddubs_epi16(w, broadcast4(x[t] + at + 4 * Q));
      partial[t] = Q % kRun == 0 ? products : _mm256_add_epi16(partial[t], products);
      if constexpr (Q % kRun == kRun - 1)
        sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(partial[t], Q < 4 || S::kSub == 32 ? low : high));
    }
  });
}

// Σ over sub-blocks of bias · Σx, for one token.
template <class S>
inline __attribute__((always_inline)) __m256i bias_sum(const std::uint8_t* sub, const Q8Row& row, std::int64_t block) {
  constexpr int kPairs = 256 / S::kSub / 2;
  const std::int16_t* const x_sums = S::kSub == 32 ? row.sums32 + block * 8 : row.sums16 + block * 16;
  __m256i sum = _mm256_setzero_si256();
  for (int pair = 0; pair < kPairs; ++pair)
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(bias_pair<S>(sub, pair), broadcast4(x_sums + 2 * pair)));
  return sum;
}

template <class S, int T>
inline __attribute__((always_inline)) void group(const std::uint8_t* record, std::int64_t blocks, const Q8Row* rows,
                                                 __m256* out) {
  const std::int8_t* x[T];
  for (int t = 0; t < T; ++t) {
    x[t] = rows[t].codes;
    out[t] = _mm256_setzero_ps();
  }
  for (std::int64_t b = 0; b < blocks; ++b, record += S::kRecord) {
    const std::uint8_t* const sub = record + S::kHeader;
    const std::uint8_t* planes = sub + 128;
    __m256i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm256_setzero_si256();
    for (int pair = 0; pair < 256 / S::kSub / 2; ++pair) {
      const __m256i scales = scale_pair<S>(sub, pair);
      const __m256i low = spread<false>(scales), high = spread<true>(scales);
      if constexpr (S::kSub == 16) {
        dot32<S, T>(planes, x, 32 * pair, low, high, sums);
        planes += 32 * S::kBits;
      } else {
        dot32<S, T>(planes, x, 64 * pair, low, low, sums);
        dot32<S, T>(planes + 32 * S::kBits, x, 64 * pair + 32, high, high, sums);
        planes += 64 * S::kBits;
      }
    }
    const __m256 d = load_half8(record);
    for (int t = 0; t < T; ++t) {
      const __m256 x_scale = _mm256_set1_ps(rows[t].scales[b]);
      __m256i bias = bias_sum<S>(sub, rows[t], b);
      if constexpr (!S::kHasMinimum) sums[t] = _mm256_sub_epi32(sums[t], _mm256_slli_epi32(bias, S::kOffsetShift));
      out[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t]), _mm256_mul_ps(d, x_scale), out[t]);
      if constexpr (S::kHasMinimum)
        out[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(bias), _mm256_mul_ps(load_half8(record + 16), x_scale), out[t]);
      x[t] += 256;
    }
  }
}

template <class S, int T>
inline __attribute__((always_inline)) void token_step(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t blocks = tile.columns / 256;
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 8) {
    const std::int64_t at = tile.first_row + row;
    __m256 out[T];
    group<S, T>(weights + at / 8 * blocks * S::kRecord, blocks, tile.rounded + first_token, out);
    for (int t = 0; t < T; ++t)
      store_first(tile.y + (first_token + t) * tile.y_stride + at, static_cast<int>(tile.rows - row), out[t]);
  }
}

template <class S>
void run(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 4 <= tile.m; t += 4) token_step<S, 4>(tile, t);
  for (; t < tile.m; ++t) token_step<S, 1>(tile, t);
}

}  // namespace

void linear_q8_k(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kQ2_K: run<Q2K>(tile); return;
    case TensorType::kQ3_K: run<Q3K>(tile); return;
    case TensorType::kQ4_K: run<Q4K>(tile); return;
    case TensorType::kQ5_K: run<Q5K>(tile); return;
    default: run<Q6K>(tile); return;
  }
}

}  // namespace retort::kernels::avx2
