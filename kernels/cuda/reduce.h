// Sums and maxima over a warp and a block, in an order that depends on the number of threads only.
#pragma once

#include "kernels/cuda/simt.h"

namespace retort::cuda {

template <class Thread>
RETORT_DEVICE float warp_sum(const Thread& t, float v) {
  RETORT_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) v += t.exchange(v, mask);
  return v;
}
template <class Thread>
RETORT_DEVICE float warp_max(const Thread& t, float v) {
  RETORT_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) v = fmaxf(v, t.exchange(v, mask));
  return v;
}

// `room`: a float in shared memory for each warp. Every thread gets the result.
template <class Thread>
RETORT_DEVICE float block_sum(const Thread& t, float v, float* room) {
  v = warp_sum(t, v);
  t.sync();
  if (t.lane() == 0) room[t.warp()] = v;
  t.sync();
  float sum = 0;
  for (int w = 0; w < t.warps(); ++w) sum += room[w];
  return sum;
}
template <class Thread>
RETORT_DEVICE float block_max(const Thread& t, float v, float* room) {
  v = warp_max(t, v);
  t.sync();
  if (t.lane() == 0) room[t.warp()] = v;
  t.sync();
  float most = room[0];
  for (int w = 1; w < t.warps(); ++w) most = fmaxf(most, room[w]);
  return most;
}

}  // namespace retort::cuda
