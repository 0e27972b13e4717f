// Every kernel of kernels/cuda against the CPU reference, through the functions that the plug-in itself calls. The cases
// run on whatever device this is linked with: the simulated one everywhere, a real one where there is one.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/launches.h"
#include "linear_fixture.h"

namespace retort::cuda::test {

using kernels::TensorType;

// Values in device memory.
template <class T>
class OnDevice {
 public:
  OnDevice(Stream& stream, const std::vector<T>& values) : stream_(stream), count_(values.size()) {
    ok_ = memory_.allocate(std::max<std::size_t>(1, values.size()) * sizeof(T), "a test") == RETORT_OK &&
          stream.copy_in(memory_.data(), values.data(), values.size() * sizeof(T)) == RETORT_OK && stream.wait() == RETORT_OK;
  }
  T* data() const { return memory_.as<T>(); }
  std::vector<T> values() const {
    std::vector<T> out(count_);
    if (!ok_ || stream_.wait() != RETORT_OK || stream_.copy_out(out.data(), memory_.data(), count_ * sizeof(T)) != RETORT_OK) out.clear();
    return out;
  }

 private:
  Stream& stream_;
  Memory memory_;
  std::size_t count_;
  bool ok_ = false;
};

struct Weights {
  Weights(Stream& stream, Type type, const std::vector<std::uint8_t>& stored, std::int64_t rows, std::int64_t columns) {
    const MatrixBytes bytes = matrix_bytes(type, rows, columns);
    std::vector<unsigned char> body(bytes.body), scales(bytes.scales);
    split_rows(type, stored.data(), rows, columns, body.data(), scales.data());
    memory_ = std::make_unique<OnDevice<unsigned char>>(stream, body);
    scales_ = std::make_unique<OnDevice<unsigned char>>(stream, scales);
    matrix = {memory_->data(), scales.empty() ? nullptr : reinterpret_cast<const std::uint16_t*>(scales_->data()),
              static_cast<std::int32_t>(rows), static_cast<std::int32_t>(columns),
              static_cast<std::int32_t>(divide_up(columns, layout_of(type).block)), type};
  }
  Matrix matrix;

 private:
  std::unique_ptr<OnDevice<unsigned char>> memory_, scales_;
};

struct TypePair { Type type; TensorType stored; const char* name; };
inline constexpr TypePair kTypePairs[] = {
    {Type::kF32, TensorType::kF32, "F32"},    {Type::kF16, TensorType::kF16, "F16"},    {Type::kBF16, TensorType::kBF16, "BF16"},
    {Type::kQ8_0, TensorType::kQ8_0, "Q8_0"}, {Type::kQ4_0, TensorType::kQ4_0, "Q4_0"}, {Type::kQ4_K, TensorType::kQ4_K, "Q4_K"},
    {Type::kQ6_K, TensorType::kQ6_K, "Q6_K"}};

// Σ (got - want)² / Σ want², as ggml's test-backend-ops measures. Infinite where a number is missing or NaN.
inline double normalized_error(const std::vector<float>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) return INFINITY;
  double error = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    if (!(std::fabs(d) < INFINITY)) return INFINITY;
    error += d * d;
    size += want[i] * want[i];
  }
  return size > 0 ? error / size : error;
}

// The greatest error in units of the largest value.
inline double greatest_error(const std::vector<float>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) return INFINITY;
  double error = 0, size = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double d = std::fabs(static_cast<double>(got[i]) - want[i]);
    if (!(d < INFINITY)) return INFINITY;
    error = std::max(error, d);
    size = std::max(size, std::fabs(want[i]));
  }
  return size > 0 ? error / size : error;
}

inline std::string shape_text(const char* name, std::int64_t rows, std::int64_t columns, std::int64_t tokens) {
  return std::string(name) + " rows " + std::to_string(rows) + " columns " + std::to_string(columns) + " tokens " + std::to_string(tokens);
}

inline std::vector<double> in_f64(const std::vector<float>& x) { return {x.begin(), x.end()}; }

