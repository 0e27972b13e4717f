// Rotation, the key and value cache, and attention over it or over the rows of an encoder's sequences.
#pragma once

#include "kernels/cuda/reduce.h"

namespace retort::cuda {

struct RotaryTable {
  const float* inverse;        // [half] radians per position; null: nothing turns
  const float* factor;         // one number: multiplies cosine and sine
  std::int32_t half;
  std::int32_t interleaved;
};

struct RotateArgs {
  float* q;                    // [rows, heads, head_dim], rotated in place
  float* k;                    // [rows, kv_heads, head_dim], rotated in place
  const float* v;
  void* key_cache;             // [context, kv_heads, head_dim] of the layer; null: an encoder, nothing is kept
  void* value_cache;
  const std::int32_t* start;   // rows are at *start + row
  const std::int32_t* positions;   // or here, where it isn't null
  RotaryTable query, key;
  std::int32_t heads, kv_heads, head_dim, cache_f16;
};

// One block a row: turns queries and keys by the row's position, then keeps keys and values.
struct Rotate {
  using Args = RotateArgs;
  static constexpr int kThreads = 256, kMostHeadDim = 256;
  static constexpr std::size_t kShared = 2 * kMostHeadDim * sizeof(float);

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t row = t.block_x();
    const std::int64_t position = a.positions ? a.positions[row] : *a.start + row;
    const int keys = a.kv_heads * a.head_dim;
    float* const k = a.k + row * keys;
    turn(t, a.query, position, a.q + row * a.heads * a.head_dim, a.heads, a.head_dim);
    turn(t, a.key, position, k, a.kv_heads, a.head_dim);
    if (!a.key_cache) return;
    t.sync();   // keys that other threads turned
    const std::int64_t at = (*a.start + row) * keys;
    for (int i = t.index(); i < keys; i += kThreads) {
      keep(a, a.key_cache, at + i, k[i]);
      keep(a, a.value_cache, at + i, a.v[row * keys + i]);
    }
  }

 private:
  static RETORT_DEVICE void keep(const Args& a, void* cache, std::int64_t at, float v) {
    if (a.cache_f16) static_cast<std::uint16_t*>(cache)[at] = float_to_f16(v);
    else static_cast<float*>(cache)[at] = v;
  }

  template <class Thread>
  static RETORT_DEVICE void turn(const Thread& t, const RotaryTable& table, std::int64_t position, float* x, int heads, int head_dim) {
    if (!table.inverse) return;
    auto* const cosines = reinterpret_cast<float*>(t.shared());
    float* const sines = cosines + table.half;
    t.sync();   // the other table's readers are done
    for (int i = t.index(); i < table.half; i += kThreads) {
      const float angle = static_cast<float>(position) * table.inverse[i];
      cosines[i] = cosf(angle) * *table.factor;
      sines[i] = sinf(angle) * *table.factor;
    }
    t.sync();
    for (int pair = t.index(); pair < heads * table.half; pair += kThreads) {
      const int i = pair % table.half;
      float* const head = x + pair / table.half * head_dim;
      float& first = table.interleaved ? head[2 * i] : head[i];
      float& second = table.interleaved ? head[2 * i + 1] : head[i + table.half];
      const float u = first, v = second;
      first = u * cosines[i] - v * sines[i];
      second = u * sines[i] + v * cosines[i];
    }
  }
};

struct AttendArgs {
  const float* q;              // [rows, heads, head_dim]
  const void* keys;            // [positions, kv_heads, head_dim]
  const void* values;
  float* out;                  // [rows, heads, head_dim]
  float* partial;              // [rows, heads, splits, head_dim + 2], where splits > 1
  const std::int32_t* start;   // causal: row r is at *start + r
  const std::int32_t* begins;  // encoders: of the positions that row r sees, and where they end; null: causal
  const std::int32_t* ends;
  const float* bias;           // null: none; [heads, bias_stride], bias_zero + key position - query position
  std::int32_t bias_stride, bias_zero;
  std::int32_t rows;
  std::int32_t heads, kv_heads, head_dim, window;
  std::int32_t splits, chunk;  // split s sees positions [s · chunk, + chunk) only
  float scale, soft_cap;
};

