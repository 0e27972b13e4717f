// Products of f32 matrices on the device of a run.
#pragma once

#include "core/onnx/operator.h"
#include "kernels/api/matmul.h"

namespace retort::onnx {

// The whole product; `scratch` of the tile is not used. Must not be called from a tile of the pool.
void product(const Device& device, const kernels::MatmulTile& tile);

}  // namespace retort::onnx
