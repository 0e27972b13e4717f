// Operators that only look at shapes, or give the same values another shape or place.
#include <cmath>
#include <limits>

#include "core/onnx/layout.h"
#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"

namespace retort::onnx {
namespace {

// Axes of an attribute (older operator sets) or of input 1. Errors: kBadShape (out of range, twice).
Result<std::vector<bool>> axes_of(const Call& call, std::size_t rank, bool* given = nullptr) {
  std::vector<std::int64_t> list = call.attributes.wholes("axes");
  if (call.optional(1)) list = call.numbers(1);
  if (given) *given = !list.empty();
  std::vector<bool> out(rank, false);
  for (const std::int64_t axis : list) {
    RETORT_TRY(const std::size_t at, axis_of(axis, rank));
    if (out[at]) return bad_input("each axis once", std::to_string(axis));
    out[at] = true;
  }
  return out;
}

Result<void> give(const Call& call, const Tensor& x, Shape shape) {
  const auto elements = count_elements(shape);
  if (!elements || *elements != x.elements() || shape.size() > kMostRank) return bad_input("a shape of " + std::to_string(x.elements()) + " values", shape_text(shape));
  call.outputs[0] = x.reshaped(std::move(shape));
  return {};
}

}  // namespace

Result<void> run_identity(const Call& call) {
  call.outputs[0] = call.in(0);
  return {};
}

// At inference the same values; the mask, where asked for, is true everywhere.
Result<void> run_dropout(const Call& call) {
  if (call.optional(2) && call.in(2).elements() > 0 && *call.in(2).data<std::uint8_t>() != 0)
    return Error{.code = ErrorCode::kUnsupported, .expected = "inference", .found = "training_mode"};
  call.outputs[0] = call.in(0);
  if (!call.wants(1)) return {};
  RETORT_CHECK(call.make(1, ElementType::kBool, call.in(0).shape()));
  std::fill_n(call.out<std::uint8_t>(1), call.in(0).elements(), std::uint8_t{1});
  return {};
}

Result<void> run_shape(const Call& call) {
  const Shape& shape = call.in(0).shape();
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto place = [rank](std::int64_t axis) { return std::clamp<std::int64_t>(axis < 0 ? axis + rank : axis, 0, rank); };
  const std::int64_t first = place(call.attributes.whole("start", 0)), last = place(call.attributes.whole("end", rank));
  const std::int64_t n = std::max<std::int64_t>(last - first, 0);
  RETORT_CHECK(call.make(0, ElementType::kInt64, {n}));
  std::copy_n(shape.begin() + first, n, call.out<std::int64_t>(0));
  return {};
}

Result<void> run_size(const Call& call) {
  RETORT_CHECK(call.make(0, ElementType::kInt64, {}));
  *call.out<std::int64_t>(0) = call.in(0).elements();
  return {};
}

Result<void> run_reshape(const Call& call) {
  const Tensor& x = call.in(0);
  Shape shape = call.numbers(1);
  const bool zero_is_zero = call.attributes.whole("allowzero", 0) != 0;
  std::optional<std::size_t> open;
  std::int64_t known = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !zero_is_zero) {
      if (i >= x.rank()) return bad_input("a size to copy", shape_text(shape) + " for " + shape_text(x.shape()));
      shape[i] = x.size(i);
    }
    if (shape[i] == -1) {
      if (open) return bad_input("at most one open size", shape_text(shape));
      open = i;
    } else if (shape[i] < 0 || __builtin_mul_overflow(known, shape[i], &known)) {
      return bad_input("sizes", shape_text(shape));
    }
  }
  if (open) {
    if (known == 0 || x.elements() % known != 0) return bad_input("a shape of " + std::to_string(x.elements()) + " values", shape_text(shape));
    shape[*open] = x.elements() / known;
  }
  return give(call, x, std::move(shape));
}