struct Span { std::int64_t begin, end; };
RETORT_DEVICE Span visible(const AttendArgs& a, std::int64_t row) {
  if (a.begins) return {a.begins[row], a.ends[row]};
  const std::int64_t end = *a.start + row + 1;
  return {a.window > 0 && end > a.window ? end - a.window : 0, end};
}
RETORT_DEVICE float adjusted(const AttendArgs& a, float score, int head, std::int64_t distance) {
  if (a.soft_cap > 0) score = a.soft_cap * tanhf(score / a.soft_cap);
  if (a.bias) score += a.bias[static_cast<std::int64_t>(head) * a.bias_stride + a.bias_zero + distance];
  return score;
}

// Few queries: one block for a head of a row (and a stretch of the positions). Eight lanes work on one position, each on
// every eighth run of eight values; so a block has 16 positions in work. Each group of eight keeps a running softmax;
// at the end they are joined. Grid: heads, rows, splits.
template <bool kHalfCache, int kRuns>
struct Attend {
  using Args = AttendArgs;
  static constexpr int kThreads = 128, kGroup = 8, kGroups = kThreads / kGroup, kRun = 8;
  static std::size_t shared_bytes(int head_dim) {
    return static_cast<std::size_t>(kGroups) * static_cast<std::size_t>(head_dim + 2) * sizeof(float);
  }

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const int head = t.block_x(), split = t.block_z(), kv_head = head / (a.heads / a.kv_heads);
    const int lane = t.lane() % kGroup, group = t.index() / kGroup, n = a.head_dim;
    const std::int64_t row = t.block_y();
    const Span all = visible(a, row);
    const std::int64_t first = static_cast<std::int64_t>(split) * a.chunk;
    const std::int64_t begin = all.begin > first ? all.begin : first;
    const std::int64_t end = all.end < first + a.chunk ? all.end : first + a.chunk;
    const std::int64_t here = a.begins ? row : *a.start + row;   // the query's own position
    float q[kRuns][kRun], sum[kRuns][kRun] = {};
    read<float>(a.q + (row * a.heads + head) * n, lane, n, q);
    float most = -INFINITY, total = 0;
    for (std::int64_t base = begin; base < end; base += kGroups) {
      const std::int64_t p = base + group;
      const std::int64_t at = ((p < end ? p : end - 1) * a.kv_heads + kv_head) * n;
      float k[kRuns][kRun];
      read_cache(a.keys, at, lane, n, k);
      float dot = 0;
      RETORT_UNROLL
      for (int r = 0; r < kRuns; ++r)
        RETORT_UNROLL
        for (int i = 0; i < kRun; ++i) dot = fmaf(q[r][i], k[r][i], dot);
      dot = warp_reduce<Sum, kGroup>(t, dot);
      if (p >= end) continue;
      read_cache(a.values, at, lane, n, k);
      const float score = adjusted(a, dot * a.scale, head, p - here);
      const float greater = fmaxf(most, score), old = expf(most - greater), e = expf(score - greater);
      most = greater;
      total = total * old + e;
      RETORT_UNROLL
      for (int r = 0; r < kRuns; ++r)
        RETORT_UNROLL
        for (int i = 0; i < kRun; ++i) sum[r][i] = fmaf(e, k[r][i], sum[r][i] * old);
    }
    join(t, a, row, head, split, lane, group, most, total, sum);
  }

 private:
  // Runs lane, lane + 8 … of eight values of a head; zeros beyond its end.
  template <class T>
  static RETORT_DEVICE void read(const T* from, int lane, int n, float (&out)[kRuns][kRun]) {
    RETORT_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      const int d = (r * kGroup + lane) * kRun;
      RETORT_UNROLL
      for (int i = 0; i < kRun; ++i) {
        if constexpr (sizeof(T) == 2) out[r][i] = d + i < n ? f16_to_float(from[d + i]) : 0.0f;
        else out[r][i] = d + i < n ? from[d + i] : 0.0f;
      }
    }
  }
  static RETORT_DEVICE void read_cache(const void* cache, std::int64_t at, int lane, int n, float (&out)[kRuns][kRun]) {
    if constexpr (!kHalfCache) {
      read(static_cast<const float*>(cache) + at, lane, n, out);
    } else if (n % kRun != 0) {
      read(static_cast<const std::uint16_t*>(cache) + at, lane, n, out);
    } else {
      RETORT_UNROLL
      for (int r = 0; r < kRuns; ++r) {
        const int d = (r * kGroup + lane) * kRun;
        Bytes16 v = {};
        if (d < n) v = load16(static_cast<const std::uint16_t*>(cache) + at + d);
        RETORT_UNROLL
        for (int i = 0; i < kRun; ++i) out[r][i] = f16_to_float(half_of(v, i));
      }
    }
  }

  template <class Thread>
  static RETORT_DEVICE void join(const Thread& t, const Args& a, std::int64_t row, int head, int split, int lane, int group,
                                 float most, float total, const float (&sum)[kRuns][kRun]) {
    auto* const peaks = reinterpret_cast<float*>(t.shared());
    float *const totals = peaks + kGroups, *const sums = totals + kGroups;
    const int n = a.head_dim;
    if (lane == 0) peaks[group] = most, totals[group] = total;
    RETORT_UNROLL
    for (int r = 0; r < kRuns; ++r)
      RETORT_UNROLL
      for (int i = 0; i < kRun; ++i) {
        const int d = (r * kGroup + lane) * kRun + i;
        if (d < n) sums[group * n + d] = sum[r][i];
      }
    t.sync();
    float peak = -INFINITY, all = 0;
    for (int g = 0; g < kGroups; ++g) peak = fmaxf(peak, peaks[g]);
    // A group that saw nothing has no part: its peak is -∞, and so may be the block's.
    for (int g = 0; g < kGroups; ++g)
      if (totals[g] > 0) all = fmaf(totals[g], expf(peaks[g] - peak), all);
    const std::int64_t at = row * a.heads + head;
    for (int d = t.index(); d < n; d += kThreads) {
      float v = 0;
      for (int g = 0; g < kGroups; ++g)
        if (totals[g] > 0) v = fmaf(sums[g * n + d], expf(peaks[g] - peak), v);
      if (a.splits == 1) a.out[at * n + d] = v / all;
      else a.partial[(at * a.splits + split) * (n + 2) + 2 + d] = v;
    }
    if (a.splits > 1 && t.index() == 0) {
      a.partial[(at * a.splits + split) * (n + 2)] = peak;
      a.partial[(at * a.splits + split) * (n + 2) + 1] = all;
    }
  }
};

struct JoinArgs {
  const float* partial;        // as AttendArgs has it
  float* out;
  std::int32_t heads, head_dim, splits;
};

// Joins the stretches of Attend. Grid: heads, rows.
struct Join {
  using Args = JoinArgs;
  static constexpr int kThreads = 128;
  static constexpr std::size_t kShared = 0;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t at = static_cast<std::int64_t>(t.block_y()) * a.heads + t.block_x();
    const std::int64_t stride = a.head_dim + 2;
    const float* const from = a.partial + at * a.splits * stride;
    float peak = -INFINITY, all = 0;
    for (int s = 0; s < a.splits; ++s) peak = fmaxf(peak, from[s * stride]);
    for (int s = 0; s < a.splits; ++s)
      if (from[s * stride + 1] > 0) all = fmaf(from[s * stride + 1], expf(from[s * stride] - peak), all);
    for (int d = t.index(); d < a.head_dim; d += kThreads) {
      float v = 0;
      for (int s = 0; s < a.splits; ++s)
        if (from[s * stride + 1] > 0) v = fmaf(from[s * stride + 2 + d], expf(from[s * stride] - peak), v);
      a.out[at * a.head_dim + d] = v / all;
    }
  }
};

}  // namespace retort::cuda
