// Operators that pick values by index: Gather and its relatives, TopK, ArgMax, NonZero, CumSum, Trilu; Pad.
#include <cmath>
#include <numeric>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"

namespace retort::onnx {
namespace {

// Indices of an axis of `size`, negative ones counted from its end. Errors: kBadShape.
Result<std::vector<std::int64_t>> indices_of(const Call& call, std::size_t input, std::int64_t size) {
  std::vector<std::int64_t> out = call.numbers(input);
  for (std::int64_t& index : out) {
    if (index < -size || index >= size) return bad_input("an index below " + std::to_string(size), std::to_string(index));
    if (index < 0) index += size;
  }
  return out;
}

}  // namespace

Result<void> run_gather(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& at = call.in(1);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", 0), x.rank()));
  RETORT_TRY(const auto indices, indices_of(call, 1, x.size(axis)));
  Shape shape(x.shape().begin(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), at.shape().begin(), at.shape().end());
  shape.insert(shape.end(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.shape().end());
  RETORT_CHECK(call.make(0, x.type(), shape));
  const AroundAxis whole = around(x.shape(), axis);
  const auto part = static_cast<std::size_t>(whole.inner) * x.element_size();
  const auto count = static_cast<std::int64_t>(indices.size());
  if (part == 0 || count == 0) return {};
  for_each(call.device, whole.outer * count, whole.inner, [&](std::int64_t i) {
    const std::int64_t from = i / count * whole.size + indices[static_cast<std::size_t>(i % count)];
    std::memcpy(call.out<std::byte>(0) + static_cast<std::size_t>(i) * part, x.bytes().data() + static_cast<std::size_t>(from) * part, part);
  });
  return {};
}

Result<void> run_gather_elements(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& at = call.in(1);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", 0), x.rank()));
  if (at.rank() != x.rank()) return bad_input(std::to_string(x.rank()) + " dimensions of indices", shape_text(at.shape()));
  for (std::size_t i = 0; i < x.rank(); ++i)
    if (i != axis && at.size(i) > x.size(i)) return bad_input("indices within " + shape_text(x.shape()), shape_text(at.shape()));
  RETORT_TRY(const auto indices, indices_of(call, 1, x.size(axis)));
  RETORT_CHECK(call.make(0, x.type(), at.shape()));
  const Shape own = strides_of(x.shape());
  Shape place(x.rank(), 0);
  const std::size_t width = x.element_size();
  for (std::int64_t i = 0; i < at.elements(); ++i) {
    std::int64_t from = indices[static_cast<std::size_t>(i)] * own[axis];
    for (std::size_t k = 0; k < place.size(); ++k) from += k == axis ? 0 : place[k] * own[k];
    std::memcpy(call.out<std::byte>(0) + static_cast<std::size_t>(i) * width, x.bytes().data() + static_cast<std::size_t>(from) * width, width);
    for (std::size_t k = place.size(); k-- > 0 && ++place[k] == at.size(k);) place[k] = 0;
  }
  return {};
}

namespace {

// Offsets into x, in slices of `part` elements, of the index tuples along the last axis of input 1.
struct Tuples {
  std::vector<std::int64_t> offsets;
  std::int64_t part = 1;
};

Result<Tuples> tuples_of(const Call& call, const Tensor& x, const Tensor& at) {
  if (at.rank() == 0 || at.shape().back() > static_cast<std::int64_t>(x.rank()) || x.rank() == 0)
    return bad_input("tuples of at most " + std::to_string(x.rank()) + " indices", shape_text(at.shape()));
  const auto width = static_cast<std::size_t>(at.shape().back());
  const auto numbers = call.numbers(1);
  const Shape own = strides_of(x.shape());
  Tuples out;
  for (std::size_t i = width; i < x.rank(); ++i) out.part *= x.size(i);
  std::int64_t count = 1;
  for (std::size_t i = 0; i + 1 < at.rank(); ++i) count *= at.size(i);
  if (width == 0 && count > (1 << 20)) return bad_input("indices", shape_text(at.shape()));
  for (std::int64_t t = 0; t < count; ++t) {
    std::int64_t from = 0;
    for (std::size_t k = 0; k < width; ++k) {
      std::int64_t index = numbers[static_cast<std::size_t>(t) * width + k];
      if (index < -x.size(k) || index >= x.size(k)) return bad_input("an index below " + std::to_string(x.size(k)), std::to_string(index));
      from += (index < 0 ? index + x.size(k) : index) * own[k];
    }
    out.offsets.push_back(from);
  }
  return out;
}

}  // namespace

Result<void> run_gather_nd(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& at = call.in(1);
  RETORT_TRY(const Tuples tuples, tuples_of(call, x, at));
  Shape shape(at.shape().begin(), at.shape().end() - 1);
  shape.insert(shape.end(), x.shape().begin() + at.shape().back(), x.shape().end());
  RETORT_CHECK(call.make(0, x.type(), shape));
  const auto part = static_cast<std::size_t>(tuples.part) * x.element_size();
  if (part > 0)
    for (std::size_t i = 0; i < tuples.offsets.size(); ++i)
      std::memcpy(call.out<std::byte>(0) + i * part, x.bytes().data() + static_cast<std::size_t>(tuples.offsets[i]) * x.element_size(), part);
  return {};
}

Result<void> run_scatter_nd(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& at = call.in(1);
  const Tensor& updates = call.in(2);
  RETORT_TRY(const Tuples tuples, tuples_of(call, x, at));
  if (updates.elements() != tuples.part * static_cast<std::int64_t>(tuples.offsets.size()))
    return bad_input(std::to_string(tuples.part * static_cast<std::int64_t>(tuples.offsets.size())) + " updates", shape_text(updates.shape()));
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  const std::size_t width = x.element_size(), part = static_cast<std::size_t>(tuples.part) * width;
  if (!x.bytes().empty()) std::memcpy(call.out<std::byte>(0), x.bytes().data(), x.bytes().size());
  if (part > 0)
    for (std::size_t i = 0; i < tuples.offsets.size(); ++i)
      std::memcpy(call.out<std::byte>(0) + static_cast<std::size_t>(tuples.offsets[i]) * width, updates.bytes().data() + i * part, part);
  return {};
}

namespace {

template <bool kLargest>
Result<void> arg_best(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", 0), x.rank()));
  const bool last = call.attributes.whole("select_last_index", 0) != 0;
  const AroundAxis whole = around(x.shape(), axis);
  if (whole.size == 0) return bad_input("values to choose from", shape_text(x.shape()));
  Shape shape = x.shape();
  if (call.attributes.whole("keepdims", 1) != 0) shape[axis] = 1;
  else shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  RETORT_CHECK(call.make(0, ElementType::kInt64, shape));
  with_type(x.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    for_each(call.device, whole.outer * whole.inner, whole.size, [&](std::int64_t i) {
      const T* from = x.data<T>() + i / whole.inner * whole.size * whole.inner + i % whole.inner;
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < whole.size; ++k) {
        const T value = from[k * whole.inner], top = from[best * whole.inner];
        if (kLargest ? value > top : value < top) best = k;
        else if (last && value == top) best = k;
      }
      call.out<std::int64_t>(0)[i] = best;
    });
  });
  return {};
}

}  // namespace

