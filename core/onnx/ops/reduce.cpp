// Reductions, Softmax and the normalisations. Sums of f32 run in f64.
#include <cmath>
#include <limits>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::onnx {
namespace {

// The axes that stay and those that go, as walks over the input.
struct Reduction {
  Shape out;             // as the node gives it
  Walk<1> kept, gone;
  std::int64_t kept_elements = 1, gone_elements = 1;
};

Result<Reduction> plan_reduction(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<std::int64_t> list = call.optional(1) ? call.numbers(1) : call.attributes.wholes("axes");
  const bool none = list.empty() && call.attributes.whole("noop_with_empty_axes", 0) != 0;
  std::vector<bool> axes(x.rank(), list.empty() && !none);
  for (const std::int64_t axis : list) {
    RETORT_TRY(const std::size_t at, axis_of(axis, x.rank()));
    axes[at] = true;
  }
  const bool keep = call.attributes.whole("keepdims", 1) != 0;
  const Shape own = strides_of(x.shape());
  Reduction plan;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    (axes[i] ? plan.gone : plan.kept).add(x.size(i), {own[i]});
    (axes[i] ? plan.gone_elements : plan.kept_elements) *= x.size(i);
    if (!axes[i]) plan.out.push_back(x.size(i));
    else if (keep) plan.out.push_back(1);
  }
  return plan;
}

// F: start, add(sum, x), end(sum, count). Sums are double for floats, the type itself (wrapping) for whole numbers.
template <class F>
Result<void> reduce(const Call& call, const F& f) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const Reduction plan, plan_reduction(call));
  RETORT_CHECK(call.make(0, x.type(), plan.out));
  if (plan.kept_elements == 0) return {};
  if (plan.gone_elements == 0 && !f.empty_is_defined()) return bad_input("values to reduce", shape_text(x.shape()));
  const std::int64_t rows = plan.gone.rows(), n = plan.gone.inner(), step = plan.gone.step()[0];
  with_type(x.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
    const std::int64_t inner = plan.kept.inner(), by = plan.kept.step()[0];
    for_each(call.device, plan.kept_elements, plan.gone_elements, [&](std::int64_t i) {
      const T* from = x.data<T>() + plan.kept.offsets(i / inner)[0] + i % inner * by;
      Sum sum = f.template start<Sum>();
      if (plan.gone_elements > 0)
        for (std::int64_t r = 0; r < rows; ++r) {
          const T* row = from + plan.gone.offsets(r)[0];
          for (std::int64_t k = 0; k < n; ++k) sum = f.add(sum, static_cast<Sum>(row[k * step]));
        }
      call.out<T>(0)[i] = static_cast<T>(f.end(sum, plan.gone_elements));
    });
  });
  return {};
}

template <class T>
T plus(T a, T b) noexcept {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) + static_cast<std::make_unsigned_t<T>>(b));
  else return a + b;
}
template <class T>
T times(T a, T b) noexcept {
  if constexpr (std::is_integral_v<T>) return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) * static_cast<std::make_unsigned_t<T>>(b));
  else return a * b;
}

struct Total {
  static bool empty_is_defined() { return true; }
  template <class T> static T start() { return T{0}; }
  template <class T> static T add(T sum, T x) noexcept { return plus(sum, x); }
  template <class T> static T end(T sum, std::int64_t) noexcept { return sum; }
};
struct Average : Total {
  static bool empty_is_defined() { return false; }
  template <class T> static T end(T sum, std::int64_t n) noexcept { return static_cast<T>(static_cast<double>(sum) / static_cast<double>(n)); }
};
struct SumSquares : Total { template <class T> static T add(T sum, T x) noexcept { return plus(sum, times(x, x)); } };
struct Norm1 : Total { template <class T> static T add(T sum, T x) noexcept { return plus(sum, x < 0 ? times(x, static_cast<T>(-1)) : x); } };
struct Norm2 : SumSquares { template <class T> static T end(T sum, std::int64_t) noexcept { return static_cast<T>(std::sqrt(static_cast<double>(sum))); } };
struct Product : Total {
  template <class T> static T start() { return T{1}; }
  template <class T> static T add(T sum, T x) noexcept { return times(sum, x); }
};
struct Largest {
  static bool empty_is_defined() { return false; }
  template <class T> static T start() { return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest(); }
  template <class T> static T add(T sum, T x) noexcept { return x > sum || x != x ? x : sum; }
  template <class T> static T end(T sum, std::int64_t) noexcept { return sum; }
};
struct Smallest : Largest {
  template <class T> static T start() { return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max(); }
  template <class T> static T add(T sum, T x) noexcept { return x < sum || x != x ? x : sum; }
};
struct LogSum : Total { template <class T> static T end(T sum, std::int64_t) noexcept { return static_cast<T>(std::log(static_cast<double>(sum))); } };

}  // namespace

