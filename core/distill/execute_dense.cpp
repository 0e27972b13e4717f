// Embedding, linear, norm, addition and gate.
#include <algorithm>
#include <cstring>

#include "core/distill/execute.h"

namespace retort::distill {
namespace {

constexpr std::int64_t kColumnTile = 64;

// The gradient of a norm's weights: rows in fixed tiles, each into its own sums, then those in order.
template <class F>
void norm_weight_sums(const Run& run, std::int64_t rows, std::int64_t width, std::int64_t parts, float* const* gradients, F&& f) {
  const std::int64_t tiles = (rows + kRowTile - 1) / kRowTile;
  std::vector<float> sums(static_cast<std::size_t>(tiles * width * parts), 0.0f);
  for_row_tiles(run, rows, [&](std::int64_t first, std::int64_t count, int) {
    f(first, count, sums.data() + first / kRowTile * width * parts);
  });
  for (std::int64_t part = 0; part < parts; ++part) {
    if (gradients[part] == nullptr) continue;
    for (std::int64_t tile = 0; tile < tiles; ++tile)
      run.ops.add_into(sums.data() + (tile * parts + part) * width, gradients[part], static_cast<std::size_t>(width));
  }
}

}  // namespace

void embedding_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const float* const table = run.parameter(node.weight).data;
  const auto width = static_cast<std::size_t>(run.width(step.out));
  float* const out = run.buffer(step.out);
  for_row_tiles(run, run.batch->tokens(), [&](std::int64_t first, std::int64_t count, int) {
    for (auto t = static_cast<std::size_t>(first); t < static_cast<std::size_t>(first + count); ++t)
      std::memcpy(out + t * width, table + static_cast<std::size_t>(run.batch->ids[t]) * width, width * sizeof(float));
  });
}

void embedding_backward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  if (!run.trains(node.weight)) return;
  float* const gradient = run.parameter(node.weight).added_gradient();
  const float* const d_out = run.buffer(step.d_out);
  const std::int64_t width = run.width(step.d_out);
  // Tokens in order within each strip of columns: the same sums on any number of threads.
  run.pool.parallel_for(static_cast<std::size_t>((width + kColumnTile - 1) / kColumnTile), [&](std::size_t tile, int) {
    const std::int64_t first = static_cast<std::int64_t>(tile) * kColumnTile, count = std::min(kColumnTile, width - first);
    for (std::int64_t t = 0; t < run.batch->tokens(); ++t) {
      float* const to = gradient + run.batch->ids[static_cast<std::size_t>(t)] * width + first;
      const float* const from = d_out + t * width + first;
      for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
    }
  });
}

void add_bias(const Run& run, const float* bias, float* y, std::int64_t rows, std::int64_t width) {
  for_row_tiles(run, rows, [&](std::int64_t first, std::int64_t count, int) {
    for (std::int64_t r = first; r < first + count; ++r) run.ops.add_into(bias, y + r * width, static_cast<std::size_t>(width));
  });
}

void sum_columns(const Run& run, const float* dy, std::int64_t rows, std::int64_t width, float* sums) {
  run.pool.parallel_for(static_cast<std::size_t>((width + kColumnTile - 1) / kColumnTile), [&](std::size_t tile, int) {
    const std::int64_t first = static_cast<std::int64_t>(tile) * kColumnTile, count = std::min(kColumnTile, width - first);
    double partial[kColumnTile] = {};
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = 0; i < count; ++i) partial[i] += static_cast<double>(dy[r * width + first + i]);
    for (std::int64_t i = 0; i < count; ++i) sums[first + i] += static_cast<float>(partial[i]);
  });
}

// y = x · Wᵀ + b.
void linear_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const std::int64_t rows = run.rows(step.out), in = run.width(step.in[0]), out = run.width(step.out);
  run.matmul({.transpose_b = true, .m = rows, .n = out, .k = in, .a = run.buffer(step.in[0]), .a_stride = in,
              .b = run.parameter(node.weight).data, .b_stride = in, .c = run.buffer(step.out), .c_stride = out});
  if (node.bias != kNoWeight) add_bias(run, run.parameter(node.bias).data, run.buffer(step.out), rows, out);
}

