// Sums and maxima over a warp and a block, in an order that depends on the number of threads only.
#pragma once

#include "kernels/cuda/simt.h"

namespace retort::cuda {

struct Sum {
  template <class T>
  static RETORT_DEVICE T of(T a, T b) { return a + b; }
};
struct Greatest {
  static RETORT_DEVICE float of(float a, float b) { return fmaxf(a, b); }
  static RETORT_DEVICE std::uint64_t of(std::uint64_t a, std::uint64_t b) { return a > b ? a : b; }
};

// Over kLanes neighbouring lanes; each gets the result.
template <class Operation, int kLanes = kWarp, class Thread, class T>
RETORT_DEVICE T warp_reduce(const Thread& t, T v) {
  RETORT_UNROLL
  for (int mask = kLanes / 2; mask > 0; mask /= 2) v = Operation::of(v, t.exchange(v, mask));
  return v;
}

// `room`: a number in shared memory for each warp. Every thread gets the result.
template <class Operation, class Thread, class T>
RETORT_DEVICE T block_reduce(const Thread& t, T v, T* room) {
  v = warp_reduce<Operation>(t, v);
  t.sync();   // readers of what was there before are done
  if (t.lane() == 0) room[t.warp()] = v;
  t.sync();
  T result = room[0];
  for (int w = 1; w < t.warps(); ++w) result = Operation::of(result, room[w]);
  return result;
}

}  // namespace retort::cuda
