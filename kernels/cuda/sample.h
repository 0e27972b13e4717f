// A token drawn at random from a row of numbers, as core/model/sampling.cpp draws it: shares exp((x - greatest) / temperature) in
// f64, put in falling order, cut where they reach top_p of all, and walked along to where the random number falls.
//
// Nothing is sorted. Shares are weighed in whole steps of 2^-43, whose sums don't depend on the order of adding, and the place
// where the running sum reaches a goal is found by radix: the shares' bits, coarse ones first, say which bin it falls into.
#pragma once

#include "kernels/cuda/reduce.h"

namespace retort::cuda {

inline constexpr int kLargestSampled = 1 << 20;   // numbers of a row: 2^20 weights of 2^43 fit 64 bits
inline constexpr int kSampleBlocks = 64;          // that look at a row, each at its part

// How to draw, in device memory: what changes between two plays of a graph.
struct Drawing { double temperature, top_p, uniform; };
struct Drawn {
  double log_sum;              // log Σ exp of all
  float value;                 // of the drawn one
  std::int32_t id;             // -1: a number is NaN, or the greatest isn't finite
};

struct SampleState {
  Drawing how;
  Drawn drawn;
  float most[kSampleBlocks];
  std::int32_t bad[kSampleBlocks];
  double sums[kSampleBlocks];  // of exp(x - greatest)
};

inline constexpr std::size_t kSampleState = (sizeof(SampleState) + 255) / 256 * 256;

struct SampleArgs {
  const float* x;              // [n]
  std::int32_t n;              // 1 … kLargestSampled
  std::int32_t blocks;         // 1 … kSampleBlocks: those of RowPeaks and RowShares
  SampleState* state;
  double* shares;              // [n], room
};

// The greatest of each block's part, and whether there is a NaN.
struct RowPeaks {
  using Args = SampleArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 2 * sizeof(float) * kThreads / kWarp;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    auto* const room = reinterpret_cast<float*>(t.shared());
    float most = -INFINITY, bad = 0;
    for (int i = t.block_x() * kThreads + t.index(); i < a.n; i += t.grid_x() * kThreads) {
      if (a.x[i] != a.x[i]) bad = 1;
      most = fmaxf(most, a.x[i]);
    }
    most = block_reduce<Greatest>(t, most, room);
    bad = block_reduce<Greatest>(t, bad, room + kThreads / kWarp);
    if (t.index() != 0) return;
    a.state->most[t.block_x()] = most;
    a.state->bad[t.block_x()] = bad > 0;
  }

  // Of the whole row; NaN where no token can be drawn.
  static RETORT_DEVICE float of_row(const Args& a) {
    float most = -INFINITY;
    int bad = 0;
    for (int b = 0; b < a.blocks; ++b) {
      most = fmaxf(most, a.state->most[b]);
      bad |= a.state->bad[b];
    }
    return bad || most == INFINITY || most == -INFINITY ? NAN : most;
  }
};

struct RowShares {
  using Args = SampleArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = sizeof(float) * kThreads / kWarp;

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const float most = RowPeaks::of_row(a);
    const double temperature = a.state->how.temperature;
    float sum = 0;
    for (int i = t.block_x() * kThreads + t.index(); i < a.n; i += t.grid_x() * kThreads) {
      a.shares[i] = exp((static_cast<double>(a.x[i]) - static_cast<double>(most)) / temperature);
      sum += expf(a.x[i] - most);
    }
    sum = block_reduce<Sum>(t, sum, reinterpret_cast<float*>(t.shared()));
    if (t.index() == 0) a.state->sums[t.block_x()] = static_cast<double>(sum);
  }
};

