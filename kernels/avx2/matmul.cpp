// Products of two dense operands: both packed into panels of 256 steps, rounded on the way where that is asked, then
// gemm.h's f32 register tiles.
#include <type_traits>

#include "kernels/avx2/gemm.h"
#include "kernels/avx2/train.h"

namespace retort::kernels::avx2 {
namespace {

// Columns [first, first + count) of op(b), `depth` steps from `k`, as [depth, 16] with zeros behind.
template <class Operand>
void pack_b(const MatmulTile& t, std::int64_t first, int count, std::int64_t k, std::int64_t depth, float* panel) {
  for (std::int64_t p = 0; p < depth; ++p) {
    for (int j = 0; j < 16; ++j) {
      const std::int64_t column = first + j;
      panel[p * 16 + j] = j >= count ? 0.0f
                          : Operand::of(t.transpose_b ? t.b[column * t.b_stride + k + p] : t.b[(k + p) * t.b_stride + column]);
    }
  }
}

// Rows [first, first + count) of op(a), as [count, depth].
template <class Operand>
void pack_a(const MatmulTile& t, std::int64_t first, std::int64_t count, std::int64_t k, std::int64_t depth, float* rows) {
  if (t.transpose_a) {
    for (std::int64_t p = 0; p < depth; ++p)
      for (std::int64_t i = 0; i < count; ++i) rows[i * depth + p] = Operand::of(t.a[(k + p) * t.a_stride + first + i]);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t p = 0; p < depth; ++p) rows[i * depth + p] = Operand::of(t.a[(first + i) * t.a_stride + k + p]);
}

template <class Operand>
void multiply(const MatmulTile& t) {
  // Rows that lie as gemm.h wants them are read in place, unless they must be rounded.
  const bool packs_a = t.transpose_a || !std::is_same_v<Operand, AsItIs>;
  float* const panel = t.scratch;
  float* const rows = t.scratch + kMatmulDepth * 16;
  for (std::int64_t k = 0; k < t.k || k == 0; k += kMatmulDepth) {
    const std::int64_t depth = t.k - k < kMatmulDepth ? t.k - k : kMatmulDepth;
    for (std::int64_t i = 0; i < t.m; i += kMatmulRows) {
      const std::int64_t count = t.m - i < kMatmulRows ? t.m - i : kMatmulRows;
      if (packs_a) pack_a<Operand>(t, i, count, k, depth, rows);
      for (std::int64_t j = 0; j < t.n; j += 16) {
        const int columns = t.n - j < 16 ? static_cast<int>(t.n - j) : 16;
        pack_b<Operand>(t, j, columns, k, depth, panel);
        const GemmArgs args{packs_a ? rows : t.a + i * t.a_stride + k, packs_a ? depth : t.a_stride, panel, 16,
                            depth, t.c + i * t.c_stride + j, t.c_stride, t.accumulate || k > 0};
        if (columns == 16) gemm16(args, count);
        else gemm_narrow(args, count, columns);
      }
    }
  }
}

}  // namespace

void matmul(const MatmulTile& tile) { multiply<AsItIs>(tile); }
void matmul_bf16(const MatmulTile& tile) { multiply<RoundedToBf16>(tile); }

}  // namespace retort::kernels::avx2
