// Products of weights with few rows of activations (a token, or up to four): weights are read once, 16 bytes a thread, and
// decoded in registers; sums are f32. A block keeps the activations in shared memory and takes rows of weights, kRows a
// warp; `split` warps share the columns of a row where there are few rows.
#pragma once

#include "kernels/cuda/reduce.h"
#include "kernels/cuda/units.h"

namespace retort::cuda {

inline constexpr int kMostTargets = 4;   // linears of one launch: they read the same activations and have one type

struct LinearTarget {
  Matrix w;
  const float* bias;         // [w.rows]; null: none
  float* y;                  // [tokens, w.rows]
};

struct GemvArgs {
  const float* x;            // [tokens, columns]
  std::int32_t tokens, columns;
  std::int32_t padded;       // columns as the matrices have them
  std::int32_t tile;         // columns whose activations are in shared memory at a time; a multiple of 256
  std::int32_t split;        // warps that share a row: 1, 2, 4 or 8
  std::int32_t count;
  LinearTarget targets[kMostTargets];
  std::int32_t first_group[kMostTargets + 1];   // row groups (one a block) before each target; then all of them
};

template <Type T, int kTokens>
struct Gemv {
  using Args = GemvArgs;
  using U = Unit<T>;
  static constexpr int kThreads = 256, kWarps = kThreads / kWarp, kRows = 2;
  static constexpr int kUnit = U::kRuns * U::kRun, kPlanes = kUnit / 4;
  // Activations of a tile and the warps' sums: below the 48 KB that every device gives without asking.
  static constexpr int kTile = 45056 / (4 * kTokens) / 256 * 256;

  RETORT_BOTH static int rows_of_block(int split) { return kWarps / split * kRows; }
  static std::size_t shared_bytes(int tile) {
    return static_cast<std::size_t>(kTokens) * static_cast<std::size_t>(tile) * 4 + kWarps * kRows * kTokens * 4;
  }

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    auto* const xs = reinterpret_cast<Float4*>(t.shared());
    auto* const partial = reinterpret_cast<float*>(t.shared() + static_cast<std::size_t>(kTokens) * a.tile * 4);
    const int slot = t.warp() / a.split, part = t.warp() % a.split;
    const int tiles = static_cast<int>(divide_up(a.padded, a.tile));
    const int units_of_tile = a.tile / kUnit, all_units = a.padded / kUnit;
    bool staged = false;
    for (int group = t.block_x(); group < a.first_group[a.count]; group += t.grid_x()) {
      int target = 0;
      while (group >= a.first_group[target + 1]) ++target;
      const Matrix& w = a.targets[target].w;
      const int first_row = (group - a.first_group[target]) * rows_of_block(a.split) + slot * kRows;
      float sums[kRows][kTokens] = {};
      for (int tile = 0; tile < tiles; ++tile) {
        const int first_unit = tile * units_of_tile;
        const int units = all_units - first_unit < units_of_tile ? all_units - first_unit : units_of_tile;
        if (!staged || tiles > 1) {
          if (staged) t.sync();
          stage(t, a, xs, units_of_tile, first_unit, units);
          t.sync();
          staged = true;
        }
        multiply(t, w, first_row, xs, units_of_tile, first_unit, units, part, a.split, sums);
      }
      finish(t, a, a.targets[target], first_row, slot, part, partial, sums);
    }
  }

 private:
  // Four neighbouring activations of a unit are one Float4 of plane [token, which four]: neighbouring threads, which hold
  // neighbouring units, then read neighbouring words.
  template <class Thread>
  static RETORT_DEVICE void stage(const Thread& t, const Args& a, Float4* xs, int stride, int first_unit, int units) {
    for (int i = t.index(); i < kTokens * kPlanes * units; i += t.count()) {
      const int u = i % units, plane = i / units % kPlanes, token = i / units / kPlanes;
      const int column = U::column(first_unit + u, plane / (U::kRun / 4)) + plane % (U::kRun / 4) * 4;
      const float* const from = a.x + static_cast<std::int64_t>(token) * a.columns + column;
      float v[4];
      RETORT_UNROLL
      for (int j = 0; j < 4; ++j) v[j] = token < a.tokens && column + j < a.columns ? from[j] : 0.0f;
      xs[(token * kPlanes + plane) * stride + u] = {v[0], v[1], v[2], v[3]};
    }
  }

