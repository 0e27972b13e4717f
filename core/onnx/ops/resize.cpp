// Resize and Upsample: nearest, linear and cubic, one axis after another.
#include <cmath>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"

namespace retort::onnx {
namespace {

struct Rules {
  std::string_view mode, coordinates, nearest;
  float cubic = -0.75f;
  bool exclude_outside = false;
};

// Place in the input of output i, along an axis (onnx.ai, Resize). Single precision, as the field's runtimes compute it.
float original(const Rules& rules, std::int64_t i, float scale, std::int64_t in, std::int64_t out) {
  const auto x = static_cast<float>(i);
  if (rules.coordinates == "asymmetric") return x / scale;
  if (rules.coordinates == "align_corners") return out == 1 ? 0.0f : x * static_cast<float>(in - 1) / static_cast<float>(out - 1);
  if (rules.coordinates == "pytorch_half_pixel") return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
  if (rules.coordinates == "half_pixel_symmetric") {
    const float adjustment = static_cast<float>(out) / (scale * static_cast<float>(in)), center = static_cast<float>(in) / 2;
    return center * (1 - adjustment) + (x + 0.5f) / scale - 0.5f;
  }
  return (x + 0.5f) / scale - 0.5f;
}

std::int64_t nearest_of(const Rules& rules, float x) {
  if (rules.nearest == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (rules.nearest == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  if (rules.nearest == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5f));
  return static_cast<std::int64_t>(std::ceil(x - 0.5f));
}

struct Taps {
  std::array<std::int64_t, 4> at{};
  std::array<float, 4> weight{};
  int count = 0;
};

Taps cubic_taps(const Rules& rules, float x, std::int64_t size) {
  const float base = std::floor(x), t = x - base, a = rules.cubic;
  const auto near = [a](float s) { return ((a + 2) * s - (a + 3)) * s * s + 1; };
  const auto far = [a](float s) { return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a; };
  Taps taps{.weight = {far(t + 1), near(t), near(1 - t), far(2 - t)}, .count = 4};
  float sum = 0;
  for (int k = 0; k < 4; ++k) {
    const std::int64_t at = static_cast<std::int64_t>(base) - 1 + k;
    if (rules.exclude_outside && (at < 0 || at >= size)) taps.weight[static_cast<std::size_t>(k)] = 0;
    taps.at[static_cast<std::size_t>(k)] = std::clamp<std::int64_t>(at, 0, size - 1);
    sum += taps.weight[static_cast<std::size_t>(k)];
  }
  if (rules.exclude_outside)
    for (float& weight : taps.weight) weight /= sum;
  return taps;
}

Taps taps_of(const Rules& rules, std::int64_t i, float scale, std::int64_t in, std::int64_t out) {
  constexpr float kFar = 1e9f;
  const float x = std::clamp(original(rules, i, scale, in, out), -kFar, kFar);
  if (rules.mode == "nearest") return {.at = {std::clamp<std::int64_t>(nearest_of(rules, x), 0, in - 1)}, .weight = {1}, .count = 1};
  if (rules.mode == "cubic") return cubic_taps(rules, x, in);
  const float inside = std::clamp(x, 0.0f, static_cast<float>(in - 1));
  const auto low = static_cast<std::int64_t>(inside), high = std::min(low + 1, in - 1);
  const float t = inside - static_cast<float>(low);
  return {.at = {low, high}, .weight = {1 - t, t}, .count = 2};
}

// One axis of a row-major f32 tensor.
void resize_axis(const Device& device, const std::vector<Taps>& taps, const AroundAxis& from, const float* x, float* out) {
  const auto n = static_cast<std::int64_t>(taps.size());
  for_each(device, from.outer * n, from.inner * 4, [&](std::int64_t row) {
    const Taps& t = taps[static_cast<std::size_t>(row % n)];
    const float* const plane = x + row / n * from.size * from.inner;
    float* const to = out + row * from.inner;
    for (std::int64_t i = 0; i < from.inner; ++i) to[i] = plane[t.at[0] * from.inner + i] * t.weight[0];
    for (int k = 1; k < t.count; ++k) {
      const float weight = t.weight[static_cast<std::size_t>(k)];
      const float* const line = plane + t.at[static_cast<std::size_t>(k)] * from.inner;
      for (std::int64_t i = 0; i < from.inner; ++i) to[i] += line[i] * weight;
    }
  });
}

struct Target {
  Shape shape;
  std::vector<float> scales;
};

// Which input holds the scales: Upsample and Resize of operator set 10 have no roi before it.
std::size_t scales_input(const Call& call) { return call.node.op == "Upsample" || call.opset < 11 ? 1 : 2; }

Result<Target> target_of(const Call& call) {
  const Tensor& x = call.in(0);
  Target out{x.shape(), std::vector<float>(x.rank(), 1.0f)};
  std::vector<std::size_t> axes;
  for (const std::int64_t axis : call.attributes.wholes("axes")) {
    RETORT_TRY(const std::size_t at, axis_of(axis, x.rank()));
    axes.push_back(at);
  }
  if (axes.empty()) for (std::size_t i = 0; i < x.rank(); ++i) axes.push_back(i);
  const auto sizes = call.numbers(3);
  if (!sizes.empty()) {
    if (sizes.size() != axes.size()) return bad_input(std::to_string(axes.size()) + " sizes", std::to_string(sizes.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      out.shape[axes[i]] = sizes[i];
      out.scales[axes[i]] = static_cast<float>(sizes[i]) / static_cast<float>(x.size(axes[i]));
    }
    return out;
  }
  const Tensor* scales = call.optional(scales_input(call));
  if (scales == nullptr || scales->type() != ElementType::kFloat || scales->elements() != static_cast<std::int64_t>(axes.size()))
    return bad_input(std::to_string(axes.size()) + " scales or sizes", scales ? shape_text(scales->shape()) : "none");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const float scale = scales->data<float>()[i], size = std::floor(static_cast<float>(x.size(axes[i])) * scale);
    if (!(scale > 0) || !(size < 1e9f)) return bad_input("scales above 0", std::to_string(scale));
    out.shape[axes[i]] = static_cast<std::int64_t>(size);
    out.scales[axes[i]] = scale;
  }
  return out;
}

}  // namespace

Result<void> run_resize(const Call& call) {
  RETORT_TRY(Target target, target_of(call));
  const bool old = scales_input(call) == 1;
  const Rules rules{.mode = call.attributes.text("mode", "nearest"),
                    .coordinates = old ? "asymmetric" : call.attributes.text("coordinate_transformation_mode", "half_pixel"),
                    .nearest = old ? "floor" : call.attributes.text("nearest_mode", "round_prefer_floor"),
                    .cubic = call.attributes.real("cubic_coeff_a", -0.75f),
                    .exclude_outside = call.attributes.whole("exclude_outside", 0) != 0};
  const bool last = call.in(0).is_channels_last();
  Tensor x = call.in(0).as_lying();
  if (last) {   // the axes as they lie: space, then channels
    std::rotate(target.shape.begin() + 1, target.shape.begin() + 2, target.shape.end());
    std::rotate(target.scales.begin() + 1, target.scales.begin() + 2, target.scales.end());
  }
  if (!count_elements(target.shape)) return bad_input("sizes", shape_text(target.shape));
  if (x.elements() == 0) return bad_input("values to resize", shape_text(x.shape()));
  for (std::size_t axis = 0; axis < x.rank(); ++axis) {
    if (target.shape[axis] == x.size(axis) && target.scales[axis] == 1.0f) continue;
    Shape shape = x.shape();
    shape[axis] = target.shape[axis];
    RETORT_TRY(Tensor next, Tensor::make(call.memory, ElementType::kFloat, shape));
    std::vector<Taps> taps(static_cast<std::size_t>(target.shape[axis]));
    for (std::size_t i = 0; i < taps.size(); ++i) taps[i] = taps_of(rules, static_cast<std::int64_t>(i), target.scales[axis], x.size(axis), target.shape[axis]);
    if (next.elements() > 0) resize_axis(call.device, taps, around(x.shape(), axis), x.data<float>(), next.write<float>());
    x = std::move(next);
  }
  call.outputs[0] = last ? Tensor::channels_last(x) : std::move(x);
  return {};
}

}  // namespace retort::onnx
