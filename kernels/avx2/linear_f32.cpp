// f32 activations times packed weights: 16 interleaved rows at a time are decoded into a panel that stays in the
// first-level cache, then multiplied.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/gemm.h"
#include "kernels/avx2/panels.h"

namespace retort::kernels::avx2 {

void linear_f32_interleaved(const LinearTile& tile) {
  const PanelType type = panel_type(tile.type);
  const std::int64_t group_bytes = tile.columns / type.block * type.record_bytes;
  const std::int64_t groups = (tile.first_row + tile.rows + 7) / 8;  // up to this tile's end
  const auto* const weights = static_cast<const std::uint8_t*>(tile.weights);
  for (std::int64_t row = 0; row < tile.rows; row += 16) {
    const std::int64_t first_group = (tile.first_row + row) / 8;
    const int columns = tile.rows - row < 16 ? static_cast<int>(tile.rows - row) : 16;
    for (std::int64_t k = 0; k < tile.columns; k += kPanelDepth) {
      const std::int64_t depth = tile.columns - k < kPanelDepth ? tile.columns - k : kPanelDepth;
      for (std::int64_t half = 0; half < 2; ++half) {
        // Past the last group the first one is decoded again; its results are not stored.
        const std::int64_t group = first_group + half < groups ? first_group + half : first_group;
        type.decode(weights + group * group_bytes + k / type.block * type.record_bytes, depth, tile.scratch + 8 * half);
      }
      const GemmArgs args{tile.x + k, tile.x_stride, tile.scratch, 16, depth,
                          tile.y + tile.first_row + row, tile.y_stride, k > 0};
      if (columns == 16) gemm16(args, tile.m);
      else gemm_narrow(args, tile.m, columns);
    }
  }
}

}  // namespace retort::kernels::avx2