Result<void> run_flatten(const Call& call) {
  const Tensor& x = call.in(0);
  std::int64_t axis = call.attributes.whole("axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(x.rank());
  if (axis < 0 || axis > static_cast<std::int64_t>(x.rank())) return bad_input("an axis", std::to_string(axis));
  Shape shape = {1, 1};
  for (std::size_t i = 0; i < x.rank(); ++i) shape[static_cast<std::int64_t>(i) < axis ? 0 : 1] *= x.size(i);
  return give(call, x, std::move(shape));
}

Result<void> run_squeeze(const Call& call) {
  const Tensor& x = call.in(0);
  bool given = false;
  RETORT_TRY(const auto axes, axes_of(call, x.rank(), &given));
  Shape shape;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    if (given && axes[i] && x.size(i) != 1) return bad_input("a size of 1 at axis " + std::to_string(i), std::to_string(x.size(i)));
    if (given ? !axes[i] : x.size(i) != 1) shape.push_back(x.size(i));
  }
  return give(call, x, std::move(shape));
}

Result<void> run_unsqueeze(const Call& call) {
  const Tensor& x = call.in(0);
  const std::size_t added = call.optional(1) ? static_cast<std::size_t>(call.in(1).elements()) : call.attributes.wholes("axes").size();
  if (x.rank() + added > kMostRank) return bad_input("at most " + std::to_string(kMostRank) + " dimensions", std::to_string(x.rank() + added));
  RETORT_TRY(const auto axes, axes_of(call, x.rank() + added));
  Shape shape;
  std::size_t next = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) shape.push_back(axes[i] ? 1 : x.size(next++));
  return give(call, x, std::move(shape));
}

Result<void> run_transpose(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<std::int64_t> order = call.attributes.wholes("perm");
  if (order.empty()) for (std::size_t i = x.rank(); i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
  std::vector<bool> seen(x.rank(), false);
  if (order.size() != x.rank()) return bad_input("an order of " + std::to_string(x.rank()) + " axes", shape_text(order));
  const Shape own = strides_of(x.shape());
  Shape shape, strides;
  for (const std::int64_t axis : order) {
    RETORT_TRY(const std::size_t at, axis_of(axis, x.rank()));
    if (seen[at]) return bad_input("each axis once", shape_text(order));
    seen[at] = true;
    shape.push_back(x.size(at));
    strides.push_back(own[at]);
  }
  RETORT_CHECK(call.make(0, x.type(), shape));
  copy_strided(call.device, x.element_size(), shape, x.bytes().data(), 0, strides, call.out<std::byte>(0));
  return {};
}

Result<void> run_expand(const Call& call) {
  const Tensor& x = call.in(0);
  const Shape wanted = call.numbers(1);
  RETORT_TRY(const Shape shape, broadcast_shape(x.shape(), wanted));
  RETORT_CHECK(call.make(0, x.type(), shape));
  copy_strided(call.device, x.element_size(), shape, x.bytes().data(), 0, strides_as(x.shape(), shape), call.out<std::byte>(0));
  return {};
}

Result<void> run_tile(const Call& call) {
  const Tensor& x = call.in(0);
  const auto repeats = call.numbers(1);
  if (repeats.size() != x.rank()) return bad_input(std::to_string(x.rank()) + " repeats", std::to_string(repeats.size()));
  const Shape own = strides_of(x.shape());
  Shape whole, shape, strides;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    if (repeats[i] < 0 || repeats[i] > (std::int64_t{1} << 40)) return bad_input("repeats", std::to_string(repeats[i]));
    std::int64_t size = 0;
    if (__builtin_mul_overflow(x.size(i), repeats[i], &size)) return bad_input("sizes that fit", shape_text(repeats));
    whole.push_back(size);
    shape.insert(shape.end(), {repeats[i], x.size(i)});
    strides.insert(strides.end(), {0, own[i]});
  }
  RETORT_CHECK(call.make(0, x.type(), whole));
  copy_strided(call.device, x.element_size(), shape, x.bytes().data(), 0, strides, call.out<std::byte>(0));
  return {};
}

