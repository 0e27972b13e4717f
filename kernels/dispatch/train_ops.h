// The best training kernels of this machine, chosen as dispatch/ops.h chooses.
#pragma once

#include <string_view>

#include "kernels/api/matmul.h"
#include "kernels/api/thread_pool.h"
#include "kernels/api/train_ops.h"

namespace retort::kernels {

struct TrainOps {
  const char* name;
  SoftmaxRow softmax_row;
  RmsNormBackward rms_norm_backward;
  LayerNormBackward layer_norm_backward;
  SiluGateBackward silu_gate_backward;
  GeluBackward gelu_backward, gelu_tanh_backward;
  ActivateBackward activate_backward;   // the two above where they apply
  AdamW adamw;
  SumSquares sum_squares;
};
// forced: "", "reference", "avx2", "avx512". nullptr when the forced level cannot run here.
const TrainOps* train_ops(std::string_view forced = {}) noexcept;

// forced: "", "onednn", "avx2", "reference". A level without a matmul of its own takes the best below it; nullptr when
// none can run.
const MatmulKernel* matmul_kernel(std::string_view forced = {}, MatmulPrecision precision = MatmulPrecision::kF32) noexcept;

// The whole product, cut into tiles that depend on the shape only. `scratch`: kMatmulScratch floats for each worker.
void matmul(ThreadPool& pool, const MatmulKernel& kernel, const MatmulTile& whole, float* scratch) noexcept;

}  // namespace retort::kernels
