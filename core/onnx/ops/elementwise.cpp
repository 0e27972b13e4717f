// Operators that treat each element by itself: arithmetic, comparisons, logic, activation functions, Cast, Where, Clip.
#include <cmath>
#include <limits>

#include "core/onnx/ops/loops.h"
#include "core/onnx/ops/ops.h"
#include "kernels/api/half.h"

namespace retort::onnx {
namespace {

// Whole numbers wrap, as processors do: overflow in a hostile graph must not be undefined here.
template <class T, class F>
T wrapped(T a, T b, const F& f) noexcept {
  using U = std::make_unsigned_t<T>;
  return static_cast<T>(f(static_cast<U>(a), static_cast<U>(b)));
}

// erf(x) / x as a quotient of polynomials in x², fitted to 1.6e-7 on [0, 4]; 4e-7 off at most in f32. Without a branch, so that
// it runs in vectors.
float fast_erf(float x) noexcept {
  const float c = std::clamp(x, -4.0f, 4.0f), t = c * c;
  const float p = (((((1.9183588e-08f * t - 1.9497409e-06f) * t + 1.4806741e-04f) * t + 4.0158392e-03f) * t + 5.1604513e-02f) * t + 2.0766382e-01f) * t + 1.1283791e+00f;
  const float q = (((1.0277455e-03f * t + 1.5008653e-02f) * t + 1.1820082e-01f) * t + 5.1736844e-01f) * t + 1.0f;
  return std::clamp(c * p / q, -1.0f, 1.0f);
}

template <class T, class R, class F>
void loop2(const Call& call, const Tensor& a, const Tensor& b, R* out, const Shape& shape, const F& f) {
  const Walk<2> walk = walk_of<2>(shape, {&a.shape(), &b.shape()});
  const T* const x = a.data<T>();
  const T* const y = b.data<T>();
  walk.run(call.device, [&](std::int64_t at, const Walk<2>::Strides& from, std::int64_t n) {
    const T* p = x + from[0];
    const T* q = y + from[1];
    R* to = out + at;
    const auto [sp, sq] = walk.step();
    // Loops of their own for what nets spend their time on.
    if constexpr (std::is_same_v<T, float> && std::is_same_v<R, float>) {
      if (sp == 1 && sq == 1) { for (std::int64_t i = 0; i < n; ++i) to[i] = f(p[i], q[i]); return; }
      if (sp == 1 && sq == 0) { for (std::int64_t i = 0; i < n; ++i) to[i] = f(p[i], *q); return; }
      if (sp == 0 && sq == 1) { for (std::int64_t i = 0; i < n; ++i) to[i] = f(*p, q[i]); return; }
    }
    for (std::int64_t i = 0; i < n; ++i) to[i] = f(p[i * sp], q[i * sq]);
  });
}

struct Add { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_integral_v<T>) return wrapped(a, b, [](auto x, auto y) { return x + y; }); else return a + b; } };
struct Sub { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_integral_v<T>) return wrapped(a, b, [](auto x, auto y) { return x - y; }); else return a - b; } };
struct Mul { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_integral_v<T>) return wrapped(a, b, [](auto x, auto y) { return x * y; }); else return a * b; } };
// Checked before: no whole number is divided by 0.
struct Div { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_integral_v<T>) return b == -1 ? Sub()(T{0}, a) : a / b; else return a / b; } };
struct Max { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_floating_point_v<T>) { if (std::isnan(a)) return a; if (std::isnan(b)) return b; } return a < b ? b : a; } };
struct Min { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_floating_point_v<T>) { if (std::isnan(a)) return a; if (std::isnan(b)) return b; } return b < a ? b : a; } };
struct PRelu { template <class T> T operator()(T a, T slope) const noexcept { return a < T{0} ? Mul()(a, slope) : a; } };
struct Mod {   // sign of the divisor
  template <class T> T operator()(T a, T b) const noexcept {
    if constexpr (std::is_integral_v<T>) { if (b == -1) return 0; const T r = a % b; return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
    else { const T r = std::fmod(a, b); return r != 0 && (r < 0) != (b < 0) ? r + b : r; }
  }
};
struct Fmod { template <class T> T operator()(T a, T b) const noexcept { if constexpr (std::is_integral_v<T>) return b == -1 ? T{0} : a % b; else return std::fmod(a, b); } };

template <class F>
Result<void> binary(const Call& call, const F& f) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  RETORT_TRY(Shape shape, broadcast_shape(a.shape(), b.shape()));
  RETORT_CHECK(call.make(0, a.type(), shape));
  with_type(a.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    loop2<T>(call, a, b, call.out<T>(0), shape, f);
  });
  return {};
}

