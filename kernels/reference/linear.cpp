#include <cstring>

#include "kernels/reference/reference.h"

namespace retort::kernels::reference {

void linear_tile(const LinearTile& tile) {
  const TypeTraits& type = traits(tile.type);
  const auto columns = static_cast<std::size_t>(tile.columns);
  const std::size_t bytes = row_bytes(tile.type, columns);
  float* const weights = tile.scratch;
  for (std::int64_t row = tile.first_row; row < tile.first_row + tile.rows; ++row) {
    if (tile.source)
      tile.source->decode(tile.source->self, row, 1, 0, tile.columns, weights);
    else
      type.decode(static_cast<const std::byte*>(tile.weights) + static_cast<std::size_t>(row) * bytes, weights, columns);
    for (std::int64_t t = 0; t < tile.m; ++t) {
      const float* const x = tile.x + t * tile.x_stride;
      double sum = 0;
      for (std::size_t k = 0; k < columns; ++k) sum += static_cast<double>(weights[k]) * static_cast<double>(x[k]);
      tile.y[t * tile.y_stride + row] = static_cast<float>(sum);
    }
  }
}

void int8_tile(const LinearTile& tile) {
  for (std::int64_t row = tile.first_row; row < tile.first_row + tile.rows; ++row) {
    const auto* const weights = static_cast<const std::int8_t*>(tile.weights) + row * tile.columns;
    for (std::int64_t t = 0; t < tile.m; ++t) {
      const Q8Row& x = tile.rounded[t];
      std::int64_t sum = 0;
      for (std::int64_t k = 0; k < tile.columns; ++k) sum += weights[k] * x.codes[k];
      tile.y[t * tile.y_stride + row] = static_cast<float>(sum) * (x.scales[0] * tile.row_scales[row]);
    }
  }
}

}  // namespace retort::kernels::reference