Result<void> run_reduce_sum(const Call& call) { return reduce(call, Total()); }
Result<void> run_reduce_mean(const Call& call) { return reduce(call, Average()); }
Result<void> run_reduce_max(const Call& call) { return reduce(call, Largest()); }
Result<void> run_reduce_min(const Call& call) { return reduce(call, Smallest()); }
Result<void> run_reduce_prod(const Call& call) { return reduce(call, Product()); }
Result<void> run_reduce_l1(const Call& call) { return reduce(call, Norm1()); }
Result<void> run_reduce_l2(const Call& call) { return reduce(call, Norm2()); }
Result<void> run_reduce_sum_square(const Call& call) { return reduce(call, SumSquares()); }
Result<void> run_reduce_log_sum(const Call& call) { return reduce(call, LogSum()); }

namespace {

// Before operator set 13 all axes from `axis` on are one; since then it is that axis alone.
Result<AroundAxis> softmax_axis(const Call& call) {
  const Tensor& x = call.in(0);
  const bool old = call.opset < 13;
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", old ? 1 : -1), std::max<std::size_t>(x.rank(), 1)));
  if (x.rank() == 0) return AroundAxis{};
  AroundAxis whole = around(x.shape(), axis);
  if (old) {
    whole.size *= whole.inner;
    whole.inner = 1;
  }
  return whole;
}

template <bool kLog>
Result<void> softmax(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const AroundAxis whole, softmax_axis(call));
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  const kernels::TrainOps* const kernel = kernels::train_ops();
  if (!kLog && whole.inner == 1 && x.type() == ElementType::kFloat && !call.device.reference() && kernel) {
    for_each(call.device, whole.size == 0 ? 0 : whole.outer, whole.size * 4, [&](std::int64_t row) {
      kernel->softmax_row(x.data<float>() + row * whole.size, 1.0f, call.out<float>(0) + row * whole.size, static_cast<std::size_t>(whole.size));
    });
    return {};
  }
  with_type(x.type(), Types<float, double>(), [&](auto zero) {
    using T = decltype(zero);
    for_each(call.device, whole.size == 0 ? 0 : whole.outer * whole.inner, whole.size * 8, [&](std::int64_t i) {
      const std::int64_t base = i / whole.inner * whole.size * whole.inner + i % whole.inner;
      const T* from = x.data<T>() + base;
      T* to = call.out<T>(0) + base;
      T top = from[0];
      for (std::int64_t k = 1; k < whole.size; ++k) top = std::max(top, from[k * whole.inner]);
      double sum = 0;
      for (std::int64_t k = 0; k < whole.size; ++k) {
        const T e = std::exp(from[k * whole.inner] - top);
        if (!kLog) to[k * whole.inner] = e;
        sum += static_cast<double>(e);
      }
      const T scale = static_cast<T>(1 / sum), shift = static_cast<T>(std::log(sum));
      for (std::int64_t k = 0; k < whole.size; ++k) {
        if (kLog) to[k * whole.inner] = from[k * whole.inner] - top - shift;
        else to[k * whole.inner] *= scale;
      }
    });
  });
  return {};
}

}  // namespace

Result<void> run_softmax(const Call& call) { return softmax<false>(call); }
Result<void> run_log_softmax(const Call& call) { return softmax<true>(call); }

