// Weights in blocks of 32 times rounded activations, 16 interleaved rows at a time. VNNI sums four products in 32 bits,
// exactly; the codes' offset 2^(bits - 1) is taken off as offset · Σx, for 8 bits too (codes + 128 are unsigned).
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/codes.h"

namespace retort::kernels::avx512 {
namespace {

template <int Bits, bool kHasMinimum, int T>
inline __attribute__((always_inline)) void group_32(const std::uint8_t* record, std::int64_t blocks, const Q8Row* rows,
                                                 __m512* out) {
  constexpr int kHeader = kHasMinimum ? 64 : 32;
  const std::int8_t* x[T];
  for (int t = 0; t < T; ++t) {
    x[t] = rows[t].codes;
    out[t] = _mm512_setzero_ps();
  }
  for (std::int64_t b = 0; b < blocks; ++b, record += kHeader + 64 * Bits) {
    __m512i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm512_setzero_si512();
    Unroll::times<8>([&]<int Q>() __attribute__((always_inline)) {
      const __m512i w = unsigned_codes<Bits, Q>(record + kHeader);
      for (int t = 0; t < T; ++t) sums[t] = _mm512_dpbusd_epi32(sums[t], w, broadcast4(x[t] + 4 * Q));
    });
    const __m512 d = load_half16(record);
    for (int t = 0; t < T; ++t) {
      if constexpr (!kHasMinimum)
        sums[t] = _mm512_sub_epi32(sums[t], _mm512_slli_epi32(_mm512_set1_epi32(rows[t].sums[b]), Bits - 1));
      const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(rows[t].scales[b]));
      out[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[t]), scale, out[t]);
      if constexpr (kHasMinimum)
        out[t] = _mm512_fmadd_ps(load_half16(record + 32), _mm512_set1_ps(rows[t].scaled_sums[b]), out[t]);
      x[t] += 32;
    }
  }
}

template <int Bits, bool kHasMinimum, int T>
inline __attribute__((always_inline)) void step_32(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t blocks = tile.columns / 32;
  const std::int64_t group_bytes = blocks * ((kHasMinimum ? 64 : 32) + 64 * Bits);
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 16) {
    const std::int64_t at = tile.first_row + row;
    __m512 out[T];
    group_32<Bits, kHasMinimum, T>(weights + at / 16 * group_bytes, blocks, tile.rounded + first_token, out);
    for (int t = 0; t < T; ++t) store_first(tile.y + (first_token + t) * tile.y_stride + at, tile.rows - row, out[t]);
  }
}

template <int Bits, bool kHasMinimum>
void run_32(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 8 <= tile.m; t += 8) step_32<Bits, kHasMinimum, 8>(tile, t);
  for (; t < tile.m; ++t) step_32<Bits, kHasMinimum, 1>(tile, t);
}

}  // namespace

void linear_q8_32(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kQ4_0: run_32<4, false>(tile); return;
    case TensorType::kQ4_1: run_32<4, true>(tile); return;
    case TensorType::kQ5_0: run_32<5, false>(tile); return;
    case TensorType::kQ5_1: run_32<5, true>(tile); return;
    default: run_32<8, false>(tile); return;
  }
}

}  // namespace retort::kernels::avx512
