// What a device can do at most, measured: bytes copied and matrix products of registers. Only the benchmark uses it.
#pragma once

#include "kernels/cuda/launches.h"

namespace retort::cuda {

struct CopyArgs {
  const Bytes16* from;
  Bytes16* to;
  std::int64_t count;
};

struct CopyLimit {
  using Args = CopyArgs;
  static constexpr int kThreads = 256;
  static constexpr std::size_t kShared = 0;
  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    const std::int64_t step = static_cast<std::int64_t>(t.grid_x()) * kThreads;
    for (std::int64_t i = static_cast<std::int64_t>(t.block_x()) * kThreads + t.index(); i < a.count; i += step) a.to[i] = a.from[i];
  }
};

struct ProductArgs {
  float* out;                  // [blocks · kThreads], so that nothing is left out as unused
  std::int32_t rounds;
};

// Each warp makes kChains independent products of 16×8×16 a round, from registers alone.
struct ProductLimit {
  using Args = ProductArgs;
  static constexpr int kThreads = 256, kChains = 8;
  static constexpr std::size_t kShared = 0;
  static constexpr double kOperations = 2.0 * 16 * 8 * 16 * kChains * (kThreads / kWarp);   // of a block and round
  template <class Thread>
  static RETORT_DEVICE void run(const Thread& t, const Args& a) {
    float sums[kChains][4] = {};
    std::uint32_t x[4];
    for (int i = 0; i < 4; ++i) x[i] = pack_f16(static_cast<float>(t.lane() + i) * 0.001f, 0.002f);
    for (int round = 0; round < a.rounds; ++round) {
      RETORT_UNROLL
      for (int c = 0; c < kChains; ++c) t.multiply(sums[c], x, x[c % 4], x[(c + 1) % 4]);
    }
    float total = 0;
    RETORT_UNROLL
    for (int c = 0; c < kChains; ++c) total += (sums[c][0] + sums[c][1]) + (sums[c][2] + sums[c][3]);
    a.out[static_cast<std::int64_t>(t.block_x()) * kThreads + t.index()] = total;
  }
};

void launch_copy_limit(Stream& stream, const CopyArgs& args, std::int32_t blocks);
void launch_product_limit(Stream& stream, const ProductArgs& args, std::int32_t blocks);

}  // namespace retort::cuda
