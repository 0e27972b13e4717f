// Linears: products with one row of activations, with a few, and with many.
#pragma once

#include "cuda_cases.h"

namespace retort::cuda::test {

struct LinearShape {
  std::int64_t rows, columns, tokens;
  bool two_terms = false;   // of f16 to an activation, where tokens > kFewTokens
};

inline std::string shape_text(const TypePair& type, const LinearShape& shape) {
  return std::string(type.name) + " rows " + std::to_string(shape.rows) + " columns " + std::to_string(shape.columns) + " tokens " +
         std::to_string(shape.tokens) + (shape.two_terms ? " two terms" : "");
}

// Two matrices of one type on the same activations, the second with a bias; outputs [tokens, rows] of each.
inline std::vector<std::vector<float>> run_linears(Stream& stream, const TypePair& type, const kernels::test::Problem& p,
                                                   const std::vector<float>& bias, bool two_terms) {
  const std::size_t tokens = static_cast<std::size_t>(p.m), columns = static_cast<std::size_t>(p.columns), rows = static_cast<std::size_t>(p.rows);
  std::vector<float> x;
  for (std::size_t t = 0; t < tokens; ++t)
    x.insert(x.end(), p.x.begin() + static_cast<std::ptrdiff_t>(t * static_cast<std::size_t>(p.x_stride)),
             p.x.begin() + static_cast<std::ptrdiff_t>(t * static_cast<std::size_t>(p.x_stride) + columns));
  const OnDevice<float> on_device(stream, x), biases(stream, bias);
  const Weights weights(stream, type.type, p.weights, p.rows, p.columns);
  const std::vector<float> poison(tokens * rows, NAN);
  const OnDevice<float> first(stream, poison), second(stream, poison);
  const OnDevice<std::uint16_t> rounded(stream, std::vector<std::uint16_t>((two_terms ? 2 : 1) * tokens * (columns + 256), 0x7e00));
  const OnDevice<float> scales(stream, std::vector<float>(tokens, NAN));
  LinearJob job{};
  job.type = type.type;
  job.x = on_device.data();
  job.tokens = static_cast<std::int32_t>(p.m);
  job.columns = static_cast<std::int32_t>(p.columns);
  job.count = 2;
  job.targets[0] = {weights.matrix, nullptr, first.data()};
  job.targets[1] = {weights.matrix, biases.data(), second.data()};
  job.two_terms = two_terms;
  job.rounded = rounded.data();
  job.scales = scales.data();
  job.multiprocessors = 4;
  launch_linears(stream, job);
  return {first.values(), second.values()};
}

// Each output within a derived bound, and the normalized error small. Few rows: sums of n products in f32. More: weights
// rounded to 11 bits (F16's are exact), activations to 11 bits or 22, and what lies below f16's smallest number.
inline std::string linear_case(Stream& stream, const TypePair& type, const LinearShape& shape) {
  const auto [rows, columns, tokens, two_terms] = shape;
  const kernels::test::Problem p(type.stored, rows, columns, tokens);
  std::vector<double> y, magnitude;
  kernels::test::expect(p, kernels::Q8Layout::kNone, y, magnitude);
  const std::vector<float> bias = kernels::test::random_floats(static_cast<std::size_t>(rows), 3);
  const std::vector<std::vector<float>> got = run_linears(stream, type, p, bias, two_terms);
  const std::string where = shape_text(type, shape);
  const bool f16 = tokens > kFewTokens && type.type != Type::kF32;
  const double rounding = (type.type == Type::kF16 ? 0 : 0x1p-11) + (two_terms ? 0x1p-22 : 0x1p-11);
  const double most = !f16 ? 1e-12 : two_terms && type.type == Type::kF16 ? 1e-11 : two_terms ? 1e-7 : 2e-7;
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
        allowed += 1.01 * rounding * magnitude[i] + sum * 0x1p-25 + static_cast<double>(columns) * greatest * 0x1p-36;
      }
      const double error = std::fabs(static_cast<double>(got[o][i]) - want[i]);
      if (!(error <= allowed))
        return where + " output " + std::to_string(o) + " at " + std::to_string(i) + ": " + std::to_string(got[o][i]) + " for " + std::to_string(want[i]) +
               ", allowed " + std::to_string(allowed);
    }
    const double error = normalized_error(got[o], want);
    if (!(error < most)) return where + ": normalized error " + std::to_string(error * 1e9) + "e-9";
  }
  return {};
}

// Whole numbers that both f16 and f32 hold exactly, so that every output is exact: shows any wrong index.
inline std::string exact_linear_case(Stream& stream, const TypePair& type, const LinearShape& shape) {
  const auto [rows, columns, tokens, two_terms] = shape;
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
  const std::vector<std::vector<float>> got = run_linears(stream, type, p, zeros, two_terms);
  for (std::size_t o = 0; o < 2; ++o)
    for (std::size_t i = 0; i < y.size(); ++i)
      if (got[o].size() != y.size() || static_cast<double>(got[o][i]) != y[i])
        return shape_text(type, shape) + " at " + std::to_string(i) + ": " + (got[o].size() == y.size() ? std::to_string(got[o][i]) : last_failure()) +
               " for " + std::to_string(y[i]);
  return {};
}

}  // namespace retort::cuda::test
