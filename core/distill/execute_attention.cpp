// Rotary positions and attention. Attention's unit of work is one key/value head of one sequence with the query heads that
// share it, so that sums into keys and values always run in the same order. Probabilities are made again in the backward
// pass instead of being kept.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/distill/execute.h"

namespace retort::distill {
namespace {

struct Heads {
  const float *q = nullptr, *k = nullptr, *v = nullptr;   // of one sequence
  std::int64_t q_stride = 0, kv_stride = 0, width = 0, tokens = 0, group = 1;
  bool causal = true;
  std::int64_t window = 0;   // the query itself and window - 1 before; 0: all
  float scale = 1;
};

// The keys that a block of queries sees.
std::int64_t keys_of(const Heads& h, std::int64_t first, std::int64_t count) {
  return h.causal ? std::min(first + count, h.tokens) : h.tokens;
}

// Probabilities of queries [first, first + count) of one head: [count, keys], zero where a query doesn't see.
void probabilities(const Run& run, const Heads& h, const float* q, const float* k, std::int64_t first, std::int64_t count,
                   float* out, float* scratch) {
  const std::int64_t keys = keys_of(h, first, count);
  run.kernel.run({.transpose_b = true, .m = count, .n = keys, .k = h.width, .a = q + first * h.q_stride,
                  .a_stride = h.q_stride, .b = k, .b_stride = h.kv_stride, .c = out, .c_stride = keys, .scratch = scratch});
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t seen = h.causal ? first + i + 1 : keys;
    const std::int64_t begin = h.window > 0 ? std::max<std::int64_t>(0, seen - h.window) : 0;
    float* const row = out + i * keys;
    run.train.softmax_row(row + begin, h.scale, row + begin, static_cast<std::size_t>(seen - begin));
    std::fill(row, row + begin, 0.0f);
    std::fill(row + seen, row + keys, 0.0f);
  }
}

// f(sequence's first token, tokens, key/value head, worker).
template <class F>
void for_units(const Run& run, std::int64_t kv_heads, F&& f) {
  const std::int64_t units = run.batch->sequences() * kv_heads;
  run.pool.parallel_for(static_cast<std::size_t>(units), [&](std::size_t unit, int worker) {
    const std::size_t s = unit / static_cast<std::size_t>(kv_heads);
    const std::int64_t start = run.batch->starts[s], tokens = run.batch->starts[s + 1] - start;
    if (tokens > 0) f(start, tokens, static_cast<std::int64_t>(unit) % kv_heads, worker);
  });
}

struct Shape {
  std::int64_t heads, kv_heads, head_dim, q_stride, kv_stride;
};

Shape shape_of(const Run& run, const Instruction& step, BufferId q) {
  const Node& node = run.node(step);
  const std::int64_t width = run.width(q) / node.heads;
  return {node.heads, node.kv_heads, width, run.width(q), node.kv_heads * width};
}

Heads heads_of(const Run& run, const Instruction& step, const Shape& shape, std::int64_t start, std::int64_t tokens,
               std::int64_t kv_head) {
  const std::int64_t group = shape.heads / shape.kv_heads;
  const std::int64_t q_at = start * shape.q_stride + kv_head * group * shape.head_dim;
  const std::int64_t kv_at = start * shape.kv_stride + kv_head * shape.head_dim;
  return {run.buffer(step.in[0]) + q_at, run.buffer(step.in[1]) + kv_at, run.buffer(step.in[2]) + kv_at, shape.q_stride,
          shape.kv_stride, shape.head_dim, tokens, group, run.node(step).causal,
          run.node(step).window, run.node(step).scale};
}

// Turns every head of every row of `x` by its position, backwards when `minus`.
void turn(const Run& run, float* x, std::int64_t rows, std::int64_t width, std::int64_t heads, std::int32_t rope, bool minus) {
  const RopeTable& table = run.rope[rope];
  const std::int64_t half = table.rotary / 2;
  for_row_tiles(run, rows, [&](std::int64_t first, std::int64_t count, int) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const std::int64_t at = run.batch->positions[static_cast<std::size_t>(r)] * half;
      run.ops.rope(x + r * width, table.cosine.data() + at, (minus ? table.minus_sine : table.sine).data() + at,
                   static_cast<std::size_t>(heads), static_cast<std::size_t>(width / heads),
                   static_cast<std::size_t>(table.rotary), rope_of(run.config, rope).interleaved);
    }
  });
}

void moved(const Run& run, BufferId from, BufferId to) {
  if (run.buffer(from) != run.buffer(to)) std::memcpy(run.buffer(to), run.buffer(from), run.floats(to) * sizeof(float));
}

}  // namespace

std::size_t worker_scratch_floats(std::int64_t longest, std::int64_t widest) noexcept {
  return static_cast<std::size_t>(std::max(2 * kQueryTile * longest, widest) + 16) / 16 * 16;
}