namespace {

struct SliceAxis {
  std::int64_t start = 0, step = 1, count = 0;
};

// The standard's clamping of one axis of `size`.
SliceAxis slice_axis(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size) noexcept {
  const auto add = [size](std::int64_t at) { return at < 0 ? (at < -size ? std::int64_t{-1} : at + size) : at; };
  SliceAxis out{.step = step};
  if (step > 0) {
    out.start = std::clamp<std::int64_t>(start < 0 ? std::max<std::int64_t>(start, -size) + size : start, 0, size);
    const std::int64_t last = std::clamp<std::int64_t>(end < 0 ? std::max<std::int64_t>(end, -size) + size : end, 0, size);
    out.count = last > out.start ? (last - out.start - 1) / step + 1 : 0;
  } else {
    out.start = std::clamp<std::int64_t>(add(start), 0, std::max<std::int64_t>(size - 1, 0));
    const std::int64_t last = std::clamp<std::int64_t>(add(end), -1, size - 1);
    out.count = size > 0 && add(start) >= 0 && out.start > last ? (out.start - last - 1) / -step + 1 : 0;
  }
  return out;
}

}  // namespace

Result<void> run_slice(const Call& call) {
  const Tensor& x = call.in(0);
  const bool old = call.opset < 10;
  const auto starts = old ? call.attributes.wholes("starts") : call.numbers(1);
  const auto ends = old ? call.attributes.wholes("ends") : call.numbers(2);
  auto axes = old ? call.attributes.wholes("axes") : call.numbers(3);
  auto steps = old ? std::vector<std::int64_t>() : call.numbers(4);
  if (axes.empty()) for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return bad_input("starts, ends, axes and steps of the same length", std::to_string(starts.size()) + ", " + std::to_string(ends.size()));
  Shape shape = x.shape(), strides = strides_of(shape);
  const Shape own = strides;
  std::vector<bool> seen(x.rank(), false);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    RETORT_TRY(const std::size_t axis, axis_of(axes[i], x.rank()));
    if (seen[axis] || steps[i] == 0 || steps[i] == std::numeric_limits<std::int64_t>::min()) return bad_input("each axis once, steps other than 0", std::to_string(steps[i]));
    seen[axis] = true;
    const SliceAxis cut = slice_axis(starts[i], ends[i], steps[i], x.size(axis));
    shape[axis] = cut.count;
    // A step beyond the axis is never taken, so it need not be representable in elements.
    strides[axis] = cut.count > 1 ? own[axis] * cut.step : 0;
    if (cut.count > 0) first += cut.start * own[axis];
  }
  RETORT_CHECK(call.make(0, x.type(), shape));
  copy_strided(call.device, x.element_size(), shape, x.bytes().data(), first, strides, call.out<std::byte>(0));
  return {};
}

Result<void> run_concat(const Call& call) {
  // Images with their channels innermost stay so when all are; else all are put in ONNX's order.
  const bool last = std::all_of(call.inputs.begin(), call.inputs.end(), [](const Tensor* x) { return x && x->is_channels_last(); });
  std::vector<Tensor> lying;
  std::vector<const Tensor*> inputs(call.inputs.begin(), call.inputs.end());
  for (const Tensor* x : call.inputs) {
    RETORT_TRY(Tensor seen, x == nullptr ? Result<Tensor>(Tensor()) : last ? Result<Tensor>(x->as_lying()) : to_plain(call.memory, call.device, *x));
    lying.push_back(std::move(seen));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i]) inputs[i] = &lying[i];
  if (!inputs[0]) return bad_input("values", "none");
  const Tensor& first = *inputs[0];
  RETORT_TRY(const std::size_t logical, axis_of(call.attributes.whole("axis", call.opset < 4 ? 1 : 0), first.rank()));
  const std::size_t axis = !last || logical == 0 ? logical : logical == 1 ? first.rank() - 1 : logical - 1;
  Shape shape = first.shape();
  shape[axis] = 0;
  for (const Tensor* x : inputs) {
    if (x == nullptr || x->rank() != shape.size()) return bad_input(std::to_string(shape.size()) + " dimensions", x ? shape_text(x->shape()) : "none");
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (i != axis && x->size(i) != shape[i]) return bad_input(shape_text(first.shape()), shape_text(x->shape()));
    shape[axis] += x->size(axis);
  }
  RETORT_CHECK(call.make(0, first.type(), shape));
  const AroundAxis whole = around(shape, axis);
  const auto row = static_cast<std::size_t>(whole.size * whole.inner) * first.element_size();
  std::size_t at = 0;
  for (const Tensor* x : inputs) {
    const auto part = static_cast<std::size_t>(x->size(axis) * whole.inner) * x->element_size();
    if (part > 0)
      for_each(call.device, whole.outer, static_cast<std::int64_t>(part / 4), [&](std::int64_t o) {
        std::memcpy(call.out<std::byte>(0) + static_cast<std::size_t>(o) * row + at, x->bytes().data() + static_cast<std::size_t>(o) * part, part);
      });
    at += part;
  }
  if (last) call.outputs[0] = Tensor::channels_last(call.outputs[0]);
  return {};
}

