// Run: everything that one pass over a TrainPlan needs. The functions that run one instruction take it.
#pragma once

#include <memory>
#include <vector>

#include "core/distill/batch.h"
#include "core/distill/parameters.h"
#include "core/distill/train_plan.h"
#include "core/model/config.h"
#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {

// Cosines and sines of positions 0 … rows-1, [rows, rotary / 2].
struct RopeTable {
  std::int64_t rotary = 0;
  std::vector<float> cosine, sine, minus_sine;
};

struct Run {
  const Graph& graph;
  const ModelConfig& config;
  const TrainPlan& plan;
  Parameters& parameters;
  kernels::ThreadPool& pool;
  const kernels::Ops& ops;
  const kernels::TrainOps& train;
  const kernels::MatmulKernel& kernel;
  TokenId padding = -1;                     // looking this token up gives it no gradient, as PyTorch's padding_idx
  const Batch* batch = nullptr;
  float* arena = nullptr;
  const std::size_t* offsets = nullptr;
  const RopeTable* rope = nullptr;          // by Node::rope
  float* matmul_scratch = nullptr;          // kMatmulScratch for each worker
  float* worker_scratch = nullptr;          // worker_floats for each worker
  std::size_t worker_floats = 0;
  std::vector<float>* rounded = nullptr;    // room for a linear's input as it reads it, where that is rounded

  float* buffer(BufferId id) const noexcept { return id < 0 ? nullptr : arena + offsets[id]; }
  std::int64_t rows(BufferId id) const noexcept {
    return plan.buffers[static_cast<std::size_t>(id)].per_sequence ? batch->sequences() : batch->tokens();
  }
  std::int64_t width(BufferId id) const noexcept { return plan.buffers[static_cast<std::size_t>(id)].width; }
  std::size_t floats(BufferId id) const noexcept { return static_cast<std::size_t>(rows(id) * width(id)); }
  const Node& node(const Instruction& step) const noexcept { return graph.nodes[static_cast<std::size_t>(step.node)]; }
  Parameter& parameter(WeightId id) const noexcept { return parameters[static_cast<std::size_t>(id)]; }
  // The gradient of a weight that is trained, else null.
  bool trains(WeightId id) const noexcept { return id != kNoWeight && parameter(id).trainable; }
  float* scratch(int worker) const noexcept { return worker_scratch + static_cast<std::size_t>(worker) * worker_floats; }
  float* matmul_room(int worker) const noexcept { return matmul_scratch + worker * kernels::kMatmulScratch; }
  void matmul(const kernels::MatmulTile& whole) const { kernels::matmul(pool, kernel, whole, matmul_scratch); }
};

inline constexpr std::int64_t kRowTile = 32;      // rows of one tile of row-wise work
inline constexpr std::int64_t kQueryTile = 64;    // queries of one block of attention

// f(first row, rows, worker) over fixed tiles of rows.
template <class F>
void for_row_tiles(const Run& run, std::int64_t rows, F&& f) {
  run.pool.parallel_for(static_cast<std::size_t>((rows + kRowTile - 1) / kRowTile), [&](std::size_t tile, int worker) {
    const std::int64_t first = static_cast<std::int64_t>(tile) * kRowTile;
    f(first, std::min(kRowTile, rows - first), worker);
  });
}

// Floats of scratch that each worker needs for sequences of up to `longest` tokens, norms up to `widest`.
std::size_t worker_scratch_floats(std::int64_t longest, std::int64_t widest) noexcept;

// x [rows, width] → out, rounded to 8 bits by row.
void round_rows(const Run& run, const float* x, std::int64_t rows, std::int64_t width, float* out);

// One instruction each; see op_rules.cpp.
void embedding_forward(const Run& run, const Instruction& step);
void embedding_backward(const Run& run, const Instruction& step);
void linear_forward(const Run& run, const Instruction& step);
void linear_backward(const Run& run, const Instruction& step);
void rms_norm_forward(const Run& run, const Instruction& step);
void rms_norm_backward(const Run& run, const Instruction& step);
void add_forward(const Run& run, const Instruction& step);
void layer_norm_forward(const Run& run, const Instruction& step);
void layer_norm_backward(const Run& run, const Instruction& step);
void gate_forward(const Run& run, const Instruction& step);
void gate_backward(const Run& run, const Instruction& step);
void activation_forward(const Run& run, const Instruction& step);
void activation_backward(const Run& run, const Instruction& step);
void scale_forward(const Run& run, const Instruction& step);
void scale_backward(const Run& run, const Instruction& step);
void slice_forward(const Run& run, const Instruction& step);
void slice_backward(const Run& run, const Instruction& step);
void pool_forward(const Run& run, const Instruction& step);
void pool_backward(const Run& run, const Instruction& step);
void rope_forward(const Run& run, const Instruction& step);
void rope_backward(const Run& run, const Instruction& step);
void attention_forward(const Run& run, const Instruction& step);
void attention_backward(const Run& run, const Instruction& step);
void copy(const Run& run, const Instruction& step);
void accumulate(const Run& run, const Instruction& step);

// y += bias (one row), and its gradient: column sums in order of the rows.
void add_bias(const Run& run, const float* bias, float* y, std::int64_t rows, std::int64_t width);
void sum_columns(const Run& run, const float* dy, std::int64_t rows, std::int64_t width, float* sums);

}  // namespace retort::distill