Result<void> run_layer_normalization(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_TRY(const std::size_t axis, axis_of(call.attributes.whole("axis", -1), x.rank()));
  const std::int64_t n = count_elements(std::span(x.shape()).subspan(axis)).value_or(0), rows = n == 0 ? 0 : x.elements() / n;
  const Tensor* bias = call.optional(2);
  if (call.in(1).elements() != n || (bias && bias->elements() != n)) return bad_input("weights of " + std::to_string(n) + " values", shape_text(call.in(1).shape()));
  const float epsilon = call.attributes.real("epsilon", 1e-5f);
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  for_each(call.device, rows, n * 4, [&](std::int64_t row) {
    const float* from = x.data<float>() + row * n;
    float* to = call.out<float>(0) + row * n;
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(from[i]);
    const double mean = sum / static_cast<double>(n);
    for (std::int64_t i = 0; i < n; ++i) squares += (static_cast<double>(from[i]) - mean) * (static_cast<double>(from[i]) - mean);
    const auto scale = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon)));
    const auto middle = static_cast<float>(mean);
    for (std::int64_t i = 0; i < n; ++i) to[i] = (from[i] - middle) * scale * call.in(1).data<float>()[i] + (bias ? bias->data<float>()[i] : 0.0f);
  });
  return {};
}

Result<void> run_batch_normalization(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.rank() < 1) return bad_input("[batch, channels, …]", shape_text(x.shape()));
  const std::int64_t channels = x.rank() > 1 ? x.size(1) : 1;
  for (std::size_t i = 1; i < 5; ++i)
    if (call.in(i).elements() != channels) return bad_input(std::to_string(channels) + " values", shape_text(call.in(i).shape()));
  const float epsilon = call.attributes.real("epsilon", 1e-5f);
  const bool last = x.is_channels_last();
  RETORT_CHECK(call.make(0, x.type(), last ? x.as_lying().shape() : x.shape()));
  if (last) call.outputs[0] = Tensor::channels_last(call.outputs[0]);
  if (x.elements() == 0) return {};
  std::vector<float> scales, shifts;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double scale = static_cast<double>(call.in(1).data<float>()[c]) / std::sqrt(static_cast<double>(call.in(4).data<float>()[c]) + static_cast<double>(epsilon));
    scales.push_back(static_cast<float>(scale));
    shifts.push_back(static_cast<float>(static_cast<double>(call.in(2).data<float>()[c]) - static_cast<double>(call.in(3).data<float>()[c]) * scale));
  }
  if (last) {
    for_each(call.device, x.elements() / channels, channels, [&](std::int64_t point) {
      const float* const from = x.data<float>() + point * channels;
      float* const to = call.out<float>(0) + point * channels;
      for (std::int64_t c = 0; c < channels; ++c) to[c] = from[c] * scales[static_cast<std::size_t>(c)] + shifts[static_cast<std::size_t>(c)];
    });
    return {};
  }
  const std::int64_t inner = x.elements() / (x.size(0) * channels);
  for_each(call.device, x.size(0) * channels, inner, [&](std::int64_t i) {
    const float a = scales[static_cast<std::size_t>(i % channels)], b = shifts[static_cast<std::size_t>(i % channels)];
    const float* from = x.data<float>() + i * inner;
    float* to = call.out<float>(0) + i * inner;
    for (std::int64_t k = 0; k < inner; ++k) to[k] = from[k] * a + b;
  });
  return {};
}

Result<void> run_instance_normalization(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.rank() < 3) return bad_input("[batch, channels, …]", shape_text(x.shape()));
  const std::int64_t channels = x.size(1);
  if (call.in(1).elements() != channels || call.in(2).elements() != channels) return bad_input(std::to_string(channels) + " values", shape_text(call.in(1).shape()));
  const float epsilon = call.attributes.real("epsilon", 1e-5f);
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  if (x.elements() == 0) return {};
  const std::int64_t n = x.elements() / (x.size(0) * channels);
  for_each(call.device, x.size(0) * channels, n * 3, [&](std::int64_t i) {
    const float* from = x.data<float>() + i * n;
    float* to = call.out<float>(0) + i * n;
    double sum = 0, squares = 0;
    for (std::int64_t k = 0; k < n; ++k) sum += static_cast<double>(from[k]);
    const double mean = sum / static_cast<double>(n);
    for (std::int64_t k = 0; k < n; ++k) squares += (static_cast<double>(from[k]) - mean) * (static_cast<double>(from[k]) - mean);
    const double scale = static_cast<double>(call.in(1).data<float>()[i % channels]) / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon));
    for (std::int64_t k = 0; k < n; ++k)
      to[k] = static_cast<float>((static_cast<double>(from[k]) - mean) * scale) + call.in(2).data<float>()[i % channels];
  });
  return {};
}

}  // namespace retort::onnx