Result<void> run_arg_max(const Call& call) { return arg_best<true>(call); }
Result<void> run_arg_min(const Call& call) { return arg_best<false>(call); }

Result<void> run_top_k(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", -1), x.rank()));
  const auto numbers = call.numbers(1);
  const std::int64_t k = call.opset < 10 ? call.attributes.whole("k", 0) : numbers.size() == 1 ? numbers[0] : -1;
  const AroundAxis whole = around(x.shape(), axis);
  if (k < 0 || k > whole.size) return bad_input("k of at most " + std::to_string(whole.size), std::to_string(k));
  const bool largest = call.attributes.whole("largest", 1) != 0;
  Shape shape = x.shape();
  shape[axis] = k;
  RETORT_CHECK(call.make(0, x.type(), shape));
  RETORT_CHECK(call.make(1, ElementType::kInt64, shape));
  with_type(x.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    for_each(call.device, whole.outer * whole.inner, whole.size * 8, [&](std::int64_t i) {
      const T* from = x.data<T>() + i / whole.inner * whole.size * whole.inner + i % whole.inner;
      std::vector<std::int64_t> order(static_cast<std::size_t>(whole.size));
      std::iota(order.begin(), order.end(), 0);
      // Equal values by index; NaN first, as the largest, so that the order stays strict.
      const auto before = [&](std::int64_t a, std::int64_t b) {
        const T p = from[a * whole.inner], q = from[b * whole.inner];
        if constexpr (std::is_floating_point_v<T>) {
          if (std::isnan(p) || std::isnan(q)) return std::isnan(p) && std::isnan(q) ? a < b : std::isnan(p) == largest;
        }
        return p == q ? a < b : (p > q) == largest;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t to = (i / whole.inner * k + j) * whole.inner + i % whole.inner;
        call.out<T>(0)[to] = from[order[static_cast<std::size_t>(j)] * whole.inner];
        call.out<std::int64_t>(1)[to] = order[static_cast<std::size_t>(j)];
      }
    });
  });
  return {};
}