// dx = dy · W, dW = dyᵀ · x, db = Σ dy.
void linear_backward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  Parameter& weight = run.parameter(node.weight);
  const std::int64_t rows = run.rows(step.d_out), out = weight.shape[0], in = weight.shape[1];
  const float* const dy = run.buffer(step.d_out);
  if (step.d_in[0] != kNoBuffer)
    run.matmul({.m = rows, .n = in, .k = out, .a = dy, .a_stride = out, .b = weight.data, .b_stride = in,
                .c = run.buffer(step.d_in[0]), .c_stride = in, .accumulate = step.accumulate[0]});
  if (run.trains(node.weight)) {
    run.matmul({.transpose_a = true, .m = out, .n = in, .k = rows, .a = dy, .a_stride = out, .b = run.buffer(step.in[0]),
                .b_stride = in, .c = weight.gradient.as<float>(), .c_stride = in, .accumulate = !weight.fresh});
    weight.fresh = false;
  }
  if (run.trains(node.bias)) sum_columns(run, dy, rows, out, run.parameter(node.bias).added_gradient());
}

void rms_norm_forward(const Run& run, const Instruction& step) {
  const float* const weight = run.parameter(run.node(step).weight).data;
  const std::int64_t width = run.width(step.out);
  const float* const x = run.buffer(step.in[0]);
  float* const y = run.buffer(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    run.ops.rms_norm(x + first * width, weight, 0, static_cast<float>(run.config.norm_epsilon), y + first * width,
                     static_cast<std::size_t>(count), static_cast<std::size_t>(width));
  });
}

void rms_norm_backward(const Run& run, const Instruction& step) {
  const WeightId id = run.node(step).weight;
  const std::int64_t width = run.width(step.d_out), rows = run.rows(step.d_out);
  const float *const x = run.buffer(step.in[0]), *const dy = run.buffer(step.d_out);
  std::vector<float> unwanted;
  float* dx = run.buffer(step.d_in[0]);
  const bool add = dx != nullptr && step.accumulate[0];
  if (dx == nullptr) {
    unwanted.resize(static_cast<std::size_t>(rows * width));
    dx = unwanted.data();
  }
  float* const gradient = run.trains(id) ? run.parameter(id).added_gradient() : nullptr;
  norm_weight_sums(run, rows, width, 1, &gradient, [&](std::int64_t first, std::int64_t count, float* sums) {
    run.train.rms_norm_backward(x + first * width, run.parameter(id).data, 0, static_cast<float>(run.config.norm_epsilon),
                                dy + first * width, dx + first * width, add, sums, static_cast<std::size_t>(count),
                                static_cast<std::size_t>(width));
  });
}

void add_forward(const Run& run, const Instruction& step) {
  float* const out = run.buffer(step.out);
  const float* a = run.buffer(step.in[0]);
  const float* b = run.buffer(step.in[1]);
  if (out == a) std::swap(a, b);   // now `out` may be b
  const std::int64_t width = run.width(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    const auto n = static_cast<std::size_t>(count * width);
    if (out != b) std::memcpy(out + first * width, b + first * width, n * sizeof(float));
    run.ops.add_into(a + first * width, out + first * width, n);
  });
}

void silu_gate_forward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.out);
  const float *const gate = run.buffer(step.in[0]), *const up = run.buffer(step.in[1]);
  float* const out = run.buffer(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    run.ops.silu_gate(gate + first * width, up + first * width, out + first * width, static_cast<std::size_t>(count * width));
  });
}

void silu_gate_backward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.d_out), rows = run.rows(step.d_out);
  const float *const gate = run.buffer(step.in[0]), *const up = run.buffer(step.in[1]), *const dy = run.buffer(step.d_out);
  float *const dgate = run.buffer(step.d_in[0]), *const dup = run.buffer(step.d_in[1]);
  for_row_tiles(run, rows, [&](std::int64_t first, std::int64_t count, int) {
    const std::int64_t at = first * width;
    run.train.silu_gate_backward(gate + at, up + at, dy + at, dgate + at, dup + at, static_cast<std::size_t>(count * width));
  });
}

void copy(const Run& run, const Instruction& step) {
  const float* const from = run.buffer(step.in[0]);
  float* const to = run.buffer(step.out);
  const std::int64_t width = run.width(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    std::memcpy(to + first * width, from + first * width, static_cast<std::size_t>(count * width) * sizeof(float));
  });
}

void accumulate(const Run& run, const Instruction& step) {
  const float* const from = run.buffer(step.in[0]);
  float* const to = run.buffer(step.out);
  const std::int64_t width = run.width(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    run.ops.add_into(from + first * width, to + first * width, static_cast<std::size_t>(count * width));
  });
}

}  // namespace retort::distill
