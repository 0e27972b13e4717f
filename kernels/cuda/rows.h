// What is done to each row by itself: norms, element-wise steps, lookups; and the pool of a sequence's rows.
#pragma once

#include "kernels/cuda/matrix.h"
#include "kernels/cuda/reduce.h"

namespace retort::cuda {

// What a row is about; all in device memory, so that a captured graph sees new values.
struct Tokens {
  const std::int32_t* ids;
  const std::int32_t* types;
  const std::int32_t* positions;   // null: row r is at *start + r
  const std::int32_t* start;
};

struct NormArgs {
  const float* a;
  const float* b;             // null: nothing is added
  float* sum;                 // a + b; may be a
  float* out;
  const float* weight;
  const float* bias;          // null: none
  std::int32_t width, groups, own_weights, mean;
  float epsilon, offset;
};

// One block for each of the equal parts of each row.
struct Norm {
  using Args = NormArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 4 * kThreads / kWarp;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& args) {
    auto* const room = reinterpret_cast<float*>(t.shared());
    const int n = args.width / args.groups, part = t.block_x() % args.groups;
    const std::int64_t first = static_cast<std::int64_t>(t.block_x()) * n;
    const float* x = args.a + first;
    float total = 0, squares = 0;
    for (int i = t.index(); i < n; i += kThreads) {
      float v = x[i];
      if (args.b) {
        v += args.b[first + i];
        args.sum[first + i] = v;
      }
      total += v;
      squares = fmaf(v, v, squares);
    }
    if (args.b) x = args.sum + first;   // this thread's own
    float mean = 0;
    if (args.mean) {
      mean = block_reduce<Sum>(t, total, room) / static_cast<float>(n);
      squares = 0;
      for (int i = t.index(); i < n; i += kThreads) squares = fmaf(x[i] - mean, x[i] - mean, squares);
    }
    const float inverse = 1.0f / sqrtf(block_reduce<Sum>(t, squares, room) / static_cast<float>(n) + args.epsilon);
    const int column = args.own_weights ? part * n : 0;
    for (int i = t.index(); i < n; i += kThreads) {
      const float weight = args.weight ? args.weight[column + i] + args.offset : 1.0f;
      args.out[first + i] = (x[i] - mean) * inverse * weight + (args.bias ? args.bias[column + i] : 0.0f);
    }
  }
};

enum class Function : std::int32_t { kSilu, kGelu, kGeluTanh, kGeluQuick, kRelu, kReluSquared, kTanh, kSigmoid };

RETORT_DEVICE float apply(Function f, float x) {
  switch (f) {
    case Function::kSilu: return x / (1.0f + expf(-x));
    case Function::kGelu: return 0.5f * x * erfcf(-0.70710678118654752f * x);
    case Function::kGeluTanh: return x / (1.0f + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case Function::kGeluQuick: return x / (1.0f + expf(-1.702f * x));
    case Function::kRelu: return x < 0 ? 0 : x;
    case Function::kReluSquared: return x < 0 ? 0 : x * x;
    case Function::kTanh: return tanhf(x);
    case Function::kSigmoid: return 1.0f / (1.0f + expf(-x));
  }
  return x;
}

enum class ElementOp : std::int32_t { kMultiply, kScale, kSoftCap, kActivation, kAdd, kGate, kSlice, kCopy };

struct ElementArgs {
  ElementOp op;
  Function function;
  const float* a;
  const float* b;
  float* out;
  std::int64_t count;                     // of results
  std::int32_t width;                     // of a row of the result
  std::int32_t b_width;                   // kMultiply: 1 or width
  std::int32_t a_width;                   // kSlice
  std::int32_t slice_first, slice_count, slice_period;
  float scale;
};

struct Element {
  using Args = ElementArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 0;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t step = static_cast<std::int64_t>(t.grid_x()) * kThreads;
    for (std::int64_t i = static_cast<std::int64_t>(t.block_x()) * kThreads + t.index(); i < a.count; i += step)
      a.out[i] = value(a, i);
  }

 private:
  static RETORT_DEVICE float value(const Args& a, std::int64_t i) {
    switch (a.op) {
      case ElementOp::kMultiply: return a.a[i] * a.b[a.b_width == 1 ? i / a.width : i];
      case ElementOp::kScale: return a.a[i] * a.scale;
      case ElementOp::kSoftCap: return a.scale * tanhf(a.a[i] / a.scale);
      case ElementOp::kActivation: return apply(a.function, a.a[i]);
      case ElementOp::kAdd: return a.a[i] + a.b[i];
      case ElementOp::kGate: return apply(a.function, a.a[i]) * a.b[i];
      case ElementOp::kCopy: return a.a[i];
      case ElementOp::kSlice: {
        const std::int64_t row = i / a.width, column = i % a.width;
        return a.a[row * a.a_width + column / a.slice_count * a.slice_period + a.slice_first + column % a.slice_count];
      }
    }
    return 0;
  }
};

