// Small helpers of the training tests: tensors of a safetensors file, comparisons, random numbers.
#pragma once

#include <QtTest>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/base/error_text.h"
#include "core/formats/checkpoint.h"

namespace retort::vectors {

// The folder of shared references; empty when there is none.
inline std::filesystem::path shared(const char* part) {
  const char* root = std::getenv("RETORT_SHARED");
  if (root == nullptr || *root == '\0') return {};
  const std::filesystem::path path = std::filesystem::path(root) / part;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) qFatal("%s", error_text(result.error()).c_str());
  return std::move(result).value();
}
inline void must(const Result<void>& result) {
  if (!result.ok()) qFatal("%s", error_text(result.error()).c_str());
}

inline const TensorEntry& entry(const Checkpoint& file, const std::string& name) {
  const TensorEntry* found = file.find(name);
  if (found == nullptr) qFatal("no tensor %s", name.c_str());
  return *found;
}

template <class T, class Stored>
std::vector<T> read_as(const TensorEntry& tensor) {
  std::vector<T> out(static_cast<std::size_t>(tensor.elements()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, tensor.data.data() + i * sizeof(value), sizeof(value));
    out[i] = static_cast<T>(value);
  }
  return out;
}

inline std::vector<float> floats(const Checkpoint& file, const std::string& name) {
  const TensorEntry& tensor = entry(file, name);
  return tensor.type == TensorType::kF64 ? read_as<float, double>(tensor) : read_as<float, float>(tensor);
}
template <class T = std::int64_t>
std::vector<T> integers(const Checkpoint& file, const std::string& name) {
  return read_as<T, std::int64_t>(entry(file, name));
}

inline std::vector<float> random_floats(std::size_t n, std::uint32_t seed, float scale = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(n);
  for (float& x : out) x = normal(engine);
  return out;
}

// ‖a - b‖ / ‖b‖.
template <class A, class B>
double relative_distance(const A& a, const B& b) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    length += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference) / std::max(std::sqrt(length), 1e-30);
}

template <class A, class B>
double largest_difference(const A& a, const B& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

// A number compared with a tolerance that the message shows.
inline bool near(double found, double expected, double tolerance, const char* what) {
  if (std::abs(found - expected) <= tolerance) return true;
  qWarning("%s: found %.9g, expected %.9g, tolerance %.3g", what, found, expected, tolerance);
  return false;
}

}  // namespace retort::vectors
