#include <algorithm>

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/launches.h"

namespace retort::cuda {
namespace {

template <bool kHalfCache>
void launch_head_dim(Stream& stream, const AttendArgs& a, Grid grid) {
  if (a.head_dim <= 64) launch<Attend<kHalfCache, 1>>(stream, grid, Attend<kHalfCache, 1>::shared_bytes(a.head_dim), a);
  else if (a.head_dim <= 128) launch<Attend<kHalfCache, 2>>(stream, grid, Attend<kHalfCache, 2>::shared_bytes(a.head_dim), a);
  else launch<Attend<kHalfCache, 4>>(stream, grid, Attend<kHalfCache, 4>::shared_bytes(a.head_dim), a);
}

template <int kMost, bool kHalfCache>
void launch_tiles(Stream& stream, const AttendArgs& a) {
  using Body = AttendTiles<kMost, kHalfCache>;
  launch<Body>(stream, {a.heads, static_cast<int>(divide_up(a.rows, Body::kRows))}, a);
}
template <bool kHalfCache>
void launch_tiles(Stream& stream, const AttendArgs& a) {
  if (a.head_dim <= 64) launch_tiles<64, kHalfCache>(stream, a);
  else launch_tiles<128, kHalfCache>(stream, a);
}

}  // namespace

bool attends_by_tiles(const AttendArgs& a, bool cache_f16, std::int32_t rows) {
  return rows > kFewTokens && (cache_f16 || a.begins) && !a.bias && a.head_dim % 16 == 0 && a.head_dim <= 128;
}

Splits attention_splits(std::int64_t context) {
  constexpr std::int64_t kLeast = 128, kMost = 32;   // positions of a stretch; stretches
  const std::int64_t chunk = std::max(kLeast, round_up(divide_up(context, kMost), 16));
  return {static_cast<std::int32_t>(divide_up(context, chunk)), static_cast<std::int32_t>(chunk)};
}

void launch_rotate(Stream& stream, const RotateArgs& args, std::int32_t rows) { launch<Rotate>(stream, {rows}, args); }

void launch_attend(Stream& stream, AttendArgs args, bool cache_f16, std::int32_t rows, std::int64_t context) {
  args.rows = rows;
  if (attends_by_tiles(args, cache_f16, rows)) return cache_f16 ? launch_tiles<true>(stream, args) : launch_tiles<false>(stream, args);
  args.splits = 1;
  args.chunk = static_cast<std::int32_t>(context);
  if (args.partial && rows <= kFewTokens) {
    const Splits splits = attention_splits(context);
    args.splits = splits.splits;
    args.chunk = splits.chunk;
  }
  const Grid grid{args.heads, rows, args.splits};
  if (cache_f16) launch_head_dim<true>(stream, args, grid);
  else launch_head_dim<false>(stream, args, grid);
  if (args.splits > 1) launch<Join>(stream, {args.heads, rows}, {args.partial, args.out, args.heads, args.head_dim, args.splits});
}

}  // namespace retort::cuda
