#include "kernels/onednn/onednn.h"

#include <algorithm>
#include <cstddef>


#ifdef RETORT_HAVE_ONEDNN
#include <dnnl.h>

#include "kernels/onednn/prepare_thread.h"

namespace retort::kernels::onednn {
namespace {

constexpr std::int64_t kDepth = 256;  // whole blocks of every packed type

// A product whose every pair of neighbours needs more than 16 bits: a kernel for processors without VNNI that
// saturates there gives a wrong sum.
const char* test_int8() noexcept {
  prepare_thread();
  constexpr int kTokens = 9, kRows = 17, kColumns = 70;
  std::int8_t a[kTokens * kColumns], b[kRows * kColumns];
  std::int32_t c[kTokens * kRows];
  for (int i = 0; i < kTokens * kColumns; ++i) a[i] = static_cast<std::int8_t>(i % 3 == 0 ? -127 : 127);
  for (int i = 0; i < kRows * kColumns; ++i) b[i] = static_cast<std::int8_t>(i % 5 == 0 ? -127 : 127);
  const std::int32_t zero = 0;
  if (dnnl_gemm_s8s8s32('N', 'T', 'F', kTokens, kRows, kColumns, 1.0f, a, kColumns, 0, b, kColumns, 0, 0.0f, c, kRows,
                        &zero) != dnnl_success)
    return "oneDNN refuses s8 products";
  for (int t = 0; t < kTokens; ++t) {
    for (int r = 0; r < kRows; ++r) {
      int sum = 0;
      for (int k = 0; k < kColumns; ++k) sum += a[t * kColumns + k] * b[r * kColumns + k];
      if (c[t * kRows + r] != sum) return "oneDNN's s8 products saturate on this processor";
    }
  }
  return "";
}

const char* test_f32() noexcept {
  prepare_thread();
  const float a[2] = {3, 4}, b[2] = {5, 6};
  float c = 0;
  if (dnnl_sgemm('N', 'T', 1, 1, 2, 1.0f, a, 2, b, 2, 0.0f, &c, 1) != dnnl_success || c != 39)
    return "oneDNN refuses f32 products";
  return "";
}

}  // namespace

const char* why_no_f32() noexcept {
  static const char* const why = test_f32();
  return why;
}

const char* why_no_int8() noexcept {
  static const char* const why = test_int8();
  return why;
}

void linear_f32(const LinearTile& tile) {
  for (std::int64_t k = 0; k < tile.columns; k += kDepth) {
    const std::int64_t depth = std::min(kDepth, tile.columns - k);
    decode_part(tile, tile.first_row, tile.rows, k, depth, tile.scratch);
    dnnl_sgemm('N', 'T', tile.m, tile.rows, depth, 1.0f, tile.x + k, tile.x_stride, tile.scratch, depth,
               k > 0 ? 1.0f : 0.0f, tile.y + tile.first_row, tile.y_stride);
  }
}

namespace {

// Of one product: its sums, and the weights that had to be put in rows again, fit a tile's scratch.
constexpr std::int64_t kTokens = 256, kRows = 32, kIntDepth = 2048;
static_assert(kTokens * kRows + kRows * kIntDepth / 4 <= static_cast<std::int64_t>(kTileScratch));

// Weights [first_row, first_row + rows) × [k, k + depth) of a layout of api/interleaved.h, row-major.
void gather_rows(const LinearTile& tile, std::int64_t group, std::int64_t first_row, std::int64_t rows, std::int64_t k,
                 std::int64_t depth, std::int8_t* out) noexcept {
  const std::int64_t quads = (tile.columns + 3) / 4;
  const auto* const weights = static_cast<const std::int8_t*>(tile.weights);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = first_row + r;
    const std::int8_t* const from = weights + row / group * quads * 4 * group + row % group * 4;
    for (std::int64_t i = k; i < k + depth; ++i) out[r * depth + i - k] = from[i / 4 * 4 * group + i % 4];
  }
}

// `group` 1: weights as stored.
void int8_product(const LinearTile& tile, std::int64_t group, std::int64_t first_row, std::int64_t rows,
                  std::int64_t token, std::int64_t tokens) noexcept {
  auto* const sums = reinterpret_cast<std::int32_t*>(tile.scratch);
  auto* const gathered = reinterpret_cast<std::int8_t*>(tile.scratch + kTokens * kRows);
  const std::int32_t zero = 0;
  const std::ptrdiff_t x_stride = tile.m > 1 ? tile.rounded[1].codes - tile.rounded[0].codes : tile.columns;
  for (std::int64_t k = 0; k < tile.columns; k += kIntDepth) {
    const std::int64_t depth = std::min(kIntDepth, tile.columns - k);
    const std::int8_t* weights = static_cast<const std::int8_t*>(tile.weights) + first_row * tile.columns + k;
    if (group > 1) {
      gather_rows(tile, group, first_row, rows, k, depth, gathered);
      weights = gathered;
    }
    dnnl_gemm_s8s8s32('N', 'T', 'F', tokens, rows, depth, 1.0f, tile.rounded[token].codes + k, x_stride, 0, weights,
                      group > 1 ? depth : tile.columns, 0, k > 0 ? 1.0f : 0.0f, sums, rows, &zero);
  }
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* const y = tile.y + (token + t) * tile.y_stride + first_row;
    for (std::int64_t r = 0; r < rows; ++r)
      y[r] = static_cast<float>(sums[t * rows + r]) * (tile.rounded[token + t].scales[0] * tile.row_scales[first_row + r]);
  }
}

void run_int8(const LinearTile& tile, std::int64_t group) noexcept {
  for (std::int64_t row = 0; row < tile.rows; row += kRows)
    for (std::int64_t t = 0; t < tile.m; t += kTokens)
      int8_product(tile, group, tile.first_row + row, std::min(kRows, tile.rows - row), t, std::min(kTokens, tile.m - t));
}

}  // namespace

void linear_int8(const LinearTile& tile) { run_int8(tile, 1); }
void linear_int8_from8(const LinearTile& tile) { run_int8(tile, 8); }
void linear_int8_from16(const LinearTile& tile) { run_int8(tile, 16); }

}  // namespace retort::kernels::onednn

#else

namespace retort::kernels::onednn {

const char* why_no_f32() noexcept { return "built without oneDNN"; }
const char* why_no_int8() noexcept { return "built without oneDNN"; }
// Never chosen: the two functions above say why.
void linear_f32(const LinearTile&) {}
void linear_int8(const LinearTile&) {}
void linear_int8_from8(const LinearTile&) {}
void linear_int8_from16(const LinearTile&) {}

}  // namespace retort::kernels::onednn

#endif