// ---- Linears ------------------------------------------------------------------------------------------------------------

// Two matrices of one type on the same activations, the second with a bias; outputs [tokens, rows] of each.
inline std::vector<std::vector<float>> run_linears(Stream& stream, const TypePair& type, const kernels::test::Problem& p,
                                                   const std::vector<float>& bias) {
  const std::size_t tokens = static_cast<std::size_t>(p.m), columns = static_cast<std::size_t>(p.columns), rows = static_cast<std::size_t>(p.rows);
  std::vector<float> x;
  for (std::size_t t = 0; t < tokens; ++t)
    x.insert(x.end(), p.x.begin() + static_cast<std::ptrdiff_t>(t * static_cast<std::size_t>(p.x_stride)),
             p.x.begin() + static_cast<std::ptrdiff_t>(t * static_cast<std::size_t>(p.x_stride) + columns));
  const OnDevice<float> on_device(stream, x), biases(stream, bias);
  const Weights weights(stream, type.type, p.weights, p.rows, p.columns);
  const std::vector<float> poison(tokens * rows, NAN);
  const OnDevice<float> first(stream, poison), second(stream, poison);
  const OnDevice<std::uint16_t> rounded(stream, std::vector<std::uint16_t>(tokens * (columns + 256), 0x7e00));
  const OnDevice<float> scales(stream, std::vector<float>(tokens, NAN));
  LinearJob job{};
  job.type = type.type;
  job.x = on_device.data();
  job.tokens = static_cast<std::int32_t>(p.m);
  job.columns = static_cast<std::int32_t>(p.columns);
  job.count = 2;
  job.targets[0] = {weights.matrix, nullptr, first.data()};
  job.targets[1] = {weights.matrix, biases.data(), second.data()};
  job.rounded = rounded.data();
  job.scales = scales.data();
  job.multiprocessors = 4;
  launch_linears(stream, job);
  return {first.values(), second.values()};
}

// Each output within a derived bound, and the normalized error small. Few rows: sums of n products in f32. More: f16 on
// both sides, each rounded to 11 bits, and what lies below f16's smallest number.
inline std::string linear_case(Stream& stream, const TypePair& type, std::int64_t rows, std::int64_t columns, std::int64_t tokens) {
  const kernels::test::Problem p(type.stored, rows, columns, tokens);
  std::vector<double> y, magnitude;
  kernels::test::expect(p, kernels::Q8Layout::kNone, y, magnitude);
  const std::vector<float> bias = kernels::test::random_floats(static_cast<std::size_t>(rows), 3);
  const std::vector<std::vector<float>> got = run_linears(stream, type, p, bias);
  const std::string where = shape_text(type.name, rows, columns, tokens);
  const bool f16 = tokens > kFewTokens && type.type != Type::kF32;
  for (std::size_t o = 0; o < 2; ++o) {
    if (got[o].size() != y.size()) return where + ": " + last_failure();
    std::vector<double> want = y;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t token = i / static_cast<std::size_t>(rows), row = i % static_cast<std::size_t>(rows);
      if (o == 1) want[i] += static_cast<double>(bias[row]);
      double allowed = kernels::test::kUnit * (static_cast<double>(columns) * magnitude[i] + std::fabs(want[i]) + std::fabs(static_cast<double>(bias[row]))) + 1e-44;
      if (f16) {
        double sum = 0, greatest = 0;
        for (std::int64_t k = 0; k < columns; ++k) {
          const double x = std::fabs(static_cast<double>(p.x[token * static_cast<std::size_t>(p.x_stride) + static_cast<std::size_t>(k)]));
          sum += x;
          greatest = std::max(greatest, x);
        }
        // Weights below 2^-14 are off by 2^-25 at most, activations below 2^-27 of the greatest by 2^-38 of it.
        allowed += 1.01 * 0x1p-10 * magnitude[i] + sum * 0x1p-25 + static_cast<double>(columns) * greatest * 0x1p-36;
      }
      const double error = std::fabs(static_cast<double>(got[o][i]) - want[i]);
      if (!(error <= allowed))
        return where + " output " + std::to_string(o) + " at " + std::to_string(i) + ": " + std::to_string(got[o][i]) + " for " + std::to_string(want[i]) +
               ", allowed " + std::to_string(allowed);
    }
    const double error = normalized_error(got[o], want);
    if (!(error < (f16 ? 2e-7 : 1e-12))) return where + ": normalized error " + std::to_string(error * 1e9) + "e-9";
  }
  return {};
}

