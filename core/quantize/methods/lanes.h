// Eight blocks side by side. A search runs on all of them at once, each lane in exactly the order of operations that
// its block alone would see, so the results do not depend on how wide the machine's vectors are.
#pragma once

#include <cstdint>

namespace retort {

inline constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(32)));              // one value of each of the eight blocks
typedef std::int32_t LaneBits __attribute__((vector_size(32)));    // masks: all ones or zero

#define RETORT_INLINE [[gnu::always_inline]] inline

// Nearest integer, ties to even, for |v| < 2^22: adding 1.5 · 2^23 leaves no room for a fraction.
inline constexpr float kRoundingShift = 12582912.0f;
template <class T>
RETORT_INLINE T nearest(T v) {
  return (v + kRoundingShift) - kRoundingShift;
}

RETORT_INLINE float select(bool mask, float yes, float no) { return mask ? yes : no; }
RETORT_INLINE Lanes select(LaneBits mask, Lanes yes, Lanes no) { return mask ? yes : no; }

// Not a number becomes `low`.
template <class T>
RETORT_INLINE T clamped(T v, T low, T high) {
  const T raised = select(v > low, v, low);
  return select(raised < high, raised, high);
}

RETORT_INLINE Lanes all_lanes(float v) { return Lanes{v, v, v, v, v, v, v, v}; }

RETORT_INLINE bool any_lane(LaneBits mask) {
  std::int32_t any = 0;
  for (int lane = 0; lane < kLanes; ++lane) any |= mask[lane];
  return any != 0;
}

// Eight blocks of n values, transposed: x[i][lane]; w are the weights of their squared errors.
struct LaneBlocks {
  Lanes x[32];
  Lanes w[32];

  void put(int lane, const float* values, const float* weights, int n) {
    for (int i = 0; i < n; ++i) {
      x[i][lane] = values[i];
      w[i][lane] = weights[i];
    }
  }
};

}  // namespace retort
