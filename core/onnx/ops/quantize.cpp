// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
#include <cmath>
#include <limits>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"

namespace retort::onnx {
namespace {

// One scale and zero point for everything, or one for each place along an axis.
Result<AroundAxis> scale_axis(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& scale = call.in(1);
  const Tensor* zero = call.optional(2);
  if (zero && zero->elements() != scale.elements()) return bad_input("a zero point for each scale", shape_text(zero->shape()));
  if (scale.elements() == 1) return AroundAxis{1, 1, x.elements()};
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", 1), x.rank()));
  if (scale.rank() != 1 || scale.size(0) != x.size(axis)) return bad_input(std::to_string(x.size(axis)) + " scales", shape_text(scale.shape()));
  return around(x.shape(), axis);
}

template <class T>
T rounded(float x, float scale, std::int32_t zero) noexcept {
  const float value = std::nearbyint(x / scale) + static_cast<float>(zero);
  constexpr auto low = static_cast<float>(std::numeric_limits<T>::min()), high = static_cast<float>(std::numeric_limits<T>::max());
  return std::isnan(value) ? T{0} : static_cast<T>(std::clamp(value, low, high));
}

}  // namespace

Result<void> run_quantize_linear(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor* zero = call.optional(2);
  RETORT_TRY(const AroundAxis whole, scale_axis(call));
  const ElementType type = zero ? zero->type() : ElementType::kUint8;
  RETORT_CHECK(call.make(0, type, x.shape()));
  with_type(type, Bytes8(), [&](auto kind) {
    using T = decltype(kind);
    if (whole.size == 1) {
      const float scale = *call.in(1).data<float>();
      const std::int32_t shift = zero ? *zero->data<T>() : 0;
      for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
        for (std::int64_t i = first; i < first + n; ++i) call.out<T>(0)[i] = rounded<T>(x.data<float>()[i], scale, shift);
      });
      return;
    }
    for_each(call.device, whole.inner == 0 ? 0 : whole.outer * whole.size, whole.inner * 2, [&](std::int64_t row) {
      const std::int64_t c = row % whole.size;
      const float scale = call.in(1).data<float>()[c];
      const std::int32_t shift = zero ? zero->data<T>()[c] : 0;
      for (std::int64_t i = row * whole.inner; i < (row + 1) * whole.inner; ++i) call.out<T>(0)[i] = rounded<T>(x.data<float>()[i], scale, shift);
    });
  });
  return {};
}

Result<void> run_dequantize_linear(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor* zero = call.optional(2);
  RETORT_TRY(const AroundAxis whole, scale_axis(call));
  RETORT_CHECK(call.make(0, ElementType::kFloat, x.shape()));
  with_type(x.type(), Types<std::int8_t, std::uint8_t, std::int32_t>(), [&](auto kind) {
    using T = decltype(kind);
    if (whole.size == 1) {
      const float scale = *call.in(1).data<float>();
      const std::int64_t shift = zero ? *zero->data<T>() : 0;
      for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
        for (std::int64_t i = first; i < first + n; ++i) call.out<float>(0)[i] = static_cast<float>(static_cast<std::int64_t>(x.data<T>()[i]) - shift) * scale;
      });
      return;
    }
    for_each(call.device, whole.inner == 0 ? 0 : whole.outer * whole.size, whole.inner, [&](std::int64_t row) {
      const std::int64_t c = row % whole.size, shift = zero ? zero->data<T>()[c] : 0;
      const float scale = call.in(1).data<float>()[c];
      for (std::int64_t i = row * whole.inner; i < (row + 1) * whole.inner; ++i)
        call.out<float>(0)[i] = static_cast<float>(static_cast<std::int64_t>(x.data<T>()[i]) - shift) * scale;
    });
  });
  return {};
}

// Range of x with 0 in it, onto 0 … 255.
Result<void> run_dynamic_quantize_linear(const Call& call) {
  const Tensor& x = call.in(0);
  float low = 0, high = 0;
  for (const float value : x.values<float>()) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float scale = (high - low) / 255;
  const float shift = std::clamp(std::nearbyint(scale > 0 ? -low / scale : 0.0f), 0.0f, 255.0f);
  RETORT_CHECK(call.make(0, ElementType::kUint8, x.shape()));
  RETORT_CHECK(call.make(1, ElementType::kFloat, {}));
  RETORT_CHECK(call.make(2, ElementType::kUint8, {}));
  const auto zero = static_cast<std::uint8_t>(shift);
  for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
    for (std::int64_t i = first; i < first + n; ++i) call.out<std::uint8_t>(0)[i] = scale > 0 ? rounded<std::uint8_t>(x.data<float>()[i], scale, zero) : zero;
  });
  *call.out<float>(1) = scale;
  *call.out<std::uint8_t>(2) = zero;
  return {};
}

}  // namespace retort::onnx
