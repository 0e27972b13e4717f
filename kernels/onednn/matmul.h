// Products of training through oneDNN, one tile on one thread.
#pragma once

#include "kernels/api/matmul.h"
#include "kernels/onednn/onednn.h"

namespace retort::kernels::onednn {

void matmul(const MatmulTile& tile);
// On a processor without bf16 instructions right, but slower than f32; why_no_bf16 says so.
void matmul_bf16(const MatmulTile& tile);
// "" where oneDNN multiplies bf16 with instructions of the processor; else why not.
const char* why_no_bf16() noexcept;

}  // namespace retort::kernels::onednn
