#include "kernels/cuda/launch.h"
#include "kernels/cuda/limits.h"

namespace retort::cuda {

void launch_copy_limit(Stream& stream, const CopyArgs& args, std::int32_t blocks) { launch<CopyLimit>(stream, {blocks}, args); }
void launch_product_limit(Stream& stream, const ProductArgs& args, std::int32_t blocks) { launch<ProductLimit>(stream, {blocks}, args); }

}  // namespace retort::cuda
