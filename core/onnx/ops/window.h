// What Conv and the pools share: kernel, strides, dilations and pads over one to three dimensions of space. Fewer than three
// are filled up in front, so that one loop serves all.
#pragma once

#include <array>

#include "core/onnx/operator.h"

namespace retort::onnx {

struct Window {
  static constexpr std::size_t kDims = 3;
  using Sizes = std::array<std::int64_t, kDims>;
  Sizes in{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, before{}, after{}, out{1, 1, 1};
  std::size_t dims = 0;

  std::int64_t in_points() const noexcept { return in[0] * in[1] * in[2]; }
  std::int64_t out_points() const noexcept { return out[0] * out[1] * out[2]; }
  std::int64_t taps() const noexcept { return kernel[0] * kernel[1] * kernel[2]; }
  // The input's place of tap k at output o, along dimension d; may lie in the padding.
  std::int64_t at(std::size_t d, std::int64_t o, std::int64_t k) const noexcept { return o * stride[d] - before[d] + k * dilation[d]; }
};

// x is [batch, channels, space …]; `kernel` the sizes of the kernel (empty: attribute kernel_shape).
// Errors: kBadShape (no room for the kernel, more than three dimensions of space).
Result<Window> window_of(const Call& call, const Shape& x, std::span<const std::int64_t> kernel, bool ceil = false);
// The same of ConvTranspose: `out` follows from strides, pads, output_padding or output_shape.
Result<Window> transposed_window_of(const Call& call, const Shape& x, std::span<const std::int64_t> kernel);

// [first, last) of [0, out): where tap k stands inside [0, in).
struct Valid {
  std::int64_t first, last;
};
Valid valid_outputs(const Window& window, std::size_t d, std::int64_t k) noexcept;

}  // namespace retort::onnx
