// Weights for tests: random codes with finite scales, among them zero, subnormal and negative ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/api/tensor_type.h"

namespace retort::kernels::test {

// Byte offsets of a block's f16 fields: the scale, and the minimum or minimum's scale (-1: none).
struct ScaleFields { int scale, minimum; };

inline ScaleFields scale_fields(TensorType type) {
  switch (type) {
    case TensorType::kQ4_1: case TensorType::kQ5_1: case TensorType::kQ4_K: case TensorType::kQ5_K: return {0, 2};
    case TensorType::kQ2_K: return {80, 82};
    case TensorType::kQ3_K: return {108, -1};
    case TensorType::kQ6_K: return {208, -1};
    case TensorType::kTQ1_0: return {52, -1};
    case TensorType::kTQ2_0: return {64, -1};
    case TensorType::kIQ1_M: case TensorType::kMXFP4: case TensorType::kNVFP4: return {-1, -1};   // see keep_small()
    default: return {0, -1};
  }
}

// The largest minimum that a block can take off: what a sum of products may hold besides the weights themselves.
inline double minimum_magnitude(TensorType type, const std::uint8_t* block) {
  const int at = scale_fields(type).minimum;
  if (at < 0) return 0;
  std::uint16_t half;
  std::memcpy(&half, block + at, sizeof(half));
  const double value = std::fabs(static_cast<double>(f16_to_f32(half)));
  return type == TensorType::kQ2_K ? 15 * value : type == TensorType::kQ4_K || type == TensorType::kQ5_K ? 63 * value : value;
}

// Scales that are no plain f16: bits that keep them finite and small.
inline void keep_small(TensorType type, std::uint8_t* block, std::uint32_t random) {
  if (type == TensorType::kIQ1_M) block[55] = static_cast<std::uint8_t>((block[55] & 0x0f) | 0x20);
  if (type == TensorType::kMXFP4) block[0] = static_cast<std::uint8_t>(118 + random % 12);
}

inline std::vector<std::uint8_t> random_weights(TensorType type, std::int64_t rows, std::int64_t columns,
                                                std::uint32_t seed) {
  const TypeTraits& t = traits(type);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(rows) * row_bytes(type, static_cast<std::size_t>(columns)));
  const auto n = static_cast<std::size_t>(rows * columns);
  if (type == TensorType::kF32) {
    for (std::size_t i = 0; i < n; ++i) {
      const float value = uniform(random);
      std::memcpy(bytes.data() + 4 * i, &value, 4);
    }
    return bytes;
  }
  if (type == TensorType::kF16 || type == TensorType::kBF16) {
    for (std::size_t i = 0; i < n; ++i) {
      const float value = uniform(random);
      const std::uint16_t half = type == TensorType::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
      std::memcpy(bytes.data() + 2 * i, &half, 2);
    }
    return bytes;
  }
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  if (type == TensorType::kF8_E4M3 || type == TensorType::kF8_E5M2)
    for (std::uint8_t& byte : bytes) byte &= 0xbf;   // neither infinite nor NaN
  if (!t.packed()) return bytes;
  const ScaleFields fields = scale_fields(type);
  for (std::size_t b = 0; b < bytes.size() / t.block_bytes; ++b) {
    std::uint8_t* const block = bytes.data() + b * t.block_bytes;
    const auto put = [&](int at, float value) {
      const std::uint16_t half = f32_to_f16(value);
      if (at >= 0) std::memcpy(block + at, &half, 2);
    };
    const std::uint32_t kind = random() % 16;
    keep_small(type, block, random());
    put(fields.scale, kind == 0 ? 0.0f : kind == 1 ? 0x3p-24f : 0.05f * uniform(random));
    put(fields.minimum, kind == 2 ? 0.0f : 0.05f * uniform(random));
    if (kind == 3) std::memset(block + (t.block_bytes > 80 ? 16 : 4), 0xff, 12);  // extreme codes
  }
  return bytes;
}

}  // namespace retort::kernels::test
