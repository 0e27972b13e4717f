// The best convolution kernel of this machine.
#pragma once

#include <memory>
#include <string_view>

#include "kernels/api/conv.h"

namespace retort::kernels {

// forced: "", "onednn", "avx2", "reference". Null where no kernel of that level has convolutions of its own (only oneDNN has):
// the caller then multiplies patches.
std::unique_ptr<ConvKernel> make_conv(const ConvSpec& spec, std::string_view forced = {}) noexcept;

}  // namespace retort::kernels
