// Weights for tests: a fixed sequence, exact in f32, bell-shaped with some outliers, the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace retort::test {

class Sequence {
 public:
  explicit Sequence(std::uint64_t seed) : state_(seed) {}
  std::uint32_t next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<std::uint32_t>(state_ >> 33);
  }
  // Multiples of 2^-16 in [0, 1).
  float unit() { return static_cast<float>(next() & 0xffff) * 0x1p-16f; }

 private:
  std::uint64_t state_;
};

inline std::vector<float> sample_weights(std::int64_t n, std::uint64_t seed = 1) {
  Sequence sequence(seed);
  std::vector<float> out;
  for (std::int64_t i = 0; i < n; ++i) {
    const float bell = sequence.unit() + sequence.unit() + sequence.unit() + sequence.unit() - 2.0f;
    out.push_back(sequence.next() % 97 == 0 ? bell * 0.25f : bell * 0.0625f);
  }
  return out;
}

// Column importances over three orders of magnitude.
inline std::vector<float> sample_importance(std::int64_t columns, std::uint64_t seed = 2) {
  Sequence sequence(seed);
  std::vector<float> out;
  for (std::int64_t i = 0; i < columns; ++i) {
    const float u = sequence.unit();
    out.push_back(0.001f + u * u * u * u);
  }
  return out;
}

}  // namespace retort::test
