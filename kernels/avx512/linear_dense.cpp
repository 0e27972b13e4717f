// Dense weights, F32, F16 or BF16, straight from where they are stored.
#include "kernels/avx2/dense_panels.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/gemm.h"

namespace retort::kernels::avx512 {
namespace {

// Sixteen elements of a row: the two halves as avx2/dense_rows.h loads them.
template <class Row>
inline __attribute__((always_inline)) __m512 load16(const std::uint8_t* from) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(Row::load(from)), Row::load(from + 8 * Row::kBytes), 1);
}

template <class Row, int R, int T>
inline __attribute__((always_inline)) void dots(const std::uint8_t* weights, std::int64_t row_bytes,
                                                std::int64_t columns, const float* x, std::int64_t x_stride, float* y,
                                                std::int64_t y_stride) {
  __m512 sum[R][T];
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) sum[r][t] = _mm512_setzero_ps();
  const std::int64_t whole = columns / 16 * 16;
  for (std::int64_t k = 0; k < whole; k += 16) {
    for (int r = 0; r < R; ++r) {
      const __m512 w = load16<Row>(weights + r * row_bytes + k * Row::kBytes);
      for (int t = 0; t < T; ++t)
        sum[r][t] = _mm512_fmadd_ps(w, _mm512_loadu_ps(x + t * x_stride + k), sum[r][t]);
    }
  }
  if (whole < columns) {
    const auto count = static_cast<std::size_t>(columns - whole);
    for (int t = 0; t < T; ++t) {
      float tail[16] = {};
      __builtin_memcpy(tail, x + t * x_stride + whole, count * sizeof(float));
      for (int r = 0; r < R; ++r) {
        std::uint8_t bytes[16 * Row::kBytes] = {};
        __builtin_memcpy(bytes, weights + r * row_bytes + whole * Row::kBytes, count * Row::kBytes);
        sum[r][t] = _mm512_fmadd_ps(load16<Row>(bytes), _mm512_loadu_ps(tail), sum[r][t]);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int t = 0; t < T; ++t) {
      float lanes[16];
      _mm512_storeu_ps(lanes, sum[r][t]);
      y[t * y_stride + r] = avx2::sum_lanes(_mm256_add_ps(_mm256_loadu_ps(lanes), _mm256_loadu_ps(lanes + 8)));
    }
  }
}

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
  for (std::int64_t row = 0; row < tile.rows; row += 32) {
    const std::int64_t at = tile.first_row + row;
    const std::int64_t count = tile.rows - row < 32 ? tile.rows - row : 32;
    const auto* const weights = static_cast<const std::uint8_t*>(tile.weights) + at * row_bytes;
    for (std::int64_t k = 0; k < tile.columns; k += kPanelDepth) {
      const std::int64_t depth = tile.columns - k < kPanelDepth ? tile.columns - k : kPanelDepth;
      for (std::int64_t eight = 0; eight < 32; eight += 8) {
        // Columns past the end repeat the first rows; their results are not stored.
        const std::int64_t from = eight < count ? eight : 0;
        avx2::half_panel<Row, 32>(weights + from * row_bytes + k * Row::kBytes, row_bytes, count - from, depth,
                                  tile.scratch + eight);
      }
      const GemmArgs args{tile.x + k, tile.x_stride, tile.scratch, depth, tile.y + at, tile.y_stride, k > 0};
      if (count == 32) gemm32(args, tile.m);
      else gemm_narrow(args, tile.m, count);
    }
  }
}

}  // namespace

void linear_dense_few(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kF32: run_few<avx2::RowF32>(tile); return;
    case TensorType::kF16: run_few<avx2::RowF16>(tile); return;
    default: run_few<avx2::RowBF16>(tile); return;
  }
}

void linear_dense(const LinearTile& tile) {
  switch (tile.type) {
    case TensorType::kF32: run_panels<avx2::RowF32>(tile); return;
    case TensorType::kF16: run_panels<avx2::RowF16>(tile); return;
    default: run_panels<avx2::RowBF16>(tile); return;
  }
}

}  // namespace retort::kernels::avx512