bool has_zero(const Tensor& tensor) {
  bool found = false;
  with_type(tensor.type(), Types<std::int64_t, std::int32_t>(), [&](auto zero) {
    const auto values = tensor.values<decltype(zero)>();
    found = std::find(values.begin(), values.end(), zero) != values.end();
  });
  return found;
}

// n-ary operators are folded from the left.
template <class F>
Result<Tensor> folded(const Call& call, const F& f) {
  Tensor sum = call.in(0);
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    if (call.optional(i) == nullptr) return bad_input("a value for each input", "none");
    RETORT_TRY(Shape shape, broadcast_shape(sum.shape(), call.in(i).shape()));
    RETORT_TRY(Tensor next, Tensor::make(call.memory, sum.type(), shape));
    with_type(sum.type(), Numbers(), [&](auto zero) {
      using T = decltype(zero);
      loop2<T>(call, sum, call.in(i), next.write<T>(), shape, f);
    });
    sum = std::move(next);
  }
  return sum;
}

template <class F>
Result<void> compare(const Call& call, const F& f) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  RETORT_TRY(Shape shape, broadcast_shape(a.shape(), b.shape()));
  RETORT_CHECK(call.make(0, ElementType::kBool, shape));
  with_type(a.type(), Types<float, double, std::int64_t, std::int32_t, std::int8_t, std::uint8_t>(), [&](auto zero) {
    loop2<decltype(zero)>(call, a, b, call.out<std::uint8_t>(0), shape, [&](auto x, auto y) -> std::uint8_t { return f(x, y); });
  });
  if (a.type() == ElementType::kBool)   // any byte other than 0 is true
    loop2<std::uint8_t>(call, a, b, call.out<std::uint8_t>(0), shape, [&](auto x, auto y) -> std::uint8_t { return f(x != 0, y != 0); });
  return {};
}

template <class Set, class F>
Result<void> unary(const Call& call, const F& f) {
  const Tensor& x = call.in(0);
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  with_type(x.type(), Set(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = call.out<T>(0);
    for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
      for (std::int64_t i = first; i < first + n; ++i) to[i] = f(from[i]);
    });
  });
  return {};
}
using Floats = Types<float, double>;

template <class To, class From>
To cast_value(From x) noexcept {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Out of range is undefined in C++ and in ONNX: the nearest bound; NaN gives 0.
    constexpr double low = static_cast<double>(std::numeric_limits<To>::min()), high = static_cast<double>(std::numeric_limits<To>::max());
    const double value = static_cast<double>(x);
    if (std::isnan(value)) return To{0};
    return value <= low ? std::numeric_limits<To>::min() : value >= high ? std::numeric_limits<To>::max() : static_cast<To>(value);
  } else {
    return static_cast<To>(x);
  }
}

using AllTypes = Types<float, double, std::int64_t, std::int32_t, std::int8_t, std::uint8_t, bool>;

}  // namespace

Result<void> run_add(const Call& call) { return binary(call, Add()); }
Result<void> run_sub(const Call& call) { return binary(call, Sub()); }
Result<void> run_mul(const Call& call) { return binary(call, Mul()); }
Result<void> run_div(const Call& call) {
  if (has_zero(call.in(1))) return bad_input("whole divisors other than 0", "0");
  return binary(call, Div());
}
Result<void> run_mod(const Call& call) {
  if (has_zero(call.in(1))) return bad_input("whole divisors other than 0", "0");
  return call.attributes.whole("fmod", 0) != 0 ? binary(call, Fmod()) : binary(call, Mod());
}
Result<void> run_prelu(const Call& call) { return binary(call, PRelu()); }

