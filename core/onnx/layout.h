// Where the channels of images lie between operators. Convolutions want and give them innermost; what stands between two
// convolutions takes them so where it can, and whoever can't gets them put back in ONNX's order.
#pragma once

#include "core/onnx/operator.h"

namespace retort::onnx {

enum class LayoutUse : std::uint8_t {
  kPlain,         // ONNX's order only
  kPointwise,     // works on values one by one, with broadcasting: any order, the same for all inputs
  kAware,         // looks itself at how its inputs lie
};
LayoutUse layout_use(const Node& node) noexcept;

// Errors: kOutOfMemory.
Result<Tensor> to_plain(Memory& memory, const Device& device, const Tensor& x);
Result<Tensor> to_channels_last(Memory& memory, const Device& device, const Tensor& x);

// How a pointwise operator sees its inputs when one of them has its channels innermost: all as they lie, of one rank. nullopt:
// one of the others would have to be put in order first.
std::optional<std::vector<Tensor>> lying_inputs(std::span<const Tensor* const> inputs);

}  // namespace retort::onnx
