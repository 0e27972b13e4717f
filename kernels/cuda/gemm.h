// Products of weights with many rows of activations. Activations become one f16 each, or the sum of two (22 bits: as good as
// f32, for twice the work), each row scaled by a power of two so that nothing overflows; weights are decoded to f16 a tile at
// a time; products are summed in f32 by the matrix units. F32 weights are multiplied in f32.
#pragma once

#include "kernels/cuda/gemv.h"

namespace retort::cuda {

struct RoundArgs {
  const float* x;            // [rows, columns]
  std::uint16_t* out;        // [rows, padded] f16, zeros beyond the columns
  std::uint16_t* rest;       // the same of what rounding left; null: not wanted
  float* scales;             // [rows]: x = (out + rest) · scale
  std::int32_t columns, padded;
};

// One block a row.
struct RoundRows {
  using Args = RoundArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 4 * kThreads / kWarp;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const float* const x = a.x + static_cast<std::int64_t>(t.block_x()) * a.columns;
    const std::int64_t row = static_cast<std::int64_t>(t.block_x()) * a.padded;
    float most = 0;
    for (int i = t.index(); i < a.columns; i += t.count()) most = fmaxf(most, fabsf(x[i]));
    most = block_reduce<Greatest>(t, most, reinterpret_cast<float*>(t.shared()));
    // The largest gets an exponent of 13. Infinity stays infinite.
    int exponent = static_cast<int>(bits_as<std::uint32_t>(most) >> 23) - 127;
    exponent = most == 0.0f || exponent > 127 ? 13 : exponent < -100 ? -100 : exponent;
    const float up = bits_as<float>(static_cast<std::uint32_t>(13 - exponent + 127) << 23);
    if (t.index() == 0) a.scales[t.block_x()] = bits_as<float>(static_cast<std::uint32_t>(exponent - 13 + 127) << 23);
    for (int i = t.index(); i < a.padded; i += t.count()) {
      const float v = i < a.columns ? x[i] * up : 0.0f;
      const std::uint16_t nearest = float_to_f16(v);
      a.out[row + i] = nearest;
      if (!a.rest) continue;
      const float rest = v - f16_to_float(nearest);
      a.rest[row + i] = rest - rest == 0.0f ? float_to_f16(rest) : std::uint16_t{0};   // infinity leaves none
    }
  }
};

struct GemmArgs {
  const std::uint16_t* x[2];   // terms [tokens, padded], f16
  const float* scales;       // [tokens]
  std::int32_t tokens, padded, count;
  LinearTarget targets[kMostTargets];
  std::int32_t first_tile[kMostTargets + 1];   // tiles of rows before each target; then all of them
};

// A block makes kTokens tokens by kRowsOfTile rows of weights, 32 columns at a time: while one tile is multiplied the next
// is on its way. 8 warps: 2 along the tokens by 4 along the rows. Grid: x over the tokens, so that blocks that read the same
// weights run together; y over the rows.
template <Type T, int kTokens, int kTerms>
struct Gemm {
  using Args = GemmArgs;
  using S = Slice<T>;
  static constexpr int kThreads = 256, kRowsOfTile = 128, kColumns = 32;
  static constexpr int kStride = kColumns + 8;                       // halves: rows fall on different banks
  static constexpr int kDown = kTokens / 2 / 16, kAcross = 32 / 8;   // products of 16×8 of a warp
  static constexpr int kHalvesTerm = kTokens * kStride, kHalvesX = kTerms * kHalvesTerm, kHalves = kHalvesX + kRowsOfTile * kStride;
  static constexpr std::size_t kShared = 2 * kHalves * sizeof(std::uint16_t);
  static_assert(kShared <= 48 * 1024);

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    auto* const shared = reinterpret_cast<std::uint16_t*>(t.shared());
    const int tile = t.block_y();
    int target = 0;
    while (tile >= a.first_tile[target + 1]) ++target;
    const Matrix& w = a.targets[target].w;
    const int first_row = (tile - a.first_tile[target]) * kRowsOfTile, first_token = t.block_x() * kTokens;
    // Which half row of the weights' tile this thread decodes.
    const int own = t.index() / 2, part = t.index() % 2;
    const std::int64_t row = first_row + own < w.rows ? first_row + own : w.rows - 1;