Result<void> run_pow(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  RETORT_TRY(Shape shape, broadcast_shape(a.shape(), b.shape()));
  RETORT_CHECK(call.make(0, a.type(), shape));
  const Walk<2> walk = walk_of<2>(shape, {&a.shape(), &b.shape()});
  with_type(a.type(), Numbers(), [&](auto x) {
    with_type(b.type(), Numbers(), [&](auto y) {
      using T = decltype(x);
      using U = decltype(y);
      walk.run(call.device, [&](std::int64_t at, const Walk<2>::Strides& from, std::int64_t n) {
        const T* p = a.data<T>() + from[0];
        const U* q = b.data<U>() + from[1];
        const auto [sp, sq] = walk.step();
        T* out = call.out<T>(0) + at;
        const bool square = sq == 0 && *q == U{2};   // what norms ask for, and exact
        for (std::int64_t i = 0; i < n; ++i) {
          if constexpr (std::is_same_v<T, float> && std::is_same_v<U, float>) out[i] = square ? p[i * sp] * p[i * sp] : std::pow(p[i * sp], q[i * sq]);
          else out[i] = cast_value<T>(std::pow(static_cast<double>(p[i * sp]), static_cast<double>(q[i * sq])));
        }
      });
    });
  });
  return {};
}

Result<void> run_sum(const Call& call) {
  RETORT_TRY(call.outputs[0], folded(call, Add()));
  return {};
}
Result<void> run_max(const Call& call) {
  RETORT_TRY(call.outputs[0], folded(call, Max()));
  return {};
}
Result<void> run_min(const Call& call) {
  RETORT_TRY(call.outputs[0], folded(call, Min()));
  return {};
}
Result<void> run_mean(const Call& call) {
  RETORT_TRY(Tensor sum, folded(call, Add()));
  RETORT_CHECK(call.make(0, sum.type(), sum.shape()));
  const auto count = static_cast<double>(call.inputs.size());
  with_type(sum.type(), Floats(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < sum.elements(); ++i) call.out<T>(0)[i] = sum.data<T>()[i] / static_cast<T>(count);
  });
  return {};
}

Result<void> run_equal(const Call& call) { return compare(call, [](auto a, auto b) { return a == b; }); }
Result<void> run_greater(const Call& call) { return compare(call, [](auto a, auto b) { return a > b; }); }
Result<void> run_greater_or_equal(const Call& call) { return compare(call, [](auto a, auto b) { return a >= b; }); }
Result<void> run_less(const Call& call) { return compare(call, [](auto a, auto b) { return a < b; }); }
Result<void> run_less_or_equal(const Call& call) { return compare(call, [](auto a, auto b) { return a <= b; }); }
Result<void> run_and(const Call& call) { return compare(call, [](auto a, auto b) { return a && b; }); }
Result<void> run_or(const Call& call) { return compare(call, [](auto a, auto b) { return a || b; }); }
Result<void> run_xor(const Call& call) { return compare(call, [](auto a, auto b) { return a != b; }); }
Result<void> run_not(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_CHECK(call.make(0, ElementType::kBool, x.shape()));
  for (std::int64_t i = 0; i < x.elements(); ++i) call.out<std::uint8_t>(0)[i] = x.data<std::uint8_t>()[i] == 0;
  return {};
}