// Whole numbers that both f16 and f32 hold exactly, so that every output is exact: shows any wrong index.
inline std::string exact_linear_case(Stream& stream, const TypePair& type, std::int64_t rows, std::int64_t columns, std::int64_t tokens) {
  kernels::test::Problem p(type.stored, rows, columns, tokens);
  std::mt19937 random(7);
  for (float& x : p.x) x = static_cast<float>(static_cast<int>(random() % 9) - 4);
  const kernels::TypeTraits& t = kernels::traits(type.stored);
  // The codes stay random; scales become small powers of two. Dense ones: small whole numbers.
  if (!t.packed()) {
    const std::size_t size = t.block_bytes;
    for (std::size_t i = 0; i < p.weights.size() / size; ++i) {
      const float v = static_cast<float>(static_cast<int>(random() % 17) - 8);
      const std::uint16_t half = type.type == Type::kF16 ? kernels::f32_to_f16(v) : kernels::f32_to_bf16(v);
      if (size == 4) std::memcpy(p.weights.data() + 4 * i, &v, 4);
      else std::memcpy(p.weights.data() + 2 * i, &half, 2);
    }
  }
  for (std::size_t b = 0; t.packed() && b < p.weights.size() / t.block_bytes; ++b) {
    std::uint8_t* const block = p.weights.data() + b * t.block_bytes;
    const kernels::test::ScaleFields fields = kernels::test::scale_fields(type.stored);
    const std::uint16_t scale = kernels::f32_to_f16(random() % 2 ? 0.5f : 0.25f);
    if (fields.scale >= 0) std::memcpy(block + fields.scale, &scale, 2);
    if (fields.minimum >= 0) std::memcpy(block + fields.minimum, &scale, 2);
    if (type.type == Type::kQ6_K)
      for (int i = 0; i < 16; ++i) block[192 + i] = static_cast<std::uint8_t>(static_cast<int>(random() % 5) - 2);
  }
  std::vector<double> y, magnitude;
  kernels::test::expect(p, kernels::Q8Layout::kNone, y, magnitude);
  const std::vector<float> zeros(static_cast<std::size_t>(rows));
  const std::vector<std::vector<float>> got = run_linears(stream, type, p, zeros);
  for (std::size_t o = 0; o < 2; ++o)
    for (std::size_t i = 0; i < y.size(); ++i)
      if (got[o].size() != y.size() || static_cast<double>(got[o][i]) != y[i])
        return shape_text(type.name, rows, columns, tokens) + " at " + std::to_string(i) + ": " + (got[o].size() == y.size() ? std::to_string(got[o][i]) : last_failure()) +
               " for " + std::to_string(y[i]);
  return {};
}

// ---- Rows ---------------------------------------------------------------------------------------------------------------