Result<void> run_non_zero(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<std::int64_t> found;
  const std::size_t width = x.element_size();
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    bool zero = true;
    with_type(x.type(), Types<float, double>(), [&](auto type) { zero = x.data<decltype(type)>()[i] == 0; });   // -0 is 0
    if (x.type() != ElementType::kFloat && x.type() != ElementType::kDouble)
      for (std::size_t b = 0; b < width; ++b) zero = zero && x.bytes()[static_cast<std::size_t>(i) * width + b] == std::byte{0};
    if (!zero) found.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(found.size()), rank = static_cast<std::int64_t>(x.rank());
  RETORT_CHECK(call.make(0, ElementType::kInt64, {rank, count}));
  const Shape own = strides_of(x.shape());
  for (std::int64_t d = 0; d < rank; ++d)
    for (std::int64_t i = 0; i < count; ++i)
      call.out<std::int64_t>(0)[d * count + i] =
          found[static_cast<std::size_t>(i)] / own[static_cast<std::size_t>(d)] % x.size(static_cast<std::size_t>(d));
  return {};
}

Result<void> run_cum_sum(const Call& call) {
  const Tensor& x = call.in(0);
  const auto numbers = call.numbers(1);
  if (numbers.size() != 1) return bad_input("one axis", std::to_string(numbers.size()));
  RETORT_TRY(const std::size_t axis, axis_of(numbers[0], x.rank()));
  const bool exclusive = call.attributes.whole("exclusive", 0) != 0, reverse = call.attributes.whole("reverse", 0) != 0;
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  const AroundAxis whole = around(x.shape(), axis);
  with_type(x.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < whole.outer * whole.inner; ++i) {
      const std::int64_t base = i / whole.inner * whole.size * whole.inner + i % whole.inner;
      T sum{};
      for (std::int64_t k = 0; k < whole.size; ++k) {
        const std::int64_t at = base + (reverse ? whole.size - 1 - k : k) * whole.inner;
        T next;
        if constexpr (std::is_integral_v<T>) next = static_cast<T>(static_cast<std::make_unsigned_t<T>>(sum) + static_cast<std::make_unsigned_t<T>>(x.data<T>()[at]));
        else next = sum + x.data<T>()[at];
        call.out<T>(0)[at] = exclusive ? sum : next;
        sum = next;
      }
    }
  });
  return {};
}

Result<void> run_trilu(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.rank() < 2) return bad_input("matrices", shape_text(x.shape()));
  const auto numbers = call.numbers(1);
  const std::int64_t k = std::clamp<std::int64_t>(numbers.empty() ? 0 : numbers[0], -(std::int64_t{1} << 50), std::int64_t{1} << 50);
  const bool upper = call.attributes.whole("upper", 1) != 0;
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  const std::int64_t rows = x.size(x.rank() - 2), columns = x.size(x.rank() - 1);
  const std::size_t width = x.element_size();
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const std::int64_t ahead = i % columns - i / columns % rows;
    std::byte* to = call.out<std::byte>(0) + static_cast<std::size_t>(i) * width;
    if (upper ? ahead >= k : ahead <= k) std::memcpy(to, x.bytes().data() + static_cast<std::size_t>(i) * width, width);
    else std::memset(to, 0, width);
  }
  return {};
}