  template <class Thread>
  static RETORT_DEVICE void multiply(const Thread& t, const Matrix& w, int first_row, const Float4* xs, int stride,
                                     int first_unit, int units, int part, int split, float (&sums)[kRows][kTokens]) {
    std::int64_t rows[kRows];
    RETORT_UNROLL
    for (int r = 0; r < kRows; ++r) rows[r] = first_row + r < w.rows ? first_row + r : w.rows - 1;
#ifdef __CUDACC__
#pragma unroll 2
#endif
    for (int u = part * kWarp + t.lane(); u < units; u += kWarp * split) {
      typename U::Raw raw[kRows];
      RETORT_UNROLL
      for (int r = 0; r < kRows; ++r) raw[r] = U::load(w, rows[r], first_unit + u);
      RETORT_UNROLL
      for (int run = 0; run < U::kRuns; ++run) {
        float codes[kRows][U::kRun];
        RETORT_UNROLL
        for (int r = 0; r < kRows; ++r)
          RETORT_UNROLL
          for (int i = 0; i < U::kRun; ++i) codes[r][i] = U::code(raw[r], run, i);
        RETORT_UNROLL
        for (int token = 0; token < kTokens; ++token) add_run(xs, stride, u, run, token, raw, codes, sums);
      }
    }
  }

  static RETORT_DEVICE void add_run(const Float4* xs, int stride, int u, int run, int token, const typename U::Raw (&raw)[kRows],
                                    const float (&codes)[kRows][U::kRun], float (&sums)[kRows][kTokens]) {
    float dots[kRows] = {}, total = 0;
    RETORT_UNROLL
    for (int four = 0; four < U::kRun / 4; ++four) {
      const Float4 x = xs[(token * kPlanes + run * (U::kRun / 4) + four) * stride + u];
      if constexpr (U::kMinimum) total += (x.x + x.y) + (x.z + x.w);
      RETORT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const float* const c = codes[r] + four * 4;
        dots[r] = fmaf(c[0], x.x, dots[r]);
        dots[r] = fmaf(c[1], x.y, dots[r]);
        dots[r] = fmaf(c[2], x.z, dots[r]);
        dots[r] = fmaf(c[3], x.w, dots[r]);
      }
    }
    RETORT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if constexpr (U::kScaled) sums[r][token] = fmaf(U::scale(raw[r], run), dots[r], sums[r][token]);
      else sums[r][token] += dots[r];
      if constexpr (U::kMinimum) sums[r][token] = fmaf(-U::minimum(raw[r], run), total, sums[r][token]);
    }
  }

  template <class Thread>
  static RETORT_DEVICE void finish(const Thread& t, const Args& a, const LinearTarget& target, int first_row, int slot, int part,
                                   float* partial, float (&sums)[kRows][kTokens]) {
    RETORT_UNROLL
    for (int r = 0; r < kRows; ++r)
      RETORT_UNROLL
      for (int token = 0; token < kTokens; ++token) sums[r][token] = warp_reduce<Sum>(t, sums[r][token]);
    if (a.split > 1) {
      RETORT_UNROLL
      for (int r = 0; r < kRows; ++r)
        RETORT_UNROLL
        for (int token = 0; token < kTokens; ++token)
          if (t.lane() == 0) partial[(t.warp() * kRows + r) * kTokens + token] = sums[r][token];
      t.sync();
    }
    if (part == 0) {
      RETORT_UNROLL
      for (int r = 0; r < kRows; ++r)
        RETORT_UNROLL
        for (int token = 0; token < kTokens; ++token) {
          const int row = first_row + r;
          if (t.lane() != r * kTokens + token || row >= target.w.rows || token >= a.tokens) continue;
          float sum = sums[r][token];
          for (int other = 1; other < a.split; ++other) sum += partial[((slot * a.split + other) * kRows + r) * kTokens + token];
          target.y[static_cast<std::int64_t>(token) * target.w.rows + row] = sum + (target.bias ? target.bias[row] : 0.0f);
        }
    }
    if (a.split > 1) t.sync();
  }
};

}  // namespace retort::cuda
