// The greatest numbers of a row in falling order, equal ones by the lower index, and log Σ exp of all.
//
// Each number becomes a key of 64 bits that sorts as wanted: the upper half orders floats as unsigned numbers, the lower
// half is the index turned round. The `count` greatest keys are found by radix selection, eight bits a pass from the top,
// which ends as soon as a whole bin is taken; then they are sorted in shared memory. One alone, as greedy text takes it, is
// the greatest key. No part of it depends on chance.
#pragma once

#include "kernels/cuda/reduce.h"

namespace retort::cuda {

inline constexpr int kLargestTop = 1024;

struct TopArgs {
  const float* x;
  std::int32_t n, count;        // 1 <= count <= min(n, kLargestTop)
  std::int32_t* ids;            // [count]; ids[0] = -1 where a number is NaN
  float* values;                // [count]
  double* log_sum;
};

// One block.
struct Top {
  using Args = TopArgs;
  static constexpr int kThreads = 1024, kBins = 256;
  struct Shared {
    std::uint64_t keys[kLargestTop];
    double sums[kThreads / kWarp];
    float room[kThreads / kWarp];
    int bins[kBins];
    int taken, bad, chosen, left;
  };
  static constexpr std::size_t kShared = sizeof(Shared);

  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    Shared& s = *reinterpret_cast<Shared*>(t.shared());
    if (t.index() == 0) s.taken = s.bad = 0;
    float most = -INFINITY;
    int bad = 0;
    for (int i = t.index(); i < a.n; i += kThreads) {
      bad |= a.x[i] != a.x[i];
      most = fmaxf(most, a.x[i]);
    }
    t.sync();
    if (bad) t.add_shared(&s.bad, 1);
    most = block_reduce<Greatest>(t, most, s.room);   // its barriers show s.bad to all
    if (s.bad) {
      if (t.index() == 0) a.ids[0] = -1;
      return;
    }
    sum(t, a, most, s);
    if (a.count == 1) {
      greatest(t, a, s);
    } else {
      collect(t, a, select(t, a, s), s);
      sort(t, a, s);
    }
    for (int i = t.index(); i < a.count; i += kThreads) {
      const auto index = static_cast<std::int32_t>(~static_cast<std::uint32_t>(s.keys[i]));
      a.ids[i] = index;
      a.values[i] = a.x[index];
    }
  }

  // Orders as the float does; both zeros are equal.
  static RETORT_DEVICE std::uint64_t key_of(float x, int index) {
    const auto bits = bits_as<std::uint32_t>(x == 0.0f ? 0.0f : x);
    const std::uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<std::uint64_t>(order) << 32 | ~static_cast<std::uint32_t>(index);
  }

 private:
  template <class Thread>
  static RETORT_DEVICE void sum(const Thread& t, const Args& a, float most, Shared& s) {
    float part = 0;
    for (int i = t.index(); i < a.n; i += kThreads) part += most == -INFINITY ? 0.0f : expf(a.x[i] - most);
    part = warp_reduce<Sum>(t, part);
    if (t.lane() == 0) s.sums[t.warp()] = static_cast<double>(part);
    t.sync();
    if (t.index() != 0) return;
    double total = 0;
    for (int w = 0; w < kThreads / kWarp; ++w) total += s.sums[w];
    *a.log_sum = static_cast<double>(most) + log(total);
  }

  // Thread 0 alone reads it.
  template <class Thread>
  static RETORT_DEVICE void greatest(const Thread& t, const Args& a, Shared& s) {
    std::uint64_t best = 0;
    for (int i = t.index(); i < a.n; i += kThreads) best = Greatest::of(best, key_of(a.x[i], i));
    best = block_reduce<Greatest>(t, best, s.keys + 1);
    if (t.index() == 0) s.keys[0] = best;
  }

  struct Bound { std::uint64_t value, mask; };   // keys of the top: key & mask >= value

  template <class Thread>
  static RETORT_DEVICE Bound select(const Thread& t, const Args& a, Shared& s) {
    Bound bound{0, 0};
    int left = a.count;   // to be taken among the keys that agree with the bound so far
    for (int shift = 56; shift >= 0; shift -= 8) {
      for (int i = t.index(); i < kBins; i += kThreads) s.bins[i] = 0;
      t.sync();
      for (int i = t.index(); i < a.n; i += kThreads) {
        const std::uint64_t key = key_of(a.x[i], i);
        if ((key & bound.mask) == bound.value) t.add_shared(&s.bins[key >> shift & 255u], 1);
      }
      t.sync();
      if (t.index() == 0) {
        int bin = kBins - 1, above = 0;
        while (above + s.bins[bin] < left) above += s.bins[bin--];
        s.chosen = bin;
        s.left = left - above;
      }
      t.sync();
      const int chosen = s.chosen;
      left = s.left;
      const bool whole = s.bins[chosen] == left;
      bound.value |= static_cast<std::uint64_t>(chosen) << shift;
      bound.mask |= static_cast<std::uint64_t>(255u) << shift;
      t.sync();
      if (whole) break;
    }
    return bound;
  }

  template <class Thread>
  static RETORT_DEVICE void collect(const Thread& t, const Args& a, Bound bound, Shared& s) {
    for (int i = t.index(); i < kLargestTop; i += kThreads) s.keys[i] = 0;
    t.sync();
    for (int i = t.index(); i < a.n; i += kThreads) {
      const std::uint64_t key = key_of(a.x[i], i);
      if ((key & bound.mask) >= bound.value) s.keys[t.add_shared(&s.taken, 1)] = key;
    }
    t.sync();
  }

  // Bitonic, falling; unused keys are zeros and go to the end.
  template <class Thread>
  static RETORT_DEVICE void sort(const Thread& t, const Args& a, Shared& s) {
    int size = 2;
    while (size < a.count) size *= 2;
    for (int run = 2; run <= size; run *= 2)
      for (int step = run / 2; step > 0; step /= 2) {
        for (int i = t.index(); i < size; i += kThreads) {
          const int other = i ^ step;
          if (other <= i) continue;
          const std::uint64_t x = s.keys[i], y = s.keys[other];
          if ((x < y) == ((i & run) == 0)) s.keys[i] = y, s.keys[other] = x;
        }
        t.sync();
      }
  }
};

}  // namespace retort::cuda
