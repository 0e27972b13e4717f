// A linear's problem, what it should give, and a run of one kernel on it.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/api/interleaved.h"
#include "kernels/api/linear.h"
#include "kernels/api/linear_kernel.h"
#include "kernels/reference/reference.h"
#include "random_weights.h"

namespace retort::kernels::test {

inline constexpr double kUnit = 0x1p-24;

// Rounded rows with room of their own.
struct Rounded {
  std::vector<std::int8_t> codes;
  std::vector<float> scales, scaled_sums;
  std::vector<std::int32_t> sums;
  std::vector<std::int16_t> sums32, sums16;
  Q8Row row;
  explicit Rounded(std::size_t n)
      : codes(n + 4), scales(n / 32 + 1), scaled_sums(n / 32 + 1), sums(n / 32 + 1), sums32(n / 32 + 1),
        sums16(n / 16 + 1), row{codes.data(), scales.data(), sums.data(), scaled_sums.data(), sums32.data(),
                                sums16.data()} {}
};

inline std::vector<float> random_floats(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

struct Problem {
  TensorType type;
  std::int64_t rows, columns, m;
  std::vector<std::uint8_t> weights;
  std::vector<float> row_scales, x;
  std::int64_t x_stride;

  Problem(TensorType t, std::int64_t r, std::int64_t c, std::int64_t tokens)
      : type(t), rows(r), columns(c), m(tokens), weights(random_weights(t, r, c, 11)),
        row_scales(static_cast<std::size_t>(r), 0.01f), x_stride(c + 3) {
    x = random_floats(static_cast<std::size_t>(m * x_stride), 5);
    // A block of zeros, an outlier, a tiny block.
    for (std::int64_t k = 0; k < std::min<std::int64_t>(32, columns); ++k) x[static_cast<std::size_t>(k)] = 0;
    if (m > 1) x[static_cast<std::size_t>(x_stride + columns / 2)] = 300;
    if (m > 2)
      for (std::int64_t k = 0; k < std::min<std::int64_t>(32, columns); ++k)
        x[static_cast<std::size_t>(2 * x_stride + k)] *= 1e-36f;
    for (std::size_t i = 0; i < row_scales.size(); ++i) row_scales[i] *= static_cast<float>(i % 7);
  }
  Weight weight() const { return {type, weights.data(), row_scales.data(), rows, columns}; }
};

// y of the reference in f64 and the sum S of the tolerance; activations rounded when `layout` says so.
inline void expect(const Problem& p, Q8Layout layout, std::vector<double>& y, std::vector<double>& magnitude) {
  const auto n = static_cast<std::size_t>(p.columns);
  const TypeTraits& t = traits(p.type);
  y.assign(static_cast<std::size_t>(p.m * p.rows), 0);
  magnitude = y;
  std::vector<float> w(n), x(n);
  Rounded rounded(n);
  for (std::int64_t token = 0; token < p.m; ++token) {
    const float* source = p.x.data() + token * p.x_stride;
    std::copy(source, source + n, x.begin());
    if (layout != Q8Layout::kNone) {
      reference::round_row(layout, source, n, rounded.row);
      reference::expand_row(layout, rounded.row, n, x.data());
    }
    for (std::int64_t row = 0; row < p.rows; ++row) {
      const std::uint8_t* stored = p.weights.data() + static_cast<std::size_t>(row) * row_bytes(p.type, n);
      t.decode(stored, w.data(), n);
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < n; ++k) {
        const double minimum = minimum_magnitude(p.type, stored + k / t.block_size * t.block_bytes);
        sum += static_cast<double>(w[k]) * static_cast<double>(x[k]);
        size += (std::fabs(static_cast<double>(w[k])) + minimum) * std::fabs(static_cast<double>(x[k]));
      }
      const double scale = p.type == TensorType::kI8 ? static_cast<double>(p.row_scales[static_cast<std::size_t>(row)]) : 1;
      y[static_cast<std::size_t>(token * p.rows + row)] = sum * scale;
      magnitude[static_cast<std::size_t>(token * p.rows + row)] = size * scale;
    }
  }
}

// Runs one kernel over all tiles, with canaries behind every row of y.
inline std::vector<float> run_kernel(const LinearKernel& kernel, const Problem& p, Q8Layout layout, std::int64_t tile_rows) {
  const auto n = static_cast<std::size_t>(p.columns);
  std::vector<std::uint8_t> packed;
  const void* data = p.weights.data();
  if (kernel.layout != WeightLayout::kStored) {
    const int rows = kernel.layout == WeightLayout::kInterleaved16 ? 16 : 8;
    const std::size_t bytes = interleaved_group_bytes(p.type, p.columns, rows);
    const std::int64_t groups = (p.rows + rows - 1) / rows;
    packed.resize(bytes * static_cast<std::size_t>(groups));
    for (std::int64_t g = 0; g < groups; ++g)
      interleave_group(p.type, p.weights.data(), p.rows, p.columns, g * rows, rows,
                       packed.data() + static_cast<std::size_t>(g) * bytes);
    data = packed.data();
  }
  std::vector<Rounded> rounded(static_cast<std::size_t>(p.m), Rounded(n));
  std::vector<std::int8_t> all_codes(static_cast<std::size_t>(p.m) * (n + 4));
  std::vector<Q8Row> rows(static_cast<std::size_t>(p.m));
  std::vector<float> expanded(static_cast<std::size_t>(p.m) * n);
  for (std::int64_t t = 0; t < p.m && layout != Q8Layout::kNone; ++t) {
    const auto i = static_cast<std::size_t>(t);
    rounded[i] = Rounded(n);
    rows[i] = rounded[i].row;
    rows[i].codes = all_codes.data() + i * (n + 4);
    reference::round_row(layout, p.x.data() + t * p.x_stride, n, rows[i]);
    reference::expand_row(layout, rows[i], n, expanded.data() + i * n);
  }
  const std::int64_t y_stride = p.rows + 5;
  std::vector<float> y(static_cast<std::size_t>(p.m * y_stride), 12345.0f);
  std::vector<float> scratch(std::max(kTileScratch, n));
  for (std::int64_t first = 0; first < p.rows; first += tile_rows)
    kernel.run({p.type, data, p.row_scales.data(), p.columns, first, std::min(tile_rows, p.rows - first), p.m,
                layout == Q8Layout::kNone ? p.x.data() : expanded.data(),
                layout == Q8Layout::kNone ? p.x_stride : p.columns, rows.data(), y.data(), y_stride, scratch.data()});
  for (std::int64_t t = 0; t < p.m; ++t)
    for (std::int64_t row = p.rows; row < y_stride; ++row)
      if (y[static_cast<std::size_t>(t * y_stride + row)] != 12345.0f) return {};  // wrote past its rows
  std::vector<float> out;
  for (std::int64_t t = 0; t < p.m; ++t)
    out.insert(out.end(), y.begin() + t * y_stride, y.begin() + t * y_stride + p.rows);
  return out;
}

// The first output that errs by more than its tolerance, or "".
inline std::string compare(const LinearKernel& kernel, const Problem& p, Q8Layout layout, std::int64_t tile_rows) {
  std::vector<double> y, magnitude;
  expect(p, layout, y, magnitude);
  const std::vector<float> got = run_kernel(kernel, p, layout, tile_rows);
  if (got.size() != y.size()) return "wrote past its rows";
  const auto n = static_cast<double>(p.columns);
  const double steps = kernel.input == Input::kRounded ? 6.0 * std::ceil(n / 32) : n;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double allowed = kUnit * (steps * magnitude[i] + std::fabs(y[i])) + 1e-44;
    const double error = std::fabs(static_cast<double>(got[i]) - y[i]);
    if (!(error <= allowed))
      return "rows " + std::to_string(p.rows) + " columns " + std::to_string(p.columns) + " m " +
             std::to_string(p.m) + " at " + std::to_string(i) + ": " + std::to_string(got[i]) + " for " +
             std::to_string(y[i]) + ", allowed error " + std::to_string(allowed);
  }
  return {};
}