Result<void> run_neg(const Call& call) { return unary<Numbers>(call, [](auto x) { return Sub()(decltype(x){0}, x); }); }
Result<void> run_abs(const Call& call) { return unary<Numbers>(call, [](auto x) { return x < 0 ? Sub()(decltype(x){0}, x) : x; }); }
Result<void> run_sign(const Call& call) { return unary<Numbers>(call, [](auto x) { return static_cast<decltype(x)>((x > 0) - (x < 0)); }); }
Result<void> run_relu(const Call& call) { return unary<Numbers>(call, [](auto x) { return x < 0 ? decltype(x){0} : x; }); }
Result<void> run_sqrt(const Call& call) { return unary<Floats>(call, [](auto x) { return std::sqrt(x); }); }
Result<void> run_exp(const Call& call) { return unary<Floats>(call, [](auto x) { return std::exp(x); }); }
Result<void> run_log(const Call& call) { return unary<Floats>(call, [](auto x) { return std::log(x); }); }
Result<void> run_erf(const Call& call) {
  if (call.in(0).type() != ElementType::kFloat || call.device.reference()) return unary<Floats>(call, [](auto x) { return std::erf(x); });
  return unary<Floats>(call, [](auto x) { return static_cast<decltype(x)>(fast_erf(static_cast<float>(x))); });
}
Result<void> run_tanh(const Call& call) { return unary<Floats>(call, [](auto x) { return std::tanh(x); }); }
Result<void> run_sin(const Call& call) { return unary<Floats>(call, [](auto x) { return std::sin(x); }); }
Result<void> run_cos(const Call& call) { return unary<Floats>(call, [](auto x) { return std::cos(x); }); }
Result<void> run_floor(const Call& call) { return unary<Floats>(call, [](auto x) { return std::floor(x); }); }
Result<void> run_ceil(const Call& call) { return unary<Floats>(call, [](auto x) { return std::ceil(x); }); }
Result<void> run_round(const Call& call) { return unary<Floats>(call, [](auto x) { return std::nearbyint(x); }); }   // half to even
Result<void> run_reciprocal(const Call& call) { return unary<Floats>(call, [](auto x) { return 1 / x; }); }
Result<void> run_sigmoid(const Call& call) { return unary<Floats>(call, [](auto x) { return 1 / (1 + std::exp(-x)); }); }
Result<void> run_softplus(const Call& call) { return unary<Floats>(call, [](auto x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }); }
Result<void> run_softsign(const Call& call) { return unary<Floats>(call, [](auto x) { return x / (1 + std::abs(x)); }); }
Result<void> run_hard_swish(const Call& call) {
  return unary<Floats>(call, [](auto x) { using T = decltype(x); return x * std::clamp(x / T{6} + T{0.5}, T{0}, T{1}); });
}
Result<void> run_mish(const Call& call) {
  return unary<Floats>(call, [](auto x) { return x * std::tanh(x > 20 ? x : std::log1p(std::exp(x))); });
}
Result<void> run_gelu(const Call& call) {
  if (call.attributes.text("approximate", "none") == "tanh")
    return unary<Floats>(call, [](auto x) {
      using T = decltype(x);
      return T{0.5} * x * (1 + std::tanh(static_cast<T>(0.7978845608028654) * (x + static_cast<T>(0.044715) * x * x * x)));
    });
  if (call.in(0).type() == ElementType::kFloat && !call.device.reference())
    return unary<Floats>(call, [](auto x) { using T = decltype(x); return T{0.5} * x * static_cast<T>(1 + fast_erf(static_cast<float>(x) * 0.70710678f)); });
  return unary<Floats>(call, [](auto x) { using T = decltype(x); return T{0.5} * x * (1 + std::erf(x * static_cast<T>(0.7071067811865476))); });
}
Result<void> run_leaky_relu(const Call& call) {
  const float alpha = call.attributes.real("alpha", 0.01f);
  return unary<Floats>(call, [alpha](auto x) { return x < 0 ? x * static_cast<decltype(x)>(alpha) : x; });
}
Result<void> run_elu(const Call& call) {
  const float alpha = call.attributes.real("alpha", 1.0f);
  return unary<Floats>(call, [alpha](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x; });
}
Result<void> run_selu(const Call& call) {
  const float alpha = call.attributes.real("alpha", 1.67326319217681884765625f), gamma = call.attributes.real("gamma", 1.05070102214813232421875f);
  return unary<Floats>(call, [=](auto x) { using T = decltype(x); return static_cast<T>(gamma) * (x > 0 ? x : static_cast<T>(alpha) * std::expm1(x)); });
}
Result<void> run_hard_sigmoid(const Call& call) {
  const float alpha = call.attributes.real("alpha", 0.2f), beta = call.attributes.real("beta", 0.5f);
  return unary<Floats>(call, [=](auto x) { using T = decltype(x); return std::clamp(static_cast<T>(alpha) * x + static_cast<T>(beta), T{0}, T{1}); });
}

Result<void> run_clip(const Call& call) {
  const Tensor& x = call.in(0);
  for (std::size_t i = 1; i <= 2; ++i)
    if (const Tensor* bound = call.optional(i); bound && bound->elements() != 1) return bad_input("one bound", shape_text(bound->shape()));
  RETORT_CHECK(call.make(0, x.type(), x.shape()));
  with_type(x.type(), Numbers(), [&](auto zero) {
    using T = decltype(zero);
    T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
    if (call.opset < 11) {
      low = cast_value<T>(call.attributes.real("min", std::numeric_limits<float>::lowest()));
      high = cast_value<T>(call.attributes.real("max", std::numeric_limits<float>::max()));
    }
    if (const Tensor* bound = call.optional(1)) low = *bound->data<T>();
    if (const Tensor* bound = call.optional(2)) high = *bound->data<T>();
    T* out = call.out<T>(0);
    for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
      for (std::int64_t i = first; i < first + n; ++i) {
        const T value = x.data<T>()[i];
        const T above = value < low ? low : value;
        out[i] = high < above ? high : above;
      }
    });
  });
  return {};
}