    float sums[kDown][kAcross][4] = {};
    const int slices = a.padded / kColumns;
    fetch(t, a, first_token, 0, shared);
    typename S::Raw raw = S::load(w, row, 0, part);
    put(raw, part, shared + kHalvesX + own * kStride);
    for (int slice = 0; slice < slices; ++slice) {
      std::uint16_t* const now = shared + slice % 2 * kHalves;
      std::uint16_t* const next = shared + (slice + 1) % 2 * kHalves;
      t.wait_copies();
      t.sync();
      const bool more = slice + 1 < slices;
      if (more) {
        fetch(t, a, first_token, slice + 1, next);
        raw = S::load(w, row, slice + 1, part);
      }
      multiply(t, now, sums);
      if (more) put(raw, part, next + kHalvesX + own * kStride);
    }
    write(t, a, a.targets[target], first_token, first_row, sums);
  }

 private:
  static RETORT_DEVICE void put(const typename S::Raw& raw, int part, std::uint16_t* row) {
    Bytes16 halves[2];
    S::halves(raw, part, halves);
    auto* const to = reinterpret_cast<Bytes16*>(row + part * 16);
    to[0] = halves[0];
    to[1] = halves[1];
  }

  // The tile of activations, term by term: 64 bytes a token. Tokens past the last are copies of it and never written out.
  template <class Thread>
  static RETORT_DEVICE void fetch(const Thread& t, const Args& a, int first_token, int slice, std::uint16_t* to) {
    RETORT_UNROLL
    for (int term = 0; term < kTerms; ++term)
      for (int i = t.index(); i < kTokens * 4; i += kThreads) {
        const int token = first_token + i / 4 < a.tokens ? first_token + i / 4 : a.tokens - 1;
        t.copy16(to + term * kHalvesTerm + i / 4 * kStride + i % 4 * 8,
                 a.x[term] + static_cast<std::int64_t>(token) * a.padded + slice * kColumns + i % 4 * 8);
      }
  }

  template <class Thread>
  static RETORT_DEVICE void multiply(const Thread& t, const std::uint16_t* tile, float (&sums)[kDown][kAcross][4]) {
    const int lane = t.lane(), token = t.warp() / 4 * (kTokens / 2), row = t.warp() % 4 * 32;
    RETORT_UNROLL
    for (int k = 0; k < kColumns; k += 16) {
      std::uint32_t w[kAcross / 2][4];
      RETORT_UNROLL
      for (int j = 0; j < kAcross / 2; ++j)
        t.load_matrices(w[j], tile + kHalvesX + (row + j * 16 + lane / 16 * 8 + lane % 8) * kStride + k + lane / 8 % 2 * 8);
      RETORT_UNROLL
      for (int term = 0; term < kTerms; ++term) {
        std::uint32_t x[kDown][4];
        RETORT_UNROLL
        for (int i = 0; i < kDown; ++i)
          t.load_matrices(x[i], tile + term * kHalvesTerm + (token + i * 16 + lane % 16) * kStride + k + lane / 16 * 8);
        RETORT_UNROLL
        for (int i = 0; i < kDown; ++i)
          RETORT_UNROLL
          for (int j = 0; j < kAcross; ++j) t.multiply(sums[i][j], x[i], w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  template <class Thread>
  static RETORT_DEVICE void write(const Thread& t, const Args& a, const LinearTarget& target, int first_token, int first_row,
                                  const float (&sums)[kDown][kAcross][4]) {
    const int lane = t.lane();
    first_token += t.warp() / 4 * (kTokens / 2) + lane / 4;
    first_row += t.warp() % 4 * 32 + lane % 4 * 2;
    RETORT_UNROLL
    for (int i = 0; i < kDown; ++i)
      RETORT_UNROLL
      for (int j = 0; j < kAcross; ++j)
        RETORT_UNROLL
        for (int e = 0; e < 4; ++e) {
          const int token = first_token + i * 16 + e / 2 * 8, row = first_row + j * 8 + e % 2;
          if (token < a.tokens && row < target.w.rows)
            target.y[static_cast<std::int64_t>(token) * target.w.rows + row] =
                sums[i][j][e] * a.scales[token] + (target.bias ? target.bias[row] : 0.0f);
        }
  }
};

struct GemmF32Args {
  const float* x;            // [tokens, columns]
  std::int32_t tokens, columns;
  LinearTarget target;       // F32
};

// 64 tokens by 64 rows a block, 16 columns at a time; a thread makes 4 by 4. Grid as Gemm's.
struct GemmF32 {
  using Args = GemmF32Args;
  static constexpr int kThreads = 256, kTile = 64, kColumns = 16, kStride = kTile + 4;
  static constexpr std::size_t kShared = 2 * kColumns * kStride * sizeof(float);

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    auto* const xs = reinterpret_cast<float*>(t.shared());
    float* const ws = xs + kColumns * kStride;
    const Matrix& w = a.target.w;
    const auto* const weights = reinterpret_cast<const float*>(w.body);
    const std::int64_t padded = static_cast<std::int64_t>(w.blocks) * 32;
    const int first_token = t.block_x() * kTile, first_row = t.block_y() * kTile;
    const int across = t.index() % 16 * 4, down = t.index() / 16 * 4;
    float sums[4][4] = {};
    for (int k = 0; k < a.columns; k += kColumns) {
      t.sync();
      for (int i = t.index(); i < kTile * kColumns; i += kThreads) {
        const int at = i / kColumns, column = k + i % kColumns;
        const bool inside = column < a.columns;
        const std::int64_t token = first_token + at, row = first_row + at;
        xs[i % kColumns * kStride + at] = inside && token < a.tokens ? a.x[token * a.columns + column] : 0.0f;
        ws[i % kColumns * kStride + at] = inside && row < w.rows ? weights[row * padded + column] : 0.0f;
      }
      t.sync();
      RETORT_UNROLL
      for (int c = 0; c < kColumns; ++c)
        RETORT_UNROLL
        for (int i = 0; i < 4; ++i)
          RETORT_UNROLL
          for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(xs[c * kStride + down + i], ws[c * kStride + across + j], sums[i][j]);
    }
    RETORT_UNROLL
    for (int i = 0; i < 4; ++i)
      RETORT_UNROLL
      for (int j = 0; j < 4; ++j) {
        const std::int64_t token = first_token + down + i;
        const int row = first_row + across + j;
        if (token < a.tokens && row < w.rows)
          a.target.y[token * w.rows + row] = sums[i][j] + (a.target.bias ? a.target.bias[row] : 0.0f);
      }
  }
};

}  // namespace retort::cuda
