// Embedding, linear, norm and addition.
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

namespace {

std::int64_t row_of(const Run& run, const Node& node, std::size_t t) {
  switch (node.lookup) {
    case Lookup::kToken: return run.batch->ids[t];
    case Lookup::kPosition: return run.batch->positions[t] + run.config.position_offset;
    case Lookup::kType: return run.batch->types[t];
  }
  return 0;
}

}  // namespace

void embedding_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const float* const table = run.parameter(node.weight).data;
  const auto width = static_cast<std::size_t>(run.width(step.out));
  float* const out = run.buffer(step.out);
  for_row_tiles(run, run.batch->tokens(), [&](std::int64_t first, std::int64_t count, int) {
    for (auto t = static_cast<std::size_t>(first); t < static_cast<std::size_t>(first + count); ++t)
      std::memcpy(out + t * width, table + static_cast<std::size_t>(row_of(run, node, t)) * width, width * sizeof(float));
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
      const std::int64_t row = row_of(run, node, static_cast<std::size_t>(t));
      if (node.lookup == Lookup::kToken && row == run.padding) continue;
      float* const to = gradient + row * width + first;
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

// Rows rounded as INT8 inference rounds them: to whole numbers from -127 to 127 times max|x| / 127. The gradient goes
// straight through to x.
void round_rows(const Run& run, const float* x, std::int64_t rows, std::int64_t width, float* out) {
  constexpr float kShift = 12582912.0f;   // 1.5 · 2^23: to the nearest whole number, ties to even
  for_row_tiles(run, rows, [&](std::int64_t first, std::int64_t count, int) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const float* const from = x + r * width;
      float* const to = out + r * width;
      float largest = 0;
      for (std::int64_t i = 0; i < width; ++i) largest = std::max(largest, std::abs(from[i]));
      const float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
      for (std::int64_t i = 0; i < width; ++i) to[i] = scale * ((from[i] * inverse + kShift) - kShift);
    }
  });
}

namespace {

// What a linear reads: its input, or that rounded.
const float* read_input(const Run& run, const Parameter& weight, const float* x, std::int64_t rows, std::int64_t width) {
  if (!weight.round_inputs) return x;
  run.rounded->resize(std::max(run.rounded->size(), static_cast<std::size_t>(rows * width)));
  round_rows(run, x, rows, width, run.rounded->data());
  return run.rounded->data();
}

}  // namespace

// y = x · Wᵀ + b.
void linear_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const std::int64_t rows = run.rows(step.out), in = run.width(step.in[0]), out = run.width(step.out);
  run.matmul({.transpose_b = true, .m = rows, .n = out, .k = in, .a = read_input(run, run.parameter(node.weight), run.buffer(step.in[0]), rows, in), .a_stride = in,
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
    run.matmul({.transpose_a = true, .m = out, .n = in, .k = rows, .a = dy, .a_stride = out,
                .b = read_input(run, weight, run.buffer(step.in[0]), rows, in), .b_stride = in, .c = weight.gradient.as<float>(), .c_stride = in, .accumulate = !weight.fresh});
    weight.fresh = false;
  }
  if (run.trains(node.bias)) sum_columns(run, dy, rows, out, run.parameter(node.bias).added_gradient());
}

namespace {

// Rows as a norm sees them: each of a row's groups on its own.
struct NormRows {
  std::int64_t rows, width;
};
NormRows norm_rows(const Run& run, const Instruction& step, BufferId id) {
  const std::int64_t groups = run.node(step).groups;
  return {run.rows(id) * groups, run.width(id) / groups};
}

}  // namespace

void rms_norm_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const float* const weight = run.parameter(node.weight).data;
  const auto [rows, width] = norm_rows(run, step, step.out);
  const float* const x = run.buffer(step.in[0]);
  float* const y = run.buffer(step.out);
  for_row_tiles(run, rows, [&, w = width](std::int64_t first, std::int64_t count, int) {
    run.ops.rms_norm(x + first * w, weight, node.offset, static_cast<float>(run.config.norm_epsilon), y + first * w,
                     static_cast<std::size_t>(count), static_cast<std::size_t>(w));
  });
}

void layer_norm_forward(const Run& run, const Instruction& step) {
  const Node& node = run.node(step);
  const float* const weight = run.parameter(node.weight).data;
  const float* const bias = node.bias == kNoWeight ? nullptr : run.parameter(node.bias).data;
  const auto [rows, width] = norm_rows(run, step, step.out);
  const float* const x = run.buffer(step.in[0]);
  float* const y = run.buffer(step.out);
  for_row_tiles(run, rows, [&, w = width](std::int64_t first, std::int64_t count, int) {
    run.ops.layer_norm(x + first * w, weight, bias, static_cast<float>(run.config.norm_epsilon), y + first * w,
                       static_cast<std::size_t>(count), static_cast<std::size_t>(w));
  });
}

namespace {

// Both norms: where dx goes (somewhere, even when nobody wants it), and the sums of their weights' gradients.
template <class F>
void norm_backward(const Run& run, const Instruction& step, F&& kernel) {
  const Node& node = run.node(step);
  const NormRows shape = norm_rows(run, step, step.d_out);
  const std::int64_t rows = shape.rows, width = shape.width, parts = node.op == Op::kLayerNorm ? 2 : 1;
  std::vector<float> unwanted;
  float* dx = run.buffer(step.d_in[0]);
  const bool add = dx != nullptr && step.accumulate[0];
  if (dx == nullptr) {
    unwanted.resize(static_cast<std::size_t>(rows * width));
    dx = unwanted.data();
  }
  float* const gradients[2] = {run.trains(node.weight) ? run.parameter(node.weight).added_gradient() : nullptr,
                               run.trains(node.bias) ? run.parameter(node.bias).added_gradient() : nullptr};
  const float *const x = run.buffer(step.in[0]), *const dy = run.buffer(step.d_out);
  norm_weight_sums(run, rows, width, parts, gradients, [&](std::int64_t first, std::int64_t count, float* sums) {
    kernel(node, x + first * width, dy + first * width, dx + first * width, add, sums, sums + (parts - 1) * width,
           static_cast<std::size_t>(count), static_cast<std::size_t>(width));
  });
}

}  // namespace

void rms_norm_backward(const Run& run, const Instruction& step) {
  norm_backward(run, step, [&](const Node& node, const float* x, const float* dy, float* dx, bool add, float* dw, float*,
                               std::size_t rows, std::size_t width) {
    run.train.rms_norm_backward(x, run.parameter(node.weight).data, node.offset, static_cast<float>(run.config.norm_epsilon),
                                dy, dx, add, dw, rows, width);
  });
}

void layer_norm_backward(const Run& run, const Instruction& step) {
  norm_backward(run, step, [&](const Node& node, const float* x, const float* dy, float* dx, bool add, float* dw, float* db,
                               std::size_t rows, std::size_t width) {
    run.train.layer_norm_backward(x, run.parameter(node.weight).data, static_cast<float>(run.config.norm_epsilon), dy, dx,
                                  add, dw, db, rows, width);
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
