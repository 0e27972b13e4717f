// Convolutions through oneDNN's primitive, one strip on one thread.
#pragma once

#include <memory>

#include "kernels/api/conv.h"

namespace retort::kernels::onednn {

// Null: built without oneDNN, or it refuses such weights.
std::unique_ptr<ConvKernel> make_conv(const ConvSpec& spec) noexcept;

}  // namespace retort::kernels::onednn
