// f32 products of two dense operands: both packed into panels of 256 steps, then gemm.h's register tiles.
#include "kernels/avx2/gemm.h"
#include "kernels/avx2/train.h"

namespace retort::kernels::avx2 {
namespace {

// Columns [first, first + count) of op(b), `depth` steps from `k`, as [depth, 16] with zeros behind.
inline void pack_b(const MatmulTile& t, std::int64_t first, int count, std::int64_t k, std::int64_t depth, float* panel) {
  for (std::int64_t p = 0; p < depth; ++p) {
    for (int j = 0; j < 16; ++j) {
      const std::int64_t column = first + j;
      panel[p * 16 + j] = j >= count ? 0.0f
                          : t.transpose_b ? t.b[column * t.b_stride + k + p] : t.b[(k + p) * t.b_stride + column];
    }
  }
}

// Rows [first, first + count) of op(a) where a is stored transposed, as [count, depth].
inline void pack_a(const MatmulTile& t, std::int64_t first, std::int64_t count, std::int64_t k, std::int64_t depth,
                   float* rows) {
  for (std::int64_t p = 0; p < depth; ++p)
    for (std::int64_t i = 0; i < count; ++i) rows[i * depth + p] = t.a[(k + p) * t.a_stride + first + i];
}

}  // namespace

void matmul(const MatmulTile& t) {
  float* const panel = t.scratch;
  float* const rows = t.scratch + kMatmulDepth * 16;
  for (std::int64_t k = 0; k < t.k || k == 0; k += kMatmulDepth) {
    const std::int64_t depth = t.k - k < kMatmulDepth ? t.k - k : kMatmulDepth;
    for (std::int64_t i = 0; i < t.m; i += kMatmulRows) {
      const std::int64_t count = t.m - i < kMatmulRows ? t.m - i : kMatmulRows;
      if (t.transpose_a) pack_a(t, i, count, k, depth, rows);
      for (std::int64_t j = 0; j < t.n; j += 16) {
        const int columns = t.n - j < 16 ? static_cast<int>(t.n - j) : 16;
        pack_b(t, j, columns, k, depth, panel);
        const GemmArgs args{t.transpose_a ? rows : t.a + i * t.a_stride + k, t.transpose_a ? depth : t.a_stride, panel, 16,
                            depth, t.c + i * t.c_stride + j, t.c_stride, t.accumulate || k > 0};
        if (columns == 16) gemm16(args, count);
        else gemm_narrow(args, count, columns);
      }
    }
  }
}

}  // namespace retort::kernels::avx2