inline std::string norm_case(Stream& stream, bool mean, bool add, std::int32_t groups, bool own, std::int32_t width, std::int32_t rows) {
  const std::size_t n = static_cast<std::size_t>(width), m = static_cast<std::size_t>(rows), part = n / static_cast<std::size_t>(groups);
  std::vector<float> a = kernels::test::random_floats(n * m, 1), b = kernels::test::random_floats(n * m, 2);
  const std::vector<float> weight = kernels::test::random_floats(own ? n : part, 3), bias = kernels::test::random_floats(own ? n : part, 4);
  for (std::size_t i = 0; i < n && m > 1; ++i) a[n + i] = 0, b[n + i] = 0;
  if (m > 2) a[2 * n] = 1000;
  const OnDevice<float> da(stream, a), db(stream, b), dw(stream, weight), dbias(stream, bias), out(stream, std::vector<float>(n * m, NAN));
  // The sum lies where a lies.
  launch_norm(stream, {da.data(), add ? db.data() : nullptr, da.data(), out.data(), dw.data(), mean ? dbias.data() : nullptr, width, groups, own, mean, 1e-5f, mean ? 0.0f : 1.0f}, rows);
  std::vector<float> sum = a, want(n * m);
  if (add) kernels::reference::add_into(b.data(), sum.data(), n * m);
  for (std::size_t at = 0; at < n * m; at += part) {
    const std::size_t column = own ? at % n : 0;
    if (mean) kernels::reference::layer_norm(sum.data() + at, weight.data() + column, bias.data() + column, 1e-5f, want.data() + at, 1, part);
    else kernels::reference::rms_norm(sum.data() + at, weight.data() + column, 1.0f, 1e-5f, want.data() + at, 1, part);
  }
  if (add && da.values() != sum) return "the sum of a norm";
  const double error = greatest_error(out.values(), in_f64(want));
  return error < 2e-6 ? "" : "norm, width " + std::to_string(width) + ": " + std::to_string(error);
}

inline std::string element_case(Stream& stream, std::int32_t width, std::int32_t rows) {
  const std::size_t n = static_cast<std::size_t>(width) * static_cast<std::size_t>(rows);
  std::vector<float> a = kernels::test::random_floats(n, 1), b = kernels::test::random_floats(n, 2);
  for (std::size_t i = 0; i < n; ++i) a[i] *= i % 7 == 0 ? 30.0f : 2.0f;
  const OnDevice<float> da(stream, a), db(stream, b);
  const auto run = [&](ElementArgs args) {
    const OnDevice<float> out(stream, std::vector<float>(n, NAN));
    args.a = da.data();
    args.b = db.data();
    args.out = out.data();
    args.count = static_cast<std::int64_t>(n);
    args.width = args.a_width = width;
    launch_element(stream, args);
    return out.values();
  };
  for (int f = 0; f < 8; ++f) {
    ElementArgs args{};
    args.function = static_cast<Function>(f);
    std::vector<float> want(n);
    kernels::reference::activate(static_cast<kernels::Activation>(f), a.data(), want.data(), n);
    args.op = ElementOp::kActivation;
    if (const double e = greatest_error(run(args), in_f64(want)); !(e < 1e-6)) return "activation " + std::to_string(f) + ": " + std::to_string(e);
    kernels::reference::multiply_into(b.data(), want.data(), n);
    args.op = ElementOp::kGate;
    if (const double e = greatest_error(run(args), in_f64(want)); !(e < 1e-6)) return "gate " + std::to_string(f) + ": " + std::to_string(e);
  }
  ElementArgs args{};
  args.scale = 5;
  args.b_width = width;
  std::vector<float> want = a;
  args.op = ElementOp::kMultiply;
  kernels::reference::multiply_into(b.data(), want.data(), n);
  if (run(args) != want) return "multiply";
  args.b_width = 1;
  for (std::size_t i = 0; i < n; ++i) want[i] = a[i] * b[i / static_cast<std::size_t>(width)];
  if (run(args) != want) return "multiply by a column";
  want = a;
  args.op = ElementOp::kAdd;
  kernels::reference::add_into(b.data(), want.data(), n);
  if (run(args) != want) return "add";
  want = a;
  args.op = ElementOp::kScale;
  kernels::reference::scale(5, want.data(), n);
  if (run(args) != want) return "scale";
  want = a;
  args.op = ElementOp::kSoftCap;
  kernels::reference::soft_cap(5, want.data(), n);
  if (const double e = greatest_error(run(args), in_f64(want)); !(e < 1e-6)) return "soft cap: " + std::to_string(e);
  return {};
}

