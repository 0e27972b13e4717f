#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/launches.h"

namespace retort::cuda {

void launch_norm(Stream& stream, const NormArgs& args, std::int32_t rows) { launch<Norm>(stream, {rows * args.groups}, args); }

void launch_element(Stream& stream, const ElementArgs& args) {
  if (args.count == 0) return;
  constexpr std::int64_t kMostBlocks = 4096;
  launch<Element>(stream, {static_cast<int>(std::min(kMostBlocks, divide_up(args.count, Element::kThreads)))}, args);
}

void launch_normalize(Stream& stream, const NormalizeArgs& args, std::int32_t rows) { launch<Normalize>(stream, {rows}, args); }
void launch_embed(Stream& stream, const EmbedArgs& args, std::int32_t rows) { launch<Embed>(stream, {rows}, args); }
void launch_pool(Stream& stream, const PoolArgs& args, std::int32_t sequences) { launch<Pooling>(stream, {sequences}, args); }
void launch_top(Stream& stream, const TopArgs& args) { launch<Top>(stream, {1}, args); }

void launch_sample(Stream& stream, SampleArgs args) {
  args.blocks = static_cast<std::int32_t>(std::min<std::int64_t>(kSampleBlocks, divide_up(args.n, RowPeaks::kThreads)));
  launch<RowPeaks>(stream, {args.blocks}, args);
  launch<RowShares>(stream, {args.blocks}, args);
  launch<Draw>(stream, {1}, args);
}

}  // namespace retort::cuda
