// Dense weights, F32, F16 or BF16, straight from where they are stored.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/dense_panels.h"
#include "kernels/avx2/gemm.h"

namespace retort::kernels::avx2 {
namespace {

constexpr std::int64_t kPanelDepth = 256;

// Few tokens: R weight rows times T tokens as dot products, eight lanes each.
template <class Row, int R, int T>
inline __attribute__((always_inline)) void dots(const std::uint8_t* weights, std::int64_t row_bytes,
                                                std::int64_t columns, const float* x, std::int64_t x_stride, float* y,
                                                std::int64_t y_stride) {
  __m256 sum[R][T];
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) sum[r][t] = _mm256_setzero_ps();
  std::int64_t k = 0;
  for (; k + 8 <= columns; k += 8) {
    for (int r = 0; r < R; ++r) {
      const __m256 w = Row::load(weights + r * row_bytes + k * Row::kBytes);
      for (int t = 0; t < T; ++t)
        sum[r][t] = _mm256_fmadd_ps(w, _mm256_loadu_ps(x + t * x_stride + k), sum[r][t]);
    }
  }
  if (k < columns) {
    for (int r = 0; r < R; ++r) {
      const __m256 w = load_tail<Row>(weights + r * row_bytes + k * Row::kBytes, columns - k);
      for (int t = 0; t < T; ++t)
        sum[r][t] = _mm256_fmadd_ps(w, load_first(x + t * x_stride + k, static_cast<int>(columns - k)), sum[r][t]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) y[t * y_stride + r] = sum_lanes(sum[r][t]);
}

// All rows of the tile for T tokens.
template <class Row, int T>
inline __attribute__((always_inline)) void few_step(const LinearTile& tile, std::int64_t first_token) {
  constexpr int kRows = T == 1 ? 8 : T == 2 ? 4 : 2;
  const std::int64_t row_bytes = tile.columns * Row::kBytes;
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights) + tile.first_row * row_bytes;
  const float* const x = tile.x + first_token * tile.x_stride;
  float* const y = tile.y + first_token * tile.y_stride + tile.first_row;
  std::int64_t row = 0;
  for (; row + kRows <= tile.rows; row += kRows)
    dots<Row, kRows, T>(weights + row * row_bytes, row_bytes, tile.columns, x, tile.x_stride, y + row, tile.y_stride);
  for (; row < tile.rows; ++row)
    dots<Row, 1, T>(weights + row * row_bytes, row_bytes, tile.columns, x, tile.x_stride, y + row, tile.y_stride);
}

template <class Row>
void run_few(const LinearTile& tile) {
  std::int64_t t = 0;
  for (; t + 4 <= tile.m; t += 4) few_step<Row, 4>(tile, t);
  if (t + 2 <= tile.m) {
    few_step<Row, 2>(tile, t);
    t += 2;
  }
  if (t < tile.m) few_step<Row, 1>(tile, t);
}

template <class Row>
void run_panels(const LinearTile& tile) {
  const std::int64_t row_bytes = tile.columns * Row::kBytes;
  for (std::int64_t row = 0; row < tile.rows; row += 16) {
    const std::int64_t at = tile.first_row + row;
    const int count = tile.rows - row < 16 ? static_cast<int>(tile.rows - row) : 16;
    const auto* const weights = static_cast<const std::uint8_t*>(tile.weights) + at * row_bytes;
    for (std::int64_t k = 0; k < tile.columns; k += kPanelDepth) {
      const std::int64_t depth = tile.columns - k < kPanelDepth ? tile.columns - k : kPanelDepth;
      const std::uint8_t* const from = weights + k * Row::kBytes;
      half_panel<Row>(from, row_bytes, count, depth, tile.scratch);
      if (count > 8) half_panel<Row>(from + 8 * row_bytes, row_bytes, count - 8, depth, tile.scratch + 8);
      else for (std::int64_t i = 0; i < depth; ++i) _mm256_storeu_ps(tile.scratch + 16 * i + 8, _mm256_setzero_ps());
      const GemmArgs args{tile.x + k, tile.x_stride, tile.scratch, 16, depth, tile.y + at, tile.y_stride, k > 0};
      if (count == 16) gemm16(args, tile.m);
      else gemm_narrow(args, tile.m, count);
    }
  }
}

}  // namespace

void linear_dense_few(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kF32: run_few<RowF32>(tile); return;
    case TensorType::kF16: run_few<RowF16>(tile); return;
    default: run_few<RowBF16>(tile); return;
  }
}

void linear_dense(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kF32: run_panels<RowF32>(tile); return;
    case TensorType::kF16: run_panels<RowF16>(tile); return;
    default: run_panels<RowBF16>(tile); return;
  }
}

}  // namespace retort::kernels::avx2
