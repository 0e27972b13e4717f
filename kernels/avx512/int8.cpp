// INT8: s8 weights with one f32 scale per row, s8 activations with one per token; 16 interleaved rows. The weights get 128
// added to be unsigned for VNNI; 128 · Σx is taken off again, wrapping alike, so the sums are exact in 32 bits.
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"

namespace retort::kernels::avx512 {
namespace {

template <int T>
inline __attribute__((always_inline)) void step_int8(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t quads = (tile.columns + 3) / 4;
  const Q8Row* const x = tile.rounded + first_token;
  const __m512i sign = _mm512_set1_epi8(-128);
  for (std::int64_t row = 0; row < tile.rows; row += 16) {
    const std::int64_t at = tile.first_row + row;
    const auto* const weights = static_cast<const std::uint8_t*>(tile.weights) + at / 16 * quads * 64;
    __m512i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm512_setzero_si512();
    for (std::int64_t q = 0; q < quads; ++q) {
      const __m512i w = _mm512_xor_si512(load_bytes(weights + 64 * q), sign);
      for (int t = 0; t < T; ++t) sums[t] = _mm512_dpbusd_epi32(sums[t], w, broadcast4(x[t].codes + 4 * q));
    }
    const std::int64_t count = tile.rows - row < 16 ? tile.rows - row : 16;
    float row_scales[16] = {};
    __builtin_memcpy(row_scales, tile.row_scales + at, static_cast<std::size_t>(count) * sizeof(float));
    for (int t = 0; t < T; ++t) {
      const __m512i exact = _mm512_sub_epi32(sums[t], _mm512_slli_epi32(_mm512_set1_epi32(x[t].sums[0]), 7));
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(x[t].scales[0]), _mm512_loadu_ps(row_scales));
      store_first(tile.y + (first_token + t) * tile.y_stride + at, count,
                  _mm512_mul_ps(_mm512_cvtepi32_ps(exact), scale));
    }
  }
}

}  // namespace

void linear_int8(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 8 <= tile.m; t += 8) step_int8<8>(tile, t);
  for (; t < tile.m; ++t) step_int8<1>(tile, t);
}

}  // namespace retort::kernels::avx512
