#include "kernels/api/tensor_type.h"

#include <array>

#include "kernels/api/blocks.h"
#include "kernels/reference/decode.h"

namespace retort::kernels {
namespace {

using enum TensorType;
namespace ref = reference;

constexpr std::array kTypes = {
    TypeTraits{kF32, "F32", "32-bit float", 1, 4, 0, &ref::decode_f32},
    TypeTraits{kF16, "F16", "16-bit float", 1, 2, 1, &ref::decode_f16},
    TypeTraits{kBF16, "BF16", "16-bit brain float", 1, 2, 30, &ref::decode_bf16},
    TypeTraits{kF64, "F64", "64-bit float", 1, 8, 28, &ref::decode_f64},
    TypeTraits{kI8, "I8", "8-bit integer", 1, 1, 24, &ref::decode_i8},
    TypeTraits{kI16, "I16", "16-bit integer", 1, 2, 25, &ref::decode_i16},
    TypeTraits{kI32, "I32", "32-bit integer", 1, 4, 26, &ref::decode_i32},
    TypeTraits{kI64, "I64", "64-bit integer", 1, 8, 27, &ref::decode_i64},
    TypeTraits{kU8, "U8", "8-bit unsigned integer", 1, 1, -1, &ref::decode_u8},
    TypeTraits{kQ4_0, "Q4_0", "4-bit, blocks of 32", 32, sizeof(BlockQ4_0), 2, &ref::decode_q4_0},
    TypeTraits{kQ4_1, "Q4_1", "4-bit with minimum, blocks of 32", 32, sizeof(BlockQ4_1), 3, &ref::decode_q4_1},
    TypeTraits{kQ5_0, "Q5_0", "5-bit, blocks of 32", 32, sizeof(BlockQ5_0), 6, &ref::decode_q5_0},
    TypeTraits{kQ5_1, "Q5_1", "5-bit with minimum, blocks of 32", 32, sizeof(BlockQ5_1), 7, &ref::decode_q5_1},
    TypeTraits{kQ8_0, "Q8_0", "8-bit, blocks of 32", 32, sizeof(BlockQ8_0), 8, &ref::decode_q8_0},
    TypeTraits{kQ2_K, "Q2_K", "2-bit, super-blocks of 256", 256, sizeof(BlockQ2_K), 10, &ref::decode_q2_k},
    TypeTraits{kQ3_K, "Q3_K", "3-bit, super-blocks of 256", 256, sizeof(BlockQ3_K), 11, &ref::decode_q3_k},
    TypeTraits{kQ4_K, "Q4_K", "4-bit, super-blocks of 256", 256, sizeof(BlockQ4_K), 12, &ref::decode_q4_k},
    TypeTraits{kQ5_K, "Q5_K", "5-bit, super-blocks of 256", 256, sizeof(BlockQ5_K), 13, &ref::decode_q5_k},
    TypeTraits{kQ6_K, "Q6_K", "6-bit, super-blocks of 256", 256, sizeof(BlockQ6_K), 14, &ref::decode_q6_k},
};
static_assert(kTypes.size() == static_cast<std::size_t>(kCount));
static_assert([] {
  for (std::size_t i = 0; i < kTypes.size(); ++i)
    if (kTypes[i].type != static_cast<TensorType>(i)) return false;
  return true;
}(), "the table must follow the order of the enum");

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_without_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

}  // namespace

std::span<const TypeTraits> tensor_types() noexcept { return kTypes; }

const TypeTraits& traits(TensorType type) noexcept { return kTypes[static_cast<std::size_t>(type)]; }

const TypeTraits* find_type(std::string_view name) noexcept {
  for (const TypeTraits& t : kTypes)
    if (equal_without_case(t.name, name)) return &t;
  return nullptr;
}

const TypeTraits* find_ggml_type(std::int32_t ggml_id) noexcept {
  if (ggml_id < 0) return nullptr;  // -1 marks types that GGUF does not have
  for (const TypeTraits& t : kTypes)
    if (t.ggml_id == ggml_id) return &t;
  return nullptr;
}

}  // namespace retort::kernels
