#include "kernels/dispatch/train_ops.h"

#include <algorithm>

#include "kernels/api/isa.h"
#include "kernels/avx2/train.h"
#include "kernels/dispatch/ops.h"
#include "kernels/onednn/matmul.h"
#include "kernels/reference/train.h"

namespace retort::kernels {
namespace {

struct Level {
  Isa needs;
  TrainOps ops;
};

// Best first, reference last. All of these wait for memory: AVX-512 would gain nothing over AVX2.
constexpr Level kLevels[] = {
    {Isa::kAvx512,
     {"avx512", &avx2::softmax_row, &avx2::rms_norm_backward, &avx2::layer_norm_backward, &avx2::silu_gate_backward,
      &avx2::gelu_backward, &avx2::gelu_tanh_backward,
      &avx2::activate_backward, &avx2::adamw, &avx2::sum_squares}},
    {Isa::kAvx2,
     {"avx2", &avx2::softmax_row, &avx2::rms_norm_backward, &avx2::layer_norm_backward, &avx2::silu_gate_backward,
      &avx2::gelu_backward, &avx2::gelu_tanh_backward,
      &avx2::activate_backward, &avx2::adamw, &avx2::sum_squares}},
    {Isa::kBaseline,
     {"reference", &reference::softmax_row, &reference::rms_norm_backward, &reference::layer_norm_backward,
      &reference::silu_gate_backward, &reference::gelu_backward, &reference::gelu_tanh_backward,
      &reference::activate_backward, &reference::adamw,
      &reference::sum_squares}},
};

constexpr MatmulKernel kMatmuls[] = {
    {"onednn", Isa::kBaseline, MatmulPrecision::kF32, &onednn::matmul, &onednn::why_no_f32},
    {"avx2", Isa::kAvx2, MatmulPrecision::kF32, &avx2::matmul},
    {"reference", Isa::kBaseline, MatmulPrecision::kF32, &reference::matmul},
    {"onednn", Isa::kBaseline, MatmulPrecision::kBf16, &onednn::matmul_bf16, &onednn::why_no_bf16},
    {"avx2", Isa::kAvx2, MatmulPrecision::kBf16, &avx2::matmul_bf16},
    {"reference", Isa::kBaseline, MatmulPrecision::kBf16, &reference::matmul_bf16},
};

// A tile of the output: big enough that packing its operands costs little, small enough for many threads.
constexpr std::int64_t kTileRows = 2 * kMatmulRows, kTileColumns = 384;

}  // namespace

const TrainOps* train_ops(std::string_view forced) noexcept {
  const std::string_view wanted = forced.empty() ? forced_by_environment() : forced;
  for (const Level& level : kLevels)
    if (supported(level.needs) && (wanted.empty() || wanted == "onednn" || wanted == level.ops.name)) return &level.ops;
  return nullptr;
}

const MatmulKernel* matmul_kernel(std::string_view forced, MatmulPrecision precision) noexcept {
  std::string_view wanted = forced.empty() ? forced_by_environment() : forced;
  if (wanted == "avx512") wanted = "avx2";
  for (const MatmulKernel& kernel : kMatmuls) {
    if (kernel.precision != precision || !supported(kernel.needs) || (kernel.why_not != nullptr && *kernel.why_not() != '\0')) continue;
    if (wanted.empty() || wanted == kernel.name) return &kernel;
  }
  return nullptr;
}

void matmul(ThreadPool& pool, const MatmulKernel& kernel, const MatmulTile& whole, float* scratch) noexcept {
  const std::int64_t down = (whole.m + kTileRows - 1) / kTileRows, across = (whole.n + kTileColumns - 1) / kTileColumns;
  pool.parallel_for(static_cast<std::size_t>(down * across), [&](std::size_t index, int worker) {
    const std::int64_t row = static_cast<std::int64_t>(index) / across * kTileRows;
    const std::int64_t column = static_cast<std::int64_t>(index) % across * kTileColumns;
    MatmulTile tile = whole;
    tile.m = std::min(kTileRows, whole.m - row);
    tile.n = std::min(kTileColumns, whole.n - column);
    tile.a += whole.transpose_a ? row : row * whole.a_stride;
    tile.b += whole.transpose_b ? column * whole.b_stride : column;
    tile.c += row * whole.c_stride + column;
    tile.scratch = scratch + worker * kMatmulScratch;
    kernel.run(tile);
  });
}

}  // namespace retort::kernels
