// Norms, element-wise steps, lookups and pools.
#pragma once

#include "cuda_cases.h"

namespace retort::cuda::test {

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

}  // namespace retort::cuda::test
