#include "kernels/dispatch/conv.h"

#include "kernels/dispatch/ops.h"
#include "kernels/onednn/conv.h"

namespace retort::kernels {

std::unique_ptr<ConvKernel> make_conv(const ConvSpec& spec, std::string_view forced) noexcept {
  const std::string_view wanted = forced.empty() ? forced_by_environment() : forced;
  if (!wanted.empty() && wanted != "onednn") return nullptr;
  return onednn::make_conv(spec);
}

}  // namespace retort::kernels