// Columns [1, 3) of each run of 4.
inline std::string slice_case(Stream& stream) {
  const std::vector<float> a = kernels::test::random_floats(3 * 12, 1);
  const OnDevice<float> da(stream, a), out(stream, std::vector<float>(3 * 6, NAN));
  ElementArgs args{};
  args.op = ElementOp::kSlice;
  args.a = da.data();
  args.out = out.data();
  args.count = 18;
  args.width = 6;
  args.a_width = 12;
  args.slice_first = 1;
  args.slice_count = 2;
  args.slice_period = 4;
  launch_element(stream, args);
  std::vector<float> want;
  for (std::size_t p = 0; p < 36; p += 4) want.insert(want.end(), {a[p + 1], a[p + 2]});
  return out.values() == want ? "" : "slice";
}

inline std::string normalize_case(Stream& stream, std::int32_t width) {
  const std::size_t n = static_cast<std::size_t>(width);
  std::vector<float> a = kernels::test::random_floats(3 * n, 1);
  std::fill_n(a.begin() + static_cast<std::ptrdiff_t>(n), n, 0.0f);
  const OnDevice<float> da(stream, a), out(stream, std::vector<float>(3 * n, NAN));
  launch_normalize(stream, {da.data(), out.data(), width}, 3);
  std::vector<double> want;
  for (std::size_t r = 0; r < 3; ++r) {
    double squares = 0;
    for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(a[r * n + i]) * static_cast<double>(a[r * n + i]);
    for (std::size_t i = 0; i < n; ++i) want.push_back(static_cast<double>(a[r * n + i]) / std::max(std::sqrt(squares), 1e-12));
  }
  return greatest_error(out.values(), want) < 1e-6 ? "" : "normalize";
}

// Rows of a table, bit for bit as the reference decodes them; ids, types and positions each.
inline std::string embed_case(Stream& stream, const TypePair& type) {
  const std::int64_t columns = kernels::traits(type.stored).packed() ? 512 : 77, rows = 9;
  const std::vector<std::uint8_t> stored = kernels::test::random_weights(type.stored, rows, columns, 5);
  std::vector<float> all(static_cast<std::size_t>(rows * columns));
  kernels::traits(type.stored).decode(stored.data(), all.data(), all.size());
  const Weights table(stream, type.type, stored, rows, columns);
  const OnDevice<std::int32_t> ids(stream, {8, 0, 3, 3}), types(stream, {1, 0, 1, 0}), positions(stream, {2, 5, 7, 1}), start(stream, {4});
  const auto check = [&](Table lookup, const std::int32_t* at, std::vector<std::size_t> wanted) {
    const OnDevice<float> out(stream, std::vector<float>(static_cast<std::size_t>(4 * columns), NAN));
    launch_embed(stream, {table.matrix, lookup, {ids.data(), types.data(), at, start.data()}, 1, out.data()}, 4);
    const std::vector<float> got = out.values();
    for (std::size_t r = 0; r < 4; ++r)
      for (std::size_t i = 0; i < static_cast<std::size_t>(columns); ++i)
        if (got.empty() || got[r * static_cast<std::size_t>(columns) + i] != all[wanted[r] * static_cast<std::size_t>(columns) + i]) return false;
    return true;
  };
  if (!check(Table::kToken, nullptr, {8, 0, 3, 3})) return std::string(type.name) + ": tokens";
  if (!check(Table::kType, nullptr, {1, 0, 1, 0})) return std::string(type.name) + ": types";
  if (!check(Table::kPosition, positions.data(), {2, 5, 7, 1})) return std::string(type.name) + ": positions";
  if (!check(Table::kPosition, nullptr, {5, 6, 7, 8})) return std::string(type.name) + ": positions after the cache";
  return {};
}

