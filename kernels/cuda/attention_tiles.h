// Attention of many queries by the matrix units (as FlashAttention-2 orders it, Dao 2023): a block takes 64 rows of a head, its keys
// and values once for all of them. Queries times the scale, keys, values and the exponentials of the softmax are f16, sums f32.
#pragma once

#include "kernels/cuda/attention.h"

namespace retort::cuda {

// Keys and values are a decoder's f16 cache, or an encoder's f32 rows. Heads of up to kMost values, a multiple of 16. Four warps, each of 16 rows; while one tile of keys and values is multiplied the
// next is on its way. Grid: heads, so that those which share keys run together; tiles of rows, those that see most first.
template <int kMost, bool kHalfCache>
struct AttendTiles {
  using Args = AttendArgs;
  static constexpr int kThreads = 128, kRows = 64, kOfWarp = 16, kKeys = 4096 / kMost;
  static constexpr int kStride = kMost + 8;            // halves: rows fall on different banks
  static constexpr int kTile = kKeys * kStride;        // halves of the keys of a tile, or of its values
  static constexpr std::size_t kShared = 4 * kTile * sizeof(std::uint16_t);
  static constexpr int kSteps = kMost / 16, kScores = kKeys / 8, kSums = kMost / 8;   // products of 16×8×16 along head, keys, head
  static_assert(kShared <= 48 * 1024);

  // What a lane knows of its two rows, eight apart.
  struct Lane {
    std::uint32_t q[kSteps][4];
    float sums[kSums][4];
    float most[2], total[2];
    int begin[2], end[2];        // of the positions that the row sees
  };

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    auto* const shared = reinterpret_cast<std::uint16_t*>(t.shared());
    const int head = t.block_x(), n = a.head_dim;
    const int first_row = (static_cast<int>(divide_up(a.rows, kRows)) - 1 - t.block_y()) * kRows;
    const int last_row = (first_row + kRows < a.rows ? first_row + kRows : a.rows) - 1;
    // Columns beyond the head stay zero.
    if (n < kMost) {
      for (int i = t.index(); i < 4 * kTile / 8; i += kThreads) reinterpret_cast<Bytes16*>(shared)[i] = {};
      t.sync();
    }
    Lane own;
    begin_rows(t, a, head, first_row, own);
    // What a row sees begins and ends no earlier than what the row before it sees.
    const int begin = begin_of(a, first_row), end = end_of(a, last_row);
    const int of_warp = first_row + t.warp() * kOfWarp, warp_last = of_warp + kOfWarp - 1 < last_row ? of_warp + kOfWarp - 1 : last_row;
    const bool rows = of_warp <= last_row;
    const int warp_begin = rows ? begin_of(a, of_warp) : 0, warp_end = rows ? end_of(a, warp_last) : 0;
    const int tiles = static_cast<int>(divide_up(end - begin, kKeys));
    fetch(t, a, head, begin, end, shared);
    for (int tile = 0; tile < tiles; ++tile) {
      const int base = begin + tile * kKeys;
      const std::uint16_t* const now = shared + tile % 2 * 2 * kTile;
      t.wait_copies();
      t.sync();
      if (tile + 1 < tiles) fetch(t, a, head, base + kKeys, end, shared + (tile + 1) % 2 * 2 * kTile);
      if (base < warp_end && base + kKeys > warp_begin) attend(t, a, now, base, own);
    }
    write(t, a, head, of_warp, own);
  }

 private:
  static RETORT_DEVICE int begin_of(const Args& a, int row) { return static_cast<int>(visible(a, row).begin); }
  static RETORT_DEVICE int end_of(const Args& a, int row) { return static_cast<int>(visible(a, row).end); }

  template <class Thread>
  static RETORT_DEVICE void begin_rows(const Thread& t, const Args& a, int head, int first_row, Lane& own) {
    const int n = a.head_dim;
    RETORT_UNROLL
    for (int r = 0; r < 2; ++r) {
      int row = first_row + t.warp() * kOfWarp + t.lane() / 4 + 8 * r;
      row = row < a.rows ? row : a.rows - 1;   // a copy that is never written
      own.begin[r] = begin_of(a, row);
      own.end[r] = end_of(a, row);
      own.most[r] = -INFINITY;
      own.total[r] = 0;
      const float* const q = a.q + (static_cast<std::int64_t>(row) * a.heads + head) * n;
      RETORT_UNROLL
      for (int s = 0; s < kSteps; ++s)
        RETORT_UNROLL
        for (int right = 0; right < 2; ++right) {
          const int column = s * 16 + right * 8 + t.lane() % 4 * 2;
          own.q[s][right * 2 + r] = s * 16 < n ? pack_f16(q[column] * a.scale, q[column + 1] * a.scale) : 0;
        }
    }
    RETORT_UNROLL
    for (int d = 0; d < kSums; ++d)
      RETORT_UNROLL
      for (int e = 0; e < 4; ++e) own.sums[d][e] = 0;
  }

