// Every element type that a tensor can have, dense or packed, with its block geometry and its decoder.
// To add one: its struct in blocks.h, a decoder in reference/, one line in tensor_type.cpp, one test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace retort::kernels {

enum class TensorType : std::uint8_t {
  kF32, kF16, kBF16, kF64, kI8, kI16, kI32, kI64, kU8,
  kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0,
  kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K,
  // The tensor store keeps these numbers: new types go to the end.
  kU16, kU32, kU64, kF8_E4M3, kF8_E5M2,
  kIQ4_NL, kIQ4_XS, kIQ3_S, kIQ3_XXS, kIQ2_S, kIQ2_XS, kIQ2_XXS, kIQ1_M, kIQ1_S,
  kTQ1_0, kTQ2_0, kMXFP4, kNVFP4,
  kCount
};

// Decodes n elements (a multiple of the block size) that lie back to back in `packed`.
using DecodeRow = void (*)(const void* packed, float* out, std::size_t n);

struct TypeTraits {
  TensorType type;
  std::string_view name;       // "Q4_K": as users and files of the field write it
  std::string_view plain;      // "4-bit, super-blocks of 256"
  std::uint32_t block_size;    // elements that share one block; 1 for dense types
  std::uint32_t block_bytes;   // bytes of one block, scales included
  std::int32_t ggml_id;        // number in GGUF files; -1 when GGUF has none
  DecodeRow decode;            // reference decoder to f32; exact
  constexpr double bits_per_weight() const { return 8.0 * block_bytes / block_size; }
  constexpr bool packed() const { return block_size > 1; }
};

// All types, in the order of the enum.
std::span<const TypeTraits> tensor_types() noexcept;
const TypeTraits& traits(TensorType type) noexcept;
// nullptr when there is none. Names are compared without regard to case.
const TypeTraits* find_type(std::string_view name) noexcept;
const TypeTraits* find_ggml_type(std::int32_t ggml_id) noexcept;

// Bytes of a row of `columns` elements; columns must be a multiple of the block size.
inline std::size_t row_bytes(TensorType type, std::size_t columns) noexcept {
  const TypeTraits& t = traits(type);
  return columns / t.block_size * t.block_bytes;
}

}  // namespace retort::kernels
