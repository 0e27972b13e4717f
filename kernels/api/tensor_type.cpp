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
    TypeTraits{kU16, "U16", "16-bit unsigned integer", 1, 2, -1, &ref::decode_u16},
    TypeTraits{kU32, "U32", "32-bit unsigned integer", 1, 4, -1, &ref::decode_u32},
    TypeTraits{kU64, "U64", "64-bit unsigned integer", 1, 8, -1, &ref::decode_u64},
    TypeTraits{kF8_E4M3, "F8_E4M3", "8-bit float, 4 exponent bits", 1, 1, -1, &ref::decode_f8_e4m3},
    TypeTraits{kF8_E5M2, "F8_E5M2", "8-bit float, 5 exponent bits", 1, 1, -1, &ref::decode_f8_e5m2},
    TypeTraits{kIQ4_NL, "IQ4_NL", "4-bit, uneven levels, blocks of 32", 32, sizeof(BlockIQ4_NL), 20, &ref::decode_iq4_nl},
    TypeTraits{kIQ4_XS, "IQ4_XS", "4-bit, uneven levels, super-blocks of 256", 256, sizeof(BlockIQ4_XS), 23, &ref::decode_iq4_xs},
    TypeTraits{kIQ3_S, "IQ3_S", "3-bit codebook", 256, sizeof(BlockIQ3_S), 21, &ref::decode_iq3_s},
    TypeTraits{kIQ3_XXS, "IQ3_XXS", "3-bit codebook, small", 256, sizeof(BlockIQ3_XXS), 18, &ref::decode_iq3_xxs},
    TypeTraits{kIQ2_S, "IQ2_S", "2-bit codebook, large", 256, sizeof(BlockIQ2_S), 22, &ref::decode_iq2_s},
    TypeTraits{kIQ2_XS, "IQ2_XS", "2-bit codebook", 256, sizeof(BlockIQ2_XS), 17, &ref::decode_iq2_xs},
    TypeTraits{kIQ2_XXS, "IQ2_XXS", "2-bit codebook, small", 256, sizeof(BlockIQ2_XXS), 16, &ref::decode_iq2_xxs},
    TypeTraits{kIQ1_M, "IQ1_M", "1.75-bit codebook", 256, sizeof(BlockIQ1_M), 29, &ref::decode_iq1_m},
    TypeTraits{kIQ1_S, "IQ1_S", "1.5-bit codebook", 256, sizeof(BlockIQ1_S), 19, &ref::decode_iq1_s},
    TypeTraits{kTQ1_0, "TQ1_0", "ternary, five a byte", 256, sizeof(BlockTQ1_0), 34, &ref::decode_tq1_0},
    TypeTraits{kTQ2_0, "TQ2_0", "ternary, four a byte", 256, sizeof(BlockTQ2_0), 35, &ref::decode_tq2_0},
    TypeTraits{kMXFP4, "MXFP4", "4-bit float, power-of-two scales, blocks of 32", 32, sizeof(BlockMXFP4), 39, &ref::decode_mxfp4},
    TypeTraits{kNVFP4, "NVFP4", "4-bit float, 8-bit scales, blocks of 16", 64, sizeof(BlockNVFP4), 40, &ref::decode_nvfp4},
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
