// What the cases of cuda_*_cases.h share: values in device memory, weights, errors. The cases hold every kernel of kernels/cuda
// against the CPU reference, through the functions that the plug-in itself calls, on whatever device they are linked with: the
// simulated one everywhere, a real one where there is one.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
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

inline std::vector<double> in_f64(const std::vector<float>& x) { return {x.begin(), x.end()}; }

}  // namespace retort::cuda::test