struct NormalizeArgs {
  const float* a;
  float* out;
  std::int32_t width;
};

// a / max(|a|, 1e-12), one block a row.
struct Normalize {
  using Args = NormalizeArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 4 * kThreads / kWarp;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t first = static_cast<std::int64_t>(t.block_x()) * a.width;
    float squares = 0;
    for (int i = t.index(); i < a.width; i += kThreads) squares = fmaf(a.a[first + i], a.a[first + i], squares);
    const float factor = 1.0f / fmaxf(sqrtf(block_reduce<Sum>(t, squares, reinterpret_cast<float*>(t.shared()))), 1e-12f);
    for (int i = t.index(); i < a.width; i += kThreads) a.out[first + i] = a.a[first + i] * factor;
  }
};

enum class Table : std::int32_t { kToken, kPosition, kType };

struct EmbedArgs {
  Matrix table;
  Table lookup;
  Tokens tokens;
  std::int32_t position_offset;   // of rows at *start + r
  float* out;                     // [rows, table.columns]
};

// One block a row.
struct Embed {
  using Args = EmbedArgs;
  static constexpr int kThreads = 128;
  static constexpr std::size_t kShared = 0;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const int r = t.block_x();
    std::int64_t row = 0;
    if (a.lookup == Table::kToken) row = a.tokens.ids[r];
    else if (a.lookup == Table::kType) row = a.tokens.types[r];
    else row = a.tokens.positions ? a.tokens.positions[r] : *a.tokens.start + r + a.position_offset;
    float* const out = a.out + static_cast<std::int64_t>(r) * a.table.columns;
    for (int i = t.index(); i < a.table.columns; i += kThreads) out[i] = element_at(a.table, row, i);
  }
};

enum class PoolKind : std::int32_t { kFirst, kLast, kMean, kMax, kMeanSqrt };

struct PoolArgs {
  PoolKind kind;
  const float* rows;              // [all rows, width]
  const std::int32_t* begins;     // of each sequence, then of the next
  float* out;                     // [sequences, width]
  std::int32_t width;
};

// One block a sequence.
struct Pooling {
  using Args = PoolArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 0;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t begin = a.begins[t.block_x()], end = a.begins[t.block_x() + 1];
    const float count = static_cast<float>(end - begin);
    for (int i = t.index(); i < a.width; i += kThreads) {
      const float* const column = a.rows + i;
      float v = column[(a.kind == PoolKind::kLast ? end - 1 : begin) * a.width];
      if (a.kind != PoolKind::kFirst && a.kind != PoolKind::kLast)
        for (std::int64_t r = begin + 1; r < end; ++r)
          v = a.kind == PoolKind::kMax ? fmaxf(v, column[r * a.width]) : v + column[r * a.width];
      if (a.kind == PoolKind::kMean) v /= count;
      if (a.kind == PoolKind::kMeanSqrt) v /= sqrtf(count);
      a.out[static_cast<std::int64_t>(t.block_x()) * a.width + i] = v;
    }
  }
};

}  // namespace retort::cuda
