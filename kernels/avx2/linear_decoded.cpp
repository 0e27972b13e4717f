// The generic way: a piece of the weight is decoded to f32, then multiplied. For types without kernels of their own.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

constexpr std::int64_t kDepth = 256;   // whole blocks of every type; tiles of 128 rows of it fit the scratch

// y[t][r] (+)= x[t] · w[r] for T tokens and R rows over `depth` columns.
template <int T, int R>
RETORT_INLINE void products(const float* x, std::int64_t x_stride, const float* w, std::int64_t depth, float* y,
                            std::int64_t y_stride, bool add) {
  __m256 sums[T][R];
  for (auto& row : sums)
    for (__m256& sum : row) sum = _mm256_setzero_ps();
  std::int64_t k = 0;
  for (; k + 8 <= depth; k += 8) {
    __m256 weights[R];
    for (int r = 0; r < R; ++r) weights[r] = _mm256_loadu_ps(w + r * depth + k);
    for (int t = 0; t < T; ++t) {
      const __m256 inputs = _mm256_loadu_ps(x + t * x_stride + k);
      for (int r = 0; r < R; ++r) sums[t][r] = _mm256_fmadd_ps(inputs, weights[r], sums[t][r]);
    }
  }
  const int rest = static_cast<int>(depth - k);
  for (int t = 0; t < T; ++t) {
    for (int r = 0; r < R; ++r) {
      if (rest > 0)
        sums[t][r] = _mm256_fmadd_ps(load_first(x + t * x_stride + k, rest), load_first(w + r * depth + k, rest), sums[t][r]);
      float* const out = y + t * y_stride + r;
      *out = (add ? *out : 0.0f) + sum_lanes(sums[t][r]);
    }
  }
}

template <int T>
RETORT_INLINE void tokens(const float* x, std::int64_t x_stride, const float* w, std::int64_t rows, std::int64_t depth,
                          float* y, std::int64_t y_stride, bool add) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) products<T, 4>(x, x_stride, w + r * depth, depth, y + r, y_stride, add);
  for (; r < rows; ++r) products<T, 1>(x, x_stride, w + r * depth, depth, y + r, y_stride, add);
}

}  // namespace

void linear_decoded(const LinearTile& tile) {
  for (std::int64_t k = 0; k < tile.columns; k += kDepth) {
    const std::int64_t depth = tile.columns - k < kDepth ? tile.columns - k : kDepth;
    decode_part(tile, tile.first_row, tile.rows, k, depth, tile.scratch);
    std::int64_t t = 0;
    const auto x = [&] { return tile.x + t * tile.x_stride + k; };
    const auto y = [&] { return tile.y + t * tile.y_stride + tile.first_row; };
    for (; t + 2 <= tile.m; t += 2) tokens<2>(x(), tile.x_stride, tile.scratch, tile.rows, depth, y(), tile.y_stride, k > 0);
    if (t < tile.m) tokens<1>(x(), tile.x_stride, tile.scratch, tile.rows, depth, y(), tile.y_stride, k > 0);
  }
}

}  // namespace retort::kernels::avx2