namespace {

// f32 values that half precision can hold: rounded to it and back.
Result<void> cast_to_half(const Call& call, ElementType to) {
  const Tensor& x = call.in(0);
  RETORT_CHECK(call.make(0, ElementType::kFloat, x.shape()));
  with_type(x.type(), AllTypes(), [&](auto from) {
    using From = std::conditional_t<std::is_same_v<decltype(from), bool>, std::uint8_t, decltype(from)>;
    for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
      for (std::int64_t i = first; i < first + n; ++i) {
        const float value = cast_value<float>(x.data<From>()[i]);
        call.out<float>(0)[i] = to == ElementType::kFloat16 ? kernels::f16_to_f32(kernels::f32_to_f16(value)) : kernels::bf16_to_f32(kernels::f32_to_bf16(value));
      }
    });
  });
  return {};
}

}  // namespace

Result<void> run_cast(const Call& call) {
  const Tensor& x = call.in(0);
  const auto stated = static_cast<ElementType>(call.attributes.whole("to", 1)), to = held_type(stated);
  if (is_half(stated)) return cast_to_half(call, stated);
  if (to == x.type() && to != ElementType::kBool) {
    call.outputs[0] = x;
    return {};
  }
  RETORT_CHECK(call.make(0, to, x.shape()));
  with_type(x.type(), AllTypes(), [&](auto from) {
    with_type(to, AllTypes(), [&](auto wanted) {
      using From = std::conditional_t<std::is_same_v<decltype(from), bool>, std::uint8_t, decltype(from)>;
      using To = decltype(wanted);
      using Stored = std::conditional_t<std::is_same_v<To, bool>, std::uint8_t, To>;
      const bool truth = std::is_same_v<decltype(from), bool>;
      Stored* out = call.out<Stored>(0);
      for_tiles(call.device, x.elements(), [&](std::int64_t first, std::int64_t n) {
        for (std::int64_t i = first; i < first + n; ++i) {
          const From value = x.data<From>()[i];
          out[i] = static_cast<Stored>(cast_value<To>(truth ? static_cast<From>(value != From{0}) : value));
        }
      });
    });
  });
  return {};
}

Result<void> run_where(const Call& call) {
  const Tensor& condition = call.in(0);
  const std::array<const Shape*, 3> shapes = {&condition.shape(), &call.in(1).shape(), &call.in(2).shape()};
  RETORT_TRY(Shape shape, broadcast_shape(shapes));
  RETORT_CHECK(call.make(0, call.in(1).type(), shape));
  const Walk<3> walk = walk_of<3>(shape, shapes);
  with_type(call.in(1).type(), AllTypes(), [&](auto zero) {
    using T = std::conditional_t<std::is_same_v<decltype(zero), bool>, std::uint8_t, decltype(zero)>;
    walk.run(call.device, [&](std::int64_t at, const Walk<3>::Strides& from, std::int64_t n) {
      const auto step = walk.step();
      for (std::int64_t i = 0; i < n; ++i)
        call.out<T>(0)[at + i] = condition.data<std::uint8_t>()[from[0] + i * step[0]] ? call.in(1).data<T>()[from[1] + i * step[1]]
                                                                                   : call.in(2).data<T>()[from[2] + i * step[2]];
    });
  });
  return {};
}

Result<void> run_is_nan(const Call& call) {
  const Tensor& x = call.in(0);
  RETORT_CHECK(call.make(0, ElementType::kBool, x.shape()));
  with_type(x.type(), Floats(), [&](auto zero) {
    for (std::int64_t i = 0; i < x.elements(); ++i) call.out<std::uint8_t>(0)[i] = std::isnan(x.data<decltype(zero)>()[i]);
  });
  return {};
}

}  // namespace retort::onnx
