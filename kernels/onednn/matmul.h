// f32 products of training through oneDNN, one tile on one thread.
#pragma once

#include "kernels/api/matmul.h"
#include "kernels/onednn/onednn.h"

namespace retort::kernels::onednn {

void matmul(const MatmulTile& tile);

}  // namespace retort::kernels::onednn