namespace {

// For each place of a padded axis the place that it shows; -1: the constant.
Result<std::vector<std::int64_t>> shown(std::string_view mode, std::int64_t before, std::int64_t size, std::int64_t out) {
  std::vector<std::int64_t> map(static_cast<std::size_t>(out));
  if (size == 0 && out > 0 && mode != "constant") return bad_input("values to repeat", "none");
  if (mode == "reflect" && size > 0 && (before >= std::max<std::int64_t>(size, 2) || out - size - before >= std::max<std::int64_t>(size, 2)))
    return bad_input("reflected pads smaller than the axis of " + std::to_string(size), std::to_string(std::max(before, out - size - before)));
  for (std::int64_t i = 0; i < out; ++i) {
    std::int64_t at = i - before;
    if (mode == "constant") at = at < 0 || at >= size ? -1 : at;
    else if (mode == "edge") at = std::clamp<std::int64_t>(at, 0, size - 1);
    else if (mode == "wrap") at = (at % size + size) % size;
    else if (size == 1) at = 0;
    else at = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
    map[static_cast<std::size_t>(i)] = at;
  }
  return map;
}

}  // namespace

Result<void> run_pad(const Call& call) {
  const Tensor& x = call.in(0);
  const bool old = call.opset < 11;
  const auto pads = old ? call.attributes.wholes("pads") : call.numbers(1);
  auto axes = call.numbers(3);
  if (axes.empty()) for (std::size_t i = 0; i < x.rank(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (pads.size() != 2 * axes.size()) return bad_input(std::to_string(2 * axes.size()) + " pads", std::to_string(pads.size()));
  const std::string_view mode = call.attributes.text("mode", "constant");
  Shape shape = x.shape(), before(x.rank(), 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    RETORT_TRY(const std::size_t axis, axis_of(axes[i], x.rank()));
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    const std::int64_t first = pads[i], last = pads[i + axes.size()];
    if (std::abs(std::max(first, -kMost)) >= kMost || std::abs(std::max(last, -kMost)) >= kMost || x.size(axis) + first + last < 0 || first < -x.size(axis) || last < -x.size(axis))
      return bad_input("pads", shape_text(pads));
    before[axis] = first;
    shape[axis] = x.size(axis) + first + last;
  }
  RETORT_CHECK(call.make(0, x.type(), shape));
  std::vector<std::vector<std::int64_t>> maps;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    RETORT_TRY(auto map, shown(mode, before[i], x.size(i), shape[i]));
    maps.push_back(std::move(map));
  }
  const std::size_t width = x.element_size();
  std::array<std::byte, 8> constant{};
  if (const Tensor* value = call.optional(2); value && !old) {
    if (value->elements() != 1) return bad_input("one value", shape_text(value->shape()));
    std::memcpy(constant.data(), value->bytes().data(), width);
  } else if (const float real = call.attributes.real("value", 0); old && real != 0) {
    if (x.type() != ElementType::kFloat) return bad_input("FLOAT", std::string(traits(x.type()).name));
    std::memcpy(constant.data(), &real, sizeof(real));
  }
  if (call.outputs[0].elements() == 0) return {};
  const Shape own = strides_of(x.shape());
  const std::int64_t inner = x.rank() == 0 ? 1 : shape.back();
  for_each(call.device, call.outputs[0].elements() / inner, inner, [&](std::int64_t row) {
    std::int64_t from = 0, rest = row;
    for (std::size_t i = x.rank() - (x.rank() > 0); i-- > 0; rest /= shape[i]) {
      const std::int64_t at = maps[i][static_cast<std::size_t>(rest % shape[i])];
      from = at < 0 || from < 0 ? -1 : from + at * own[i];
    }
    std::byte* out = call.out<std::byte>(0) + static_cast<std::size_t>(row * inner) * width;
    for (std::int64_t i = 0; i < inner; ++i, out += width) {
      const std::int64_t at = x.rank() == 0 ? 0 : maps.back()[static_cast<std::size_t>(i)];
      std::memcpy(out, from < 0 || at < 0 ? constant.data() : x.bytes().data() + static_cast<std::size_t>(from + at) * width, width);
    }
  });
  return {};
}

}  // namespace retort::onnx