inline std::string pool_case(Stream& stream) {
  constexpr std::size_t kWidth = 300;
  const std::vector<float> rows = kernels::test::random_floats(6 * kWidth, 1);
  const std::vector<std::int32_t> begins = {0, 1, 4, 6};
  const OnDevice<float> drows(stream, rows);
  const OnDevice<std::int32_t> dbegins(stream, begins);
  for (int kind = 0; kind < 5; ++kind) {
    const OnDevice<float> out(stream, std::vector<float>(3 * kWidth, NAN));
    launch_pool(stream, {static_cast<PoolKind>(kind), drows.data(), dbegins.data(), out.data(), kWidth}, 3);
    std::vector<double> want;
    for (std::size_t s = 0; s < 3; ++s)
      for (std::size_t i = 0; i < kWidth; ++i) {
        const std::size_t begin = static_cast<std::size_t>(begins[s]), end = static_cast<std::size_t>(begins[s + 1]);
        double sum = 0, most = -INFINITY;
        for (std::size_t r = begin; r < end; ++r) sum += static_cast<double>(rows[r * kWidth + i]), most = std::max(most, static_cast<double>(rows[r * kWidth + i]));
        const double count = static_cast<double>(end - begin);
        const double values[] = {static_cast<double>(rows[begin * kWidth + i]), static_cast<double>(rows[(end - 1) * kWidth + i]), sum / count, most, sum / std::sqrt(count)};
        want.push_back(values[kind]);
      }
    if (!(greatest_error(out.values(), want) < 1e-6)) return "pool " + std::to_string(kind);
  }
  return {};
}

// ---- Attention ------------------------------------------------------------------------------------------------------------

struct AttentionCase {
  std::int32_t heads, kv_heads, head_dim, past, rows, context;
  std::int32_t window = 0;
  float soft_cap = 0;
  bool cache_f16 = true, interleaved = false, split = false;
  std::int32_t half = -1;   // pairs that turn; -1: all of a head
};

