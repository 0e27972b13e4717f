// Weights in blocks of 32 times rounded activations, in integers, 8 interleaved rows at a time (api/interleaved.h).
//
// Unsigned codes: maddubs(code, x) adds two products in 16 bits; as many of these are added as cannot overflow (8 for
// 4 bits: 8 · 2 · 15 · 127 = 30480; 4 for 5 bits: 4 · 2 · 31 · 127 = 31496) before madd with ones gives one 32-bit sum
// per row. The offset (8, 16) is taken off as offset · Σx. Signed 8-bit codes use maddubs(|w|, ±x): 2 · 128 · 127
// = 32512 fits, so a stored -128 is right too.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/codes.h"

namespace retort::kernels::avx2 {
namespace {

// sums[t] = Σ over the 32 of code · x[t], one lane per row.
template <int Bits, int T>
inline __attribute__((always_inline)) void dot32(const std::uint8_t* planes, const std::int8_t* const* x,
                                                 __m256i* sums) {
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (Bits == 8) {
    for (int t = 0; t < T; ++t) sums[t] = _mm256_setzero_si256();
    Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
      const __m256i w = codes<8, Q>(planes);
      const __m256i magnitude = _mm256_abs_epi8(w);
      for (int t = 0; t < T; ++t) {
        const __m256i products = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(broadcast4(x[t] + 4 * Q), w));
        sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(products, ones));
      }
    });
  } else {
    __m256i first[T], second[T];
    Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
      const __m256i w = codes<Bits, Q>(planes);
      for (int t = 0; t < T; ++t) {
        const __m256i products = _mm256_maddubs_epi16(w, broadcast4(x[t] + 4 * Q));
        __m256i& sum = Bits == 5 && Q >= 4 ? second[t] : first[t];
        sum = Q == 0 || (Bits == 5 && Q == 4) ? products : _mm256_add_epi16(sum, products);
      }
    });
    for (int t = 0; t < T; ++t) {
      sums[t] = _mm256_madd_epi16(first[t], ones);
      if constexpr (Bits == 5) sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(second[t], ones));
    }
  }
}

// One group of 8 rows times T tokens.
template <int Bits, bool kHasMinimum, int T>
inline __attribute__((always_inline)) void group(const std::uint8_t* record, std::int64_t blocks, const Q8Row* rows,
                                                 __m256* out) {
  constexpr int kHeader = kHasMinimum ? 32 : 16;
  constexpr int kOffsetShift = Bits - 1;  // offset 8 or 16
  const std::int8_t* x[T];
  for (int t = 0; t < T; ++t) {
    x[t] = rows[t].codes;
    out[t] = _mm256_setzero_ps();
  }
  for (std::int64_t b = 0; b < blocks; ++b, record += kHeader + 32 * Bits) {
    const __m256 d = load_half8(record);
    __m256i sums[T];
    dot32<Bits, T>(record + kHeader, x, sums);
    for (int t = 0; t < T; ++t) {
      if constexpr (!kHasMinimum && Bits != 8)
        sums[t] = _mm256_sub_epi32(sums[t], _mm256_slli_epi32(_mm256_set1_epi32(rows[t].sums[b]), kOffsetShift));
      const __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(rows[t].scales[b]));
      out[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[t]), scale, out[t]);
      if constexpr (kHasMinimum)
        out[t] = _mm256_fmadd_ps(load_half8(record + 16), _mm256_set1_ps(rows[t].scaled_sums[b]), out[t]);
      x[t] += 32;
    }
  }
}

template <int Bits, bool kHasMinimum, int T>
inline __attribute__((always_inline)) void token_step(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t blocks = tile.columns / 32;
  const std::int64_t group_bytes = blocks * ((kHasMinimum ? 32 : 16) + 32 * Bits);
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 8) {
    const std::int64_t at = tile.first_row + row;
    __m256 out[T];
    group<Bits, kHasMinimum, T>(weights + at / 8 * group_bytes, blocks, tile.rounded + first_token, out);
    for (int t = 0; t < T; ++t)
      store_first(tile.y + (first_token + t) * tile.y_stride + at, static_cast<int>(tile.rows - row), out[t]);
  }
}

template <int Bits, bool kHasMinimum>
void run(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 4 <= tile.m; t += 4) token_step<Bits, kHasMinimum, 4>(tile, t);
  for (; t < tile.m; ++t) token_step<Bits, kHasMinimum, 1>(tile, t);
}

}  // namespace

void linear_q8_32(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kQ4_0: run<4, false>(tile); return;
    case TensorType::kQ4_1: run<4, true>(tile); return;
    case TensorType::kQ5_0: run<5, false>(tile); return;
    case TensorType::kQ5_1: run<5, true>(tile); return;
    default: run<8, false>(tile); return;
  }
}

}  // namespace retort::kernels::avx2