Result<void> run_split(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", 0), x.rank()));
  std::vector<std::int64_t> sizes = call.optional(1) ? call.numbers(1) : call.attributes.wholes("split");
  const auto parts = static_cast<std::int64_t>(call.node.outputs.size());
  if (sizes.empty()) {   // equal parts; the last one smaller where it doesn't come out even
    const std::int64_t each = (x.size(axis) + parts - 1) / parts;
    for (std::int64_t i = 0, left = x.size(axis); i < parts; ++i, left -= each) sizes.push_back(std::clamp<std::int64_t>(left, 0, each));
  }
  std::int64_t sum = 0;
  for (const std::int64_t size : sizes)
    if (size < 0 || __builtin_add_overflow(sum, size, &sum)) return bad_input("sizes of parts", shape_text(sizes));
  if (static_cast<std::int64_t>(sizes.size()) != parts || sum != x.size(axis))
    return bad_input(std::to_string(parts) + " parts of " + std::to_string(x.size(axis)), shape_text(sizes));
  const Shape strides = strides_of(x.shape());
  std::int64_t from = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Shape shape = x.shape();
    shape[axis] = sizes[i];
    if (call.wants(i)) {
      RETORT_CHECK(call.make(i, x.type(), shape));
      if (sizes[i] > 0) copy_strided(call.device, x.element_size(), shape, x.bytes().data(), from * strides[axis], strides, call.out<std::byte>(i));
    }
    from += sizes[i];
  }
  return {};
}

Result<void> run_constant_of_shape(const Call& call) {
  const Attribute* value = call.node.find("value");
  if (value && (value->tensor->elements() != 1 || value->tensor->data.size() != traits(value->tensor->type).bits / 8)) return bad_input("one value", shape_text(value->tensor->shape));
  RETORT_TRY(const Tensor filling, value ? Tensor::held(call.memory, *value->tensor, nullptr) : Result<Tensor>(Tensor()));
  const ElementType type = value ? filling.type() : ElementType::kFloat;
  RETORT_CHECK(call.make(0, type, call.numbers(0)));
  const std::size_t width = traits(type).bits / 8;
  const std::array<std::byte, 8> zero{};
  const std::byte* pattern = value ? filling.bytes().data() : zero.data();
  copy_strided(call.device, width, call.outputs[0].shape(), pattern, 0, Shape(call.outputs[0].rank(), 0), call.out<std::byte>(0));
  return {};
}

Result<void> run_range(const Call& call) {
  for (std::size_t i = 0; i < 3; ++i)
    if (call.in(i).elements() != 1) return bad_input("single values", shape_text(call.in(i).shape()));
  Result<void> done;
  with_type(call.in(0).type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    const T start = *call.in(0).data<T>(), limit = *call.in(1).data<T>(), step = *call.in(2).data<T>();
    const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(step));
    if (step == T{0} || !(count < 1e12)) {
      done = bad_input("a finite range", "step " + std::to_string(step));
      return;
    }
    const std::int64_t n = count > 0 ? static_cast<std::int64_t>(count) : 0;
    done = call.make(0, call.in(0).type(), {n});
    if (!done) return;
    for (std::int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_integral_v<T>) {
        using U = std::make_unsigned_t<T>;
        call.out<T>(0)[i] = static_cast<T>(static_cast<U>(start) + static_cast<U>(i) * static_cast<U>(step));
      } else {
        call.out<T>(0)[i] = start + static_cast<T>(i) * step;
      }
    }
  });
  return done;
}

}  // namespace retort::onnx
