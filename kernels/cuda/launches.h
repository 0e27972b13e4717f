// One function for each thing the device can do; each chooses the kernel and its grid.
#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/sample.h"
#include "kernels/cuda/top.h"

namespace retort::cuda {

// Rows of activations that a product of vectors takes at most; more go to the matrix units.
inline constexpr int kFewTokens = 4;

// Linears of one type that read the same rows x [tokens, columns].
struct LinearJob {
  Type type;
  const float* x;
  std::int32_t tokens, columns, count;
  LinearTarget targets[kMostTargets];
  // Where tokens > kFewTokens and the type isn't F32: activations as the sum of two f16, for twice the products.
  bool two_terms;
  std::uint16_t* rounded;       // then room for tokens · padded columns, twice that with two terms
  float* scales;                // room for tokens
  std::int32_t multiprocessors;
};
void launch_linears(Stream& stream, const LinearJob& job);

// Positions that one block of few queries looks at, and how many blocks that makes for a cache of `context` positions.
struct Splits { std::int32_t splits, chunk; };
Splits attention_splits(std::int64_t context);
inline constexpr int kLargestHeadDim = 256;
void launch_rotate(Stream& stream, const RotateArgs& args, std::int32_t rows);
// Whether launch_attend() takes the matrix units, which round queries to f16, and an encoder's keys and values.
bool attends_by_tiles(const AttendArgs& args, bool cache_f16, std::int32_t rows);
// Sets rows, splits and chunk itself: stretches where there are few rows and `partial` isn't null.
void launch_attend(Stream& stream, AttendArgs args, bool cache_f16, std::int32_t rows, std::int64_t context);

void launch_norm(Stream& stream, const NormArgs& args, std::int32_t rows);
void launch_element(Stream& stream, const ElementArgs& args);
void launch_normalize(Stream& stream, const NormalizeArgs& args, std::int32_t rows);
void launch_embed(Stream& stream, const EmbedArgs& args, std::int32_t rows);
void launch_pool(Stream& stream, const PoolArgs& args, std::int32_t sequences);
void launch_top(Stream& stream, const TopArgs& args);
// Sets blocks itself.
void launch_sample(Stream& stream, SampleArgs args);

}  // namespace retort::cuda