// Rotation, the cache and causal attention, against the reference's on the same numbers.
inline std::string attention_case(Stream& stream, const AttentionCase& c) {
  const auto u = [](std::int64_t v) { return static_cast<std::size_t>(v); };
  const std::size_t q_width = u(c.heads * c.head_dim), k_width = u(c.kv_heads * c.head_dim);
  const std::size_t half = c.half >= 0 ? u(c.half) : u(c.head_dim / 2);
  const std::size_t cache = u(c.context) * k_width, bytes = c.cache_f16 ? 2 : 4;
  std::vector<float> q = kernels::test::random_floats(u(c.rows) * q_width, 1), k = kernels::test::random_floats(u(c.rows) * k_width, 2);
  const std::vector<float> v = kernels::test::random_floats(u(c.rows) * k_width, 3);
  std::vector<float> old_keys = kernels::test::random_floats(cache, 4), old_values = kernels::test::random_floats(cache, 5);
  std::vector<unsigned char> keys(cache * bytes), values(cache * bytes);
  const auto keep = [&](std::vector<unsigned char>& to, std::size_t at, float x) {
    const std::uint16_t h = kernels::f32_to_f16(x);
    if (c.cache_f16) std::memcpy(to.data() + 2 * at, &h, 2);
    else std::memcpy(to.data() + 4 * at, &x, 4);
  };
  for (std::size_t i = 0; i < cache; ++i) keep(keys, i, old_keys[i]), keep(values, i, old_values[i]);
  std::vector<float> table(half + 1);
  for (std::size_t i = 0; i < half; ++i) table[i] = std::pow(10000.0f, -static_cast<float>(i) / static_cast<float>(half));
  table[half] = 1.25f;

  const OnDevice<float> dq(stream, q), dk(stream, k), dv(stream, v), dtable(stream, table), out(stream, std::vector<float>(u(c.rows) * q_width, NAN));
  const OnDevice<float> partial(stream, std::vector<float>(u(c.rows) * u(c.heads) * u(attention_splits(c.context).splits) * u(c.head_dim + 2), NAN));
  const OnDevice<unsigned char> dkeys(stream, keys), dvalues(stream, values);
  const OnDevice<std::int32_t> start(stream, {c.past});
  const RotaryTable rotary = half == 0 ? RotaryTable{} : RotaryTable{dtable.data(), dtable.data() + half, static_cast<std::int32_t>(half), c.interleaved};
  launch_rotate(stream, {dq.data(), dk.data(), dv.data(), dkeys.data(), dvalues.data(), start.data(), nullptr, rotary, rotary, c.heads, c.kv_heads, c.head_dim, c.cache_f16}, c.rows);
  AttendArgs a{};
  a.q = dq.data();
  a.keys = dkeys.data();
  a.values = dvalues.data();
  a.out = out.data();
  a.partial = c.split ? partial.data() : nullptr;
  a.start = start.data();
  a.heads = c.heads;
  a.kv_heads = c.kv_heads;
  a.head_dim = c.head_dim;
  a.window = c.window;
  a.scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  a.soft_cap = c.soft_cap;
  launch_attend(stream, a, c.cache_f16, c.rows, c.context);

  for (std::size_t r = 0; r < u(c.rows) && half > 0; ++r) {
    std::vector<float> cosines(half), sines(half);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(static_cast<float>(u(c.past) + r) * table[i]);
      cosines[i] = static_cast<float>(std::cos(angle)) * 1.25f;
      sines[i] = static_cast<float>(std::sin(angle)) * 1.25f;
    }
    kernels::reference::rope(q.data() + r * q_width, cosines.data(), sines.data(), u(c.heads), u(c.head_dim), 2 * half, c.interleaved);
    kernels::reference::rope(k.data() + r * k_width, cosines.data(), sines.data(), u(c.kv_heads), u(c.head_dim), 2 * half, c.interleaved);
  }
  if (!(greatest_error(dq.values(), in_f64(q)) < 1e-6) || !(greatest_error(dk.values(), in_f64(k)) < 1e-6)) return "rotation";
  // The cache as the device has it: rounding a key that differs in its last bit may go either way.
  const std::vector<unsigned char> got_keys = dkeys.values(), got_values = dvalues.values();
  for (std::size_t i = 0; i < u(c.rows) * k_width; ++i) {
    keep(keys, u(c.past) * k_width + i, k[i]);
    keep(values, u(c.past) * k_width + i, v[i]);
  }
  if (got_values != values) return "cached values";
  const auto cached = [&](const std::vector<unsigned char>& from, std::size_t i) {
    std::uint16_t h;
    float f;
    if (c.cache_f16) return std::memcpy(&h, from.data() + 2 * i, 2), static_cast<double>(kernels::f16_to_f32(h));
    return std::memcpy(&f, from.data() + 4 * i, 4), static_cast<double>(f);
  };
  for (std::size_t i = 0; i < cache; ++i)
    if (!(std::fabs(cached(got_keys, i) - cached(keys, i)) <= (c.cache_f16 ? 1e-3 : 2e-6) * (1 + std::fabs(cached(keys, i))))) return "cached keys";

  std::vector<float> want(u(c.rows) * q_width), scratch(u(c.context) + 1);
  kernels::AttentionArgs reference{};
  reference.query = q.data();
  reference.q_stride = reference.out_stride = static_cast<std::int64_t>(q_width);
  reference.keys = got_keys.data();
  reference.values = got_values.data();
  reference.cache_f16 = c.cache_f16;
  reference.out = want.data();
  reference.tokens = c.rows;
  reference.past = c.past;
  reference.kv_heads = c.kv_heads;
  reference.head_dim = c.head_dim;
  reference.group = c.heads / c.kv_heads;
  reference.window = c.window;
  reference.scale = a.scale;
  reference.soft_cap = c.soft_cap;
  for (std::int64_t h = 0; h < c.heads; ++h) kernels::reference::attention(reference, h, 0, c.rows, scratch.data());
  const double error = greatest_error(out.values(), in_f64(want));
  return error < 3e-6 ? "" : "attention: greatest error " + std::to_string(error) + " of the largest";
}

