#include "kernels/cuda/launch.h"
#include "kernels/cuda/limits.h"

namespace retort::cuda {

void launch_copy_limit(Stream& stream, const CopyArgs& args, std::int32_t blocks) { launch<CopyLimit>(stream, {blocks}, args); }
void launch_product_limit(Stream& stream, const ProductArgs& args, std::int32_t blocks) { launch<ProductLimit>(stream, {blocks}, args); }


#ifdef __CUDACC__
retort_status find_code() {
  cudaFuncAttributes ignored{};
  const cudaError_t error = cudaFuncGetAttributes(&ignored, run_body<CopyLimit>);
  if (error == cudaSuccess) return RETORT_OK;
  static_cast<void>(cudaGetLastError());
  const bool none = error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction || error == cudaErrorUnsupportedPtxVersion;
  return fail(none ? RETORT_UNSUPPORTED : RETORT_FAILED, plugin_description() + ": no code for this device: " + cudaGetErrorString(error));
}
#else
retort_status find_code() { return RETORT_OK; }
#endif

}  // namespace retort::cuda
