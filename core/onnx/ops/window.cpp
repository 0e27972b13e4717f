#include "core/onnx/ops/window.h"

#include <algorithm>

namespace retort::onnx {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 31;   // products of two such numbers stay far from overflow

// An attribute of one number for each dimension, into the last `dims` places.
Result<void> fill(const Call& call, const char* name, std::size_t dims, std::int64_t least, Window::Sizes& out) {
  const auto list = call.attributes.wholes(name);
  if (list.empty()) return {};
  if (list.size() != dims) return bad_input(std::to_string(dims) + " numbers in " + name, std::to_string(list.size()));
  for (std::size_t i = 0; i < dims; ++i) {
    if (list[i] < least || list[i] >= kMost) return bad_input(std::string(name) + " from " + std::to_string(least), std::to_string(list[i]));
    out[Window::kDims - dims + i] = list[i];
  }
  return {};
}

Result<Window> start(const Call& call, const Shape& x, std::span<const std::int64_t> kernel) {
  if (x.size() < 3 || x.size() > 2 + Window::kDims) return bad_input("[batch, channels, one to three dimensions of space]", shape_text(x));
  Window window;
  window.dims = x.size() - 2;
  const std::size_t skip = Window::kDims - window.dims;
  for (std::size_t i = 0; i < window.dims; ++i) {
    window.in[skip + i] = x[2 + i];
    if (x[2 + i] >= kMost) return bad_input("sizes below 2^31", shape_text(x));
  }
  RETORT_CHECK(fill(call, "kernel_shape", window.dims, 1, window.kernel));
  if (!kernel.empty()) {
    const Window::Sizes stated = window.kernel;
    if (kernel.size() != window.dims) return bad_input("a kernel of " + std::to_string(window.dims) + " dimensions", shape_text(kernel));
    for (std::size_t i = 0; i < window.dims; ++i) window.kernel[skip + i] = kernel[i];
    if (call.attributes.has("kernel_shape") && stated != window.kernel) return bad_input("kernel_shape as the weights say", shape_text(kernel));
    for (const std::int64_t size : window.kernel)
      if (size < 1 || size >= kMost) return bad_input("a kernel", shape_text(kernel));
  }
  RETORT_CHECK(fill(call, "strides", window.dims, 1, window.stride));
  RETORT_CHECK(fill(call, "dilations", window.dims, 1, window.dilation));
  const auto pads = call.attributes.wholes("pads");
  if (!pads.empty() && pads.size() != 2 * window.dims) return bad_input(std::to_string(2 * window.dims) + " pads", std::to_string(pads.size()));
  for (std::size_t i = 0; i < pads.size(); ++i) {
    if (pads[i] < 0 || pads[i] >= kMost) return bad_input("pads from 0", std::to_string(pads[i]));
    (i < window.dims ? window.before[skip + i] : window.after[skip + i - window.dims]) = pads[i];
  }
  return window;
}

std::int64_t reach(const Window& w, std::size_t d) noexcept { return (w.kernel[d] - 1) * w.dilation[d] + 1; }

}  // namespace

Result<Window> window_of(const Call& call, const Shape& x, std::span<const std::int64_t> kernel, bool ceil) {
  RETORT_TRY(Window w, start(call, x, kernel));
  const std::string_view mode = call.attributes.text("auto_pad", "NOTSET");
  for (std::size_t d = Window::kDims - w.dims; d < Window::kDims; ++d) {
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      w.out[d] = (w.in[d] + w.stride[d] - 1) / w.stride[d];
      const std::int64_t pad = std::max<std::int64_t>((w.out[d] - 1) * w.stride[d] + reach(w, d) - w.in[d], 0);
      w.before[d] = mode == "SAME_UPPER" ? pad / 2 : (pad + 1) / 2;
      w.after[d] = pad - w.before[d];
      continue;
    }
    if (mode == "VALID") w.before[d] = w.after[d] = 0;
    const std::int64_t room = w.in[d] + w.before[d] + w.after[d] - reach(w, d);
    if (room < 0) return bad_input("room for a kernel of " + std::to_string(reach(w, d)), std::to_string(w.in[d] + w.before[d] + w.after[d]));
    w.out[d] = (ceil ? room + w.stride[d] - 1 : room) / w.stride[d] + 1;
    // A window that would begin in the padding behind is left out.
    if (ceil && (w.out[d] - 1) * w.stride[d] >= w.in[d] + w.before[d]) --w.out[d];
  }
  return w;
}

Result<Window> transposed_window_of(const Call& call, const Shape& x, std::span<const std::int64_t> kernel) {
  RETORT_TRY(Window w, start(call, x, kernel));
  Window::Sizes extra{}, wanted{};
  RETORT_CHECK(fill(call, "output_padding", w.dims, 0, extra));
  RETORT_CHECK(fill(call, "output_shape", w.dims, 1, wanted));
  const std::string_view mode = call.attributes.text("auto_pad", "NOTSET");
  for (std::size_t d = Window::kDims - w.dims; d < Window::kDims; ++d) {
    const std::int64_t whole = (w.in[d] - 1) * w.stride[d] + extra[d] + reach(w, d);
    const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
    if (wanted[d] == 0 && !same) {
      if (mode == "VALID") w.before[d] = w.after[d] = 0;
      w.out[d] = whole - w.before[d] - w.after[d];
    } else {
      w.out[d] = wanted[d] != 0 ? wanted[d] : w.in[d] * w.stride[d];
      const std::int64_t pad = std::max<std::int64_t>(whole - w.out[d], 0);
      w.before[d] = mode == "SAME_UPPER" ? pad / 2 : pad - pad / 2;
      w.after[d] = pad - w.before[d];
    }
    if (w.out[d] < 1 || w.out[d] >= kMost) return bad_input("room for an output", std::to_string(w.out[d]));
  }
  return w;
}

Valid valid_outputs(const Window& w, std::size_t d, std::int64_t k) noexcept {
  const std::int64_t shift = w.before[d] - k * w.dilation[d];   // 0 ≤ o · stride - shift < in
  const std::int64_t first = shift > 0 ? (shift + w.stride[d] - 1) / w.stride[d] : 0;
  const std::int64_t end = w.in[d] + shift;
  const std::int64_t last = end > 0 ? std::min(w.out[d], (end + w.stride[d] - 1) / w.stride[d]) : 0;
  return {std::min(first, last), last};
}

}  // namespace retort::onnx