// Two sequences of an encoder, with and without a relative position bias.
inline std::string encoder_attention_case(Stream& stream, bool biased, std::int32_t head_dim) {
  constexpr std::size_t kRows = 9, kHeads = 3;
  const std::size_t n = static_cast<std::size_t>(head_dim), width = kHeads * n;
  const std::vector<float> q = kernels::test::random_floats(kRows * width, 1), k = kernels::test::random_floats(kRows * width, 2),
                           v = kernels::test::random_floats(kRows * width, 3), bias = kernels::test::random_floats(kHeads * 31, 4);
  const std::vector<std::int32_t> begins = {0, 0, 0, 0, 4, 4, 4, 4, 4}, ends = {4, 4, 4, 4, 9, 9, 9, 9, 9};
  const OnDevice<float> dq(stream, q), dk(stream, k), dv(stream, v), dbias(stream, bias), out(stream, std::vector<float>(kRows * width, NAN));
  const OnDevice<std::int32_t> dbegins(stream, begins), dends(stream, ends), start(stream, {0});
  AttendArgs a{};
  a.q = dq.data();
  a.keys = dk.data();
  a.values = dv.data();
  a.out = out.data();
  a.start = start.data();
  a.begins = dbegins.data();
  a.ends = dends.data();
  a.bias = biased ? dbias.data() : nullptr;
  a.bias_stride = 31;
  a.bias_zero = 15;
  a.heads = a.kv_heads = kHeads;
  a.head_dim = head_dim;
  a.scale = 0.3f;
  launch_attend(stream, a, false, kRows, 16);
  std::vector<float> want(kRows * width), scratch(16);
  for (std::size_t first : {std::size_t{0}, std::size_t{4}}) {
    kernels::AttentionArgs reference{};
    reference.query = q.data() + first * width;
    reference.keys = k.data() + first * width;
    reference.values = v.data() + first * width;
    reference.out = want.data() + first * width;
    reference.q_stride = reference.out_stride = static_cast<std::int64_t>(width);
    reference.tokens = first == 0 ? 4 : 5;
    reference.kv_heads = kHeads;
    reference.head_dim = head_dim;
    reference.group = 1;
    reference.scale = 0.3f;
    reference.bidirectional = true;
    reference.bias = biased ? bias.data() : nullptr;
    reference.bias_stride = 31;
    reference.bias_zero = 15;
    for (std::int64_t h = 0; h < static_cast<std::int64_t>(kHeads); ++h) kernels::reference::attention(reference, h, 0, reference.tokens, scratch.data());
  }
  const double error = greatest_error(out.values(), in_f64(want));
  return error < 3e-6 ? "" : "attention of an encoder: " + std::to_string(error);
}

// ---- The greatest outputs ---------------------------------------------------------------------------------------------------

inline std::string top_case(Stream& stream, std::vector<float> x, std::int32_t count) {
  const std::int32_t n = static_cast<std::int32_t>(x.size());
  const OnDevice<float> dx(stream, x), values(stream, std::vector<float>(static_cast<std::size_t>(count), NAN));
  const OnDevice<std::int32_t> ids(stream, std::vector<std::int32_t>(static_cast<std::size_t>(count), -7));
  const OnDevice<double> sum(stream, {NAN});
  launch_top(stream, {dx.data(), n, count, ids.data(), values.data(), sum.data()});
  const std::vector<std::int32_t> got = ids.values();
  const std::string where = "the " + std::to_string(count) + " greatest of " + std::to_string(n);
  if (got.empty()) return where + ": " + last_failure();
  if (std::any_of(x.begin(), x.end(), [](float v) { return std::isnan(v); })) return got[0] == -1 ? "" : where + ": NaN not seen";
  std::vector<std::int32_t> order(x.size());
  for (std::int32_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)]; });
  order.resize(static_cast<std::size_t>(count));
  if (got != order) return where;
  const std::vector<float> got_values = values.values();
  for (std::size_t i = 0; i < order.size(); ++i)
    if (got_values[i] != x[static_cast<std::size_t>(order[i])]) return where + ": values";
  double total = 0;
  const double most = static_cast<double>(x[static_cast<std::size_t>(order[0])]);
  for (const float v : x) total += std::exp(static_cast<double>(v) - most);
  const double want = most + std::log(total);
  return std::fabs(sum.values()[0] - want) < 1e-5 * std::max(1.0, std::fabs(want)) ? "" : where + ": sum of exponentials";
}

}  // namespace retort::cuda::test