  // Keys, then values, of positions from `base`: on their way, or here where they have to be rounded; those past the last are copies of it and never seen.
  template <class Thread>
  static RETORT_DEVICE void fetch(const Thread& t, const Args& a, int head, int base, int end, std::uint16_t* to) {
    const int kv_head = head / (a.heads / a.kv_heads), pieces = a.head_dim / 8;
    for (int i = t.index(); i < kKeys * pieces; i += kThreads) {
      const int key = i / pieces, column = i % pieces * 8;
      const std::int64_t position = base + key < end ? base + key : end - 1;
      const std::int64_t from = (position * a.kv_heads + kv_head) * a.head_dim + column;
      std::uint16_t* const at = to + key * kStride + column;
      if constexpr (kHalfCache) {
        t.copy16(at, static_cast<const std::uint16_t*>(a.keys) + from);
        t.copy16(at + kTile, static_cast<const std::uint16_t*>(a.values) + from);
      } else {
        put(static_cast<const float*>(a.keys) + from, at);
        put(static_cast<const float*>(a.values) + from, at + kTile);
      }
    }
  }
  static RETORT_DEVICE void put(const float* from, std::uint16_t* to) {
    Bytes16 halves;
    RETORT_UNROLL
    for (int four = 0; four < 2; ++four) {
      const Bytes16 x = load16(from + 4 * four);
      halves.word[2 * four] = pack_f16(bits_as<float>(x.word[0]), bits_as<float>(x.word[1]));
      halves.word[2 * four + 1] = pack_f16(bits_as<float>(x.word[2]), bits_as<float>(x.word[3]));
    }
    *reinterpret_cast<Bytes16*>(to) = halves;
  }

  template <class Thread>
  static RETORT_DEVICE void attend(const Thread& t, const Args& a, const std::uint16_t* tile, int base, Lane& own) {
    const int lane = t.lane();
    float scores[kScores][4] = {};
    RETORT_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      if (s * 16 >= a.head_dim) break;
      RETORT_UNROLL
      for (int j = 0; j < kScores / 2; ++j) {
        std::uint32_t k[4];
        t.load_matrices(k, tile + (j * 16 + lane / 16 * 8 + lane % 8) * kStride + s * 16 + lane / 8 % 2 * 8);
        t.multiply(scores[2 * j], own.q[s], k[0], k[1]);
        t.multiply(scores[2 * j + 1], own.q[s], k[2], k[3]);
      }
    }
    soften(t, a, base, scores, own);
    RETORT_UNROLL
    for (int j = 0; j < kScores / 2; ++j) {
      const float(&left)[4] = scores[2 * j], (&right)[4] = scores[2 * j + 1];
      const std::uint32_t p[4] = {pack_f16(left[0], left[1]), pack_f16(left[2], left[3]), pack_f16(right[0], right[1]), pack_f16(right[2], right[3])};
      RETORT_UNROLL
      for (int d = 0; d < kSums / 2; ++d) {
        if (d * 16 >= a.head_dim) break;
        std::uint32_t v[4];
        t.load_matrices_transposed(v, tile + kTile + (j * 16 + lane % 16) * kStride + d * 16 + lane / 16 * 8);
        t.multiply(own.sums[2 * d], p, v[0], v[1]);
        t.multiply(own.sums[2 * d + 1], p, v[2], v[3]);
      }
    }
  }

  // Scores into exponentials below the greatest so far; what was summed before shrinks with it.
  template <class Thread>
  static RETORT_DEVICE void soften(const Thread& t, const Args& a, int base, float (&scores)[kScores][4], Lane& own) {
    float most[2] = {own.most[0], own.most[1]};
    RETORT_UNROLL
    for (int j = 0; j < kScores; ++j)
      RETORT_UNROLL
      for (int e = 0; e < 4; ++e) {
        const int r = e / 2, position = base + j * 8 + t.lane() % 4 * 2 + e % 2;
        float& score = scores[j][e];
        if (a.soft_cap > 0) score = a.soft_cap * tanhf(score / a.soft_cap);
        if (position < own.begin[r] || position >= own.end[r]) score = -INFINITY;
        most[r] = fmaxf(most[r], score);
      }
    float shrink[2];
    RETORT_UNROLL
    for (int r = 0; r < 2; ++r) {
      most[r] = warp_reduce<Greatest, 4>(t, most[r]);
      shrink[r] = own.most[r] == -INFINITY ? 0.0f : expf(own.most[r] - most[r]);
      own.most[r] = most[r];
      own.total[r] *= shrink[r];
    }
    RETORT_UNROLL
    for (int j = 0; j < kScores; ++j)
      RETORT_UNROLL
      for (int e = 0; e < 4; ++e) {
        scores[j][e] = most[e / 2] == -INFINITY ? 0.0f : expf(scores[j][e] - most[e / 2]);   // a row that has seen nothing yet
        own.total[e / 2] += scores[j][e];
      }
    RETORT_UNROLL
    for (int d = 0; d < kSums; ++d)
      RETORT_UNROLL
      for (int e = 0; e < 4; ++e) own.sums[d][e] *= shrink[e / 2];
  }

  template <class Thread>
  static RETORT_DEVICE void write(const Thread& t, const Args& a, int head, int of_warp, const Lane& own) {
    RETORT_UNROLL
    for (int r = 0; r < 2; ++r) {
      const float total = warp_reduce<Sum, 4>(t, own.total[r]);
      const int row = of_warp + t.lane() / 4 + 8 * r;
      if (row >= a.rows) continue;
      float* const out = a.out + (static_cast<std::int64_t>(row) * a.heads + head) * a.head_dim;
      RETORT_UNROLL
      for (int d = 0; d < kSums; ++d)
        RETORT_UNROLL
        for (int e = 0; e < 2; ++e) {
          const int column = d * 8 + t.lane() % 4 * 2 + e;
          if (column < a.head_dim) out[column] = own.sums[d][2 * r + e] / total;
        }
    }
  }
};

}  // namespace retort::cuda
