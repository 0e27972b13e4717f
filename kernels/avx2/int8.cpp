// INT8: s8 weights with one f32 scale per row, s8 activations with one per token; exact 32-bit sums, 8 interleaved rows.
// |w| · (±x) pairs fit 16 bits: 2 · 128 · 127 = 32512. Columns up to 2^31 / (128 · 127) = 132 104 fit 32 bits.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

template <int T>
inline __attribute__((always_inline)) void token_step(const LinearTile& tile, std::int64_t first_token) {
  const std::int64_t quads = (tile.columns + 3) / 4;
  const __m256i ones = _mm256_set1_epi16(1);
  const Q8Row* const x = tile.rounded + first_token;
  for (std::int64_t row = 0; row < tile.rows; row += 8) {
    const std::int64_t at = tile.first_row + row;
    const auto* const weights = static_cast<const std::uint8_t*>(tile.weights) + at / 8 * quads * 32;
    __m256i sums[T];
    for (int t = 0; t < T; ++t) sums[t] = _mm256_setzero_si256();
    for (std::int64_t q = 0; q < quads; ++q) {
      const __m256i w = load_bytes(weights + 32 * q);
      const __m256i magnitude = _mm256_abs_epi8(w);
      for (int t = 0; t < T; ++t) {
        const __m256i products = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(broadcast4(x[t].codes + 4 * q), w));
        sums[t] = _mm256_add_epi32(sums[t], _mm256_madd_epi16(products, ones));
      }
    }
    const int count = tile.rows - row < 8 ? static_cast<int>(tile.rows - row) : 8;
    const __m256 row_scales = load_first(tile.row_scales + at, count);
    for (int t = 0; t < T; ++t) {
      const __m256 scale = _mm256_mul_ps(_mm256_set1_ps(x[t].scales[0]), row_scales);
      store_first(tile.y + (first_token + t) * tile.y_stride + at, count,
                  _mm256_mul_ps(_mm256_cvtepi32_ps(sums[t]), scale));
    }
  }
}

}  // namespace

void linear_int8(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 4 <= tile.m; t += 4) token_step<4>(tile, t);
  for (; t < tile.m; ++t) token_step<1>(tile, t);
}

}  // namespace retort::kernels::avx2