// Column counts that fill the type's blocks, with odd ones where any will do.
inline std::vector<std::int64_t> column_counts(TensorType type) {
  switch (traits(type).block_size) {
    case 256: return {256, 512, 768};
    case 64: return {64, 192, 320};
    case 32: return {32, 64, 288, 576};
    default: return {1, 7, 32, 257, 579};
  }
}

// All shapes of one kernel; "" when every output is within its tolerance.
inline std::string compare_shapes(const LinearKernel& kernel, Q8Layout layout) {
  for (const std::int64_t n : column_counts(kernel.type))
    for (const std::int64_t rows : {1, 5, 8, 16, 37, 64})
      for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 13}) {
        const std::string problem = compare(kernel, Problem(kernel.type, rows, n, m), layout, 32);
        if (!problem.empty()) return problem;
      }
  return {};
}

// One value of 1 and zeros elsewhere: in f32 the output is the decoded weight itself, bit for bit but for the sign of 0.
inline std::string compare_one_hot(const LinearKernel& kernel) {
  const TypeTraits& t = traits(kernel.type);
  const std::int64_t n = t.block_size == 256 ? 512 : t.block_size == 64 ? 128 : 96;
  Problem p(kernel.type, 21, n, n);
  std::fill(p.x.begin(), p.x.end(), 0.0f);
  for (std::int64_t k = 0; k < n; ++k) p.x[static_cast<std::size_t>(k * p.x_stride + k)] = 1;
  const std::vector<float> got = run_kernel(kernel, p, Q8Layout::kNone, 32);
  std::vector<float> w(static_cast<std::size_t>(n));
  for (std::int64_t row = 0; row < p.rows; ++row) {
    t.decode(p.weights.data() + static_cast<std::size_t>(row) * row_bytes(p.type, w.size()), w.data(), w.size());
    for (std::int64_t k = 0; k < n; ++k)
      if (got[static_cast<std::size_t>(k * p.rows + row)] != w[static_cast<std::size_t>(k)])
        return "row " + std::to_string(row) + " element " + std::to_string(k);
  }
  return {};
}

}  // namespace retort::kernels::test