void rope_forward(const Run& run, const Instruction& step) {
  moved(run, step.in[0], step.out);
  turn(run, run.buffer(step.out), run.rows(step.out), run.width(step.out), run.node(step).heads, run.node(step).rope, false);
}

// A rotation's transpose is the rotation back; a factor on cosine and sine stays.
void rope_backward(const Run& run, const Instruction& step) {
  moved(run, step.d_out, step.d_in[0]);
  turn(run, run.buffer(step.d_in[0]), run.rows(step.d_in[0]), run.width(step.d_in[0]), run.node(step).heads,
       run.node(step).rope, true);
}

void attention_forward(const Run& run, const Instruction& step) {
  const Shape shape = shape_of(run, step, step.in[0]);
  for_units(run, shape.kv_heads, [&](std::int64_t start, std::int64_t tokens, std::int64_t kv_head, int worker) {
    const Heads h = heads_of(run, step, shape, start, tokens, kv_head);
    float* const out = run.buffer(step.out) + start * shape.q_stride + kv_head * h.group * h.width;
    float *const p = run.scratch(worker), *const room = run.matmul_room(worker);
    for (std::int64_t g = 0; g < h.group; ++g) {
      for (std::int64_t first = 0; first < tokens; first += kQueryTile) {
        const std::int64_t count = std::min(kQueryTile, tokens - first), keys = keys_of(h, first, count);
        probabilities(run, h, h.q + g * h.width, h.k, first, count, p, room);
        run.kernel.run({.m = count, .n = h.width, .k = keys, .a = p, .a_stride = keys, .b = h.v, .b_stride = h.kv_stride,
                        .c = out + g * h.width + first * h.q_stride, .c_stride = h.q_stride, .scratch = room});
      }
    }
  });
}

// dv = pᵀ · do; dp = do · vᵀ; ds = scale · p (dp - Σ p dp); dq = ds · k; dk = dsᵀ · q.
void attention_backward(const Run& run, const Instruction& step) {
  const Shape shape = shape_of(run, step, step.in[0]);
  for_units(run, shape.kv_heads, [&](std::int64_t start, std::int64_t tokens, std::int64_t kv_head, int worker) {
    const Heads h = heads_of(run, step, shape, start, tokens, kv_head);
    const std::int64_t q_at = h.q - run.buffer(step.in[0]), kv_at = h.k - run.buffer(step.in[1]);
    float *const p = run.scratch(worker), *const dp = p + kQueryTile * tokens, *const room = run.matmul_room(worker);
    float* const dk = run.buffer(step.d_in[1]) + kv_at;
    float* const dv = run.buffer(step.d_in[2]) + kv_at;
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::fill_n(dk + t * h.kv_stride, h.width, 0.0f);
      std::fill_n(dv + t * h.kv_stride, h.width, 0.0f);
    }
    for (std::int64_t g = 0; g < h.group; ++g) {
      for (std::int64_t first = 0; first < tokens; first += kQueryTile) {
        const std::int64_t count = std::min(kQueryTile, tokens - first), keys = keys_of(h, first, count);
        const std::int64_t at = g * h.width + first * h.q_stride;
        const float* const d_out = run.buffer(step.d_out) + q_at + at;
        probabilities(run, h, h.q + g * h.width, h.k, first, count, p, room);
        run.kernel.run({.transpose_a = true, .m = keys, .n = h.width, .k = count, .a = p, .a_stride = keys, .b = d_out,
                        .b_stride = h.q_stride, .c = dv, .c_stride = h.kv_stride, .accumulate = true, .scratch = room});
        run.kernel.run({.transpose_b = true, .m = count, .n = keys, .k = h.width, .a = d_out, .a_stride = h.q_stride,
                        .b = h.v, .b_stride = h.kv_stride, .c = dp, .c_stride = keys, .scratch = room});
        for (std::int64_t i = 0; i < count; ++i) {
          float *const row = p + i * keys, *const slope = dp + i * keys;
          double along = 0;
          for (std::int64_t j = 0; j < keys; ++j) along += static_cast<double>(row[j]) * static_cast<double>(slope[j]);
          const float mean = static_cast<float>(along);
          for (std::int64_t j = 0; j < keys; ++j) slope[j] = h.scale * row[j] * (slope[j] - mean);
        }
        run.kernel.run({.m = count, .n = h.width, .k = keys, .a = dp, .a_stride = keys, .b = h.k, .b_stride = h.kv_stride,
                        .c = run.buffer(step.d_in[0]) + q_at + at, .c_stride = h.q_stride, .scratch = room});
        run.kernel.run({.transpose_a = true, .m = keys, .n = h.width, .k = count, .a = dp, .a_stride = keys, .b = h.q + at,
                        .b_stride = h.q_stride, .c = dk, .c_stride = h.kv_stride, .accumulate = true, .scratch = room});
      }
    }
  });
}

}  // namespace retort::distill
