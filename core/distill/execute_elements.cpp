// Gate, activation, scale, slice and pooling.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/distill/execute.h"
#include "core/model/pooling.h"

namespace retort::distill {

void gate_forward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.out);
  const kernels::Activation f = run.node(step).activation;
  const float *const gate = run.buffer(step.in[0]), *const up = run.buffer(step.in[1]);
  float* const out = run.buffer(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    const std::int64_t at = first * width;
    const auto n = static_cast<std::size_t>(count * width);
    if (f == kernels::Activation::kSilu) {
      run.ops.silu_gate(gate + at, up + at, out + at, n);
      return;
    }
    run.ops.activate(f, gate + at, out + at, n);
    run.ops.multiply_into(up + at, out + at, n);
  });
}

void gate_backward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.d_out);
  const kernels::Activation f = run.node(step).activation;
  const float *const gate = run.buffer(step.in[0]), *const up = run.buffer(step.in[1]), *const dy = run.buffer(step.d_out);
  float *const dgate = run.buffer(step.d_in[0]), *const dup = run.buffer(step.d_in[1]);
  for_row_tiles(run, run.rows(step.d_out), [&](std::int64_t first, std::int64_t count, int) {
    const std::int64_t at = first * width;
    const auto n = static_cast<std::size_t>(count * width);
    if (f == kernels::Activation::kSilu) {
      run.train.silu_gate_backward(gate + at, up + at, dy + at, dgate + at, dup + at, n);
      return;
    }
    // dgate may be dy, so what reads dy comes first.
    run.ops.activate(f, gate + at, dup + at, n);
    run.ops.multiply_into(dy + at, dup + at, n);
    if (dgate != dy) std::memcpy(dgate + at, dy + at, n * sizeof(float));
    run.ops.multiply_into(up + at, dgate + at, n);
    run.train.activate_backward(f, gate + at, dgate + at, dgate + at, n);
  });
}

void activation_forward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.out);
  const float* const x = run.buffer(step.in[0]);
  float* const y = run.buffer(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    run.ops.activate(run.node(step).activation, x + first * width, y + first * width, static_cast<std::size_t>(count * width));
  });
}

void activation_backward(const Run& run, const Instruction& step) {
  const std::int64_t width = run.width(step.d_out);
  const float *const x = run.buffer(step.in[0]), *const dy = run.buffer(step.d_out);
  float* const dx = run.buffer(step.d_in[0]);
  for_row_tiles(run, run.rows(step.d_out), [&](std::int64_t first, std::int64_t count, int) {
    const std::int64_t at = first * width;
    run.train.activate_backward(run.node(step).activation, x + at, dy + at, dx + at, static_cast<std::size_t>(count * width));
  });
}

namespace {

void scaled(const Run& run, float factor, BufferId from, BufferId to) {
  if (run.buffer(from) != run.buffer(to)) std::memcpy(run.buffer(to), run.buffer(from), run.floats(to) * sizeof(float));
  run.ops.scale(factor, run.buffer(to), run.floats(to));
}

}  // namespace

void scale_forward(const Run& run, const Instruction& step) { scaled(run, run.node(step).scale, step.in[0], step.out); }
void scale_backward(const Run& run, const Instruction& step) { scaled(run, run.node(step).scale, step.d_out, step.d_in[0]); }

namespace {

// f(place in the whole row, place in the slice, columns) for each run of columns of one row.
template <class F>
void for_slices(const Node& node, std::int64_t whole, F&& f) {
  std::int64_t to = 0;
  for (std::int64_t p = 0; p < whole; p += node.period, to += node.count) f(p + node.first, to, static_cast<std::size_t>(node.count));
}

}  // namespace

void slice_forward(const Run& run, const Instruction& step) {
  const std::int64_t whole = run.width(step.in[0]), width = run.width(step.out);
  const float* const x = run.buffer(step.in[0]);
  float* const y = run.buffer(step.out);
  for_row_tiles(run, run.rows(step.out), [&](std::int64_t first, std::int64_t count, int) {
    for (std::int64_t r = first; r < first + count; ++r)
      for_slices(run.node(step), whole, [&](std::int64_t from, std::int64_t to, std::size_t n) {
        std::memcpy(y + r * width + to, x + r * whole + from, n * sizeof(float));
      });
  });
}

void slice_backward(const Run& run, const Instruction& step) {
  const std::int64_t whole = run.width(step.d_in[0]), width = run.width(step.d_out);
  const float* const dy = run.buffer(step.d_out);
  float* const dx = run.buffer(step.d_in[0]);
  for_row_tiles(run, run.rows(step.d_out), [&](std::int64_t first, std::int64_t count, int) {
    for (std::int64_t r = first; r < first + count; ++r) {
      if (!step.accumulate[0]) std::fill_n(dx + r * whole, whole, 0.0f);
      for_slices(run.node(step), whole, [&](std::int64_t from, std::int64_t to, std::size_t n) {
        run.ops.add_into(dy + r * width + to, dx + r * whole + from, n);
      });
    }
  });
}

namespace {

// f(sequence, first token, tokens).
template <class F>
void for_sequences(const Run& run, F&& f) {
  run.pool.parallel_for(static_cast<std::size_t>(run.batch->sequences()), [&](std::size_t s, int) {
    f(static_cast<std::int64_t>(s), run.batch->starts[s], run.batch->starts[s + 1] - run.batch->starts[s]);
  });
}

double pool_scale(Pool pool, std::int64_t tokens) {
  return pool == Pool::kMean ? 1.0 / static_cast<double>(tokens) : 1.0 / std::sqrt(static_cast<double>(tokens));
}

}  // namespace

void pool_forward(const Run& run, const Instruction& step) {
  const Pool pool = run.node(step).pool;
  const std::int64_t width = run.width(step.out);
  for_sequences(run, [&](std::int64_t s, std::int64_t start, std::int64_t tokens) {
    pool_sequence(pool, run.buffer(step.in[0]) + start * width, tokens, width, run.buffer(step.out) + s * width);
  });
}

void pool_backward(const Run& run, const Instruction& step) {
  const Pool pool = run.node(step).pool;
  const std::int64_t width = run.width(step.d_out);
  for_sequences(run, [&](std::int64_t s, std::int64_t start, std::int64_t tokens) {
    const float *const x = run.buffer(step.in[0]) + start * width, *const dy = run.buffer(step.d_out) + s * width;
    float* const dx = run.buffer(step.d_in[0]) + start * width;
    std::fill_n(dx, tokens * width, 0.0f);
    for (std::int64_t i = 0; i < width; ++i) {
      std::int64_t chosen = pool == Pool::kLast ? tokens - 1 : 0;
      for (std::int64_t t = 1; pool == Pool::kMax && t < tokens; ++t)
        if (x[t * width + i] > x[chosen * width + i]) chosen = t;
      if (pool == Pool::kFirst || pool == Pool::kLast || pool == Pool::kMax) {
        dx[chosen * width + i] = dy[i];
        continue;
      }
      for (std::int64_t t = 0; t < tokens; ++t) dx[t * width + i] = static_cast<float>(static_cast<double>(dy[i]) * pool_scale(pool, tokens));
    }
  });
}

}  // namespace retort::distill