// One block.
struct Draw {
  using Args = SampleArgs;
  static constexpr int kThreads = 1024, kBins = kThreads, kWarps = kThreads / kWarp;
  struct Shared {
    std::uint64_t weights[kBins];
    std::uint64_t members[kBins];   // their number · 2^40 + the sum of their indices: one alone is known by it
    std::uint64_t room[kWarps];
    std::uint64_t before;           // the weight of bins before the chosen one
    int chosen;
  };
  static constexpr std::size_t kShared = sizeof(Shared);

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    Shared& s = *reinterpret_cast<Shared*>(t.shared());
    Drawn& drawn = a.state->drawn;
    const float most = RowPeaks::of_row(a);
    if (most != most) {
      if (t.index() == 0) drawn.id = -1;
      return;
    }
    std::uint64_t all = 0, kept = 0;
    for (int i = t.index(); i < a.n; i += kThreads) {
      const std::uint64_t weight = weight_of(a.shares[i]);
      all += weight;
      if (a.shares[i] > kLeast) kept += weight;
    }
    all = block_reduce<Sum>(t, all, s.room);
    kept = block_reduce<Sum>(t, kept, s.room);
    const Drawing how = a.state->how;
    const auto goal = static_cast<std::uint64_t>(ceil(how.top_p * static_cast<double>(all)));
    if (goal < kept) kept = find(t, a, s, goal > 0 ? goal : 1).through;
    auto at = static_cast<std::uint64_t>(how.uniform * static_cast<double>(kept));
    if (at >= kept) at = kept - 1;
    const int index = find(t, a, s, at + 1).index;
    if (t.index() != 0) return;
    double sum = 0;
    for (int b = 0; b < a.blocks; ++b) sum += a.state->sums[b];
    drawn = {static_cast<double>(most) + log(sum), a.x[index], index};
  }

 private:
  static constexpr double kLeast = 1e-12;   // shares up to here are never drawn
  static constexpr int kCount = 40;

  static RETORT_DEVICE std::uint64_t weight_of(double share) { return static_cast<std::uint64_t>(share * 0x1p43 + 0.5); }
  // Rises as the share falls: 0 for 1, below 2^58 for all that are drawn.
  static RETORT_DEVICE std::uint64_t depth_of(double share) { return bits_as<std::uint64_t>(1.0) - bits_as<std::uint64_t>(share); }

  // Ten digits that put shares in falling order, equal ones by the index: one of ten bits and six of eight of the depth, three
  // of the index.
  static constexpr int kDigits = 10, kOfDepth = 7;
  static RETORT_DEVICE int shift_of(int digit) { return digit < kOfDepth ? 48 - 8 * digit : 8 * (kDigits - 1 - digit); }

  struct Found {
    int index;
    std::uint64_t through;     // the weight up to it, itself included
  };

  // The first whose running sum in falling order reaches `goal`, 1 … the sum of all that may be drawn.
  template <class Thread>
  static RETORT_DEVICE Found find(const Thread& t, const Args& a, Shared& s, std::uint64_t goal) {
    std::uint64_t depth = 0, index = 0, before = 0;   // of what is known: digits so far, weight before them
    for (int digit = 0;; ++digit) {
      const bool by_index = digit >= kOfDepth;
      const int shift = shift_of(digit), known = digit == 0 ? 63 : by_index ? 0 : shift_of(digit - 1);
      const int known_of_index = digit > kOfDepth ? shift_of(digit - 1) : 63;
      s.weights[t.index()] = s.members[t.index()] = 0;
      t.sync();
      for (int i = t.index(); i < a.n; i += kThreads) {
        const double share = a.shares[i];
        if (!(share > kLeast)) continue;
        const std::uint64_t d = depth_of(share), at = static_cast<std::uint64_t>(i);
        if (d >> known != depth >> known || at >> known_of_index != index >> known_of_index) continue;
        const std::uint64_t bin = digit == 0 ? d >> shift : (by_index ? at : d) >> shift & 255u;
        t.add_shared(&s.weights[bin], weight_of(share));
        t.add_shared(&s.members[bin], (std::uint64_t{1} << kCount) + at);
      }
      t.sync();
      choose(t, s, goal - before);
      const std::uint64_t members = s.members[s.chosen], weight = s.weights[s.chosen];
      (by_index ? index : depth) |= static_cast<std::uint64_t>(s.chosen) << shift;
      before += s.before;
      t.sync();   // all have read, the bins may go
      if (members >> kCount == 1) return {static_cast<int>(members & ((std::uint64_t{1} << kCount) - 1)), before + weight};
    }
  }

  // Sets s.chosen and s.before, for all to read.
  template <class Thread>
  static RETORT_DEVICE void choose(const Thread& t, Shared& s, std::uint64_t goal) {
    const std::uint64_t of_warp = warp_reduce<Sum>(t, s.weights[t.index()]);
    if (t.lane() == 0) s.room[t.warp()] = of_warp;
    t.sync();
    if (t.index() == 0) {
      std::uint64_t sum = 0;
      int warp = 0;
      while (sum + s.room[warp] < goal) sum += s.room[warp++];
      int bin = warp * kWarp;
      while (sum + s.weights[bin] < goal) sum += s.weights[bin++];
      s.chosen = bin;
      s.before = sum;
    }
    t.sync();
  }
};

}  // namespace retort::cuda
