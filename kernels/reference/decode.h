// Reference decoders: the definition of what packed bytes mean. Exact in f32; the source may be unaligned.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort::kernels::reference {

void decode_f32(const void* packed, float* out, std::size_t n);
void decode_f16(const void* packed, float* out, std::size_t n);
void decode_bf16(const void* packed, float* out, std::size_t n);
// Rounded to the nearest f32.
void decode_f64(const void* packed, float* out, std::size_t n);
void decode_i8(const void* packed, float* out, std::size_t n);
void decode_u8(const void* packed, float* out, std::size_t n);
void decode_i16(const void* packed, float* out, std::size_t n);
// Rounded to the nearest f32 above 2^24.
void decode_i32(const void* packed, float* out, std::size_t n);
void decode_i64(const void* packed, float* out, std::size_t n);
void decode_u16(const void* packed, float* out, std::size_t n);
void decode_u32(const void* packed, float* out, std::size_t n);
void decode_u64(const void* packed, float* out, std::size_t n);
// OCP 8-bit floats: E4M3 ("fn": no infinity, NaN is S.1111.111) and E5M2 (as the upper byte of an f16).
void decode_f8_e4m3(const void* packed, float* out, std::size_t n);
void decode_f8_e5m2(const void* packed, float* out, std::size_t n);

void decode_q4_0(const void* packed, float* out, std::size_t n);
void decode_q4_1(const void* packed, float* out, std::size_t n);
void decode_q5_0(const void* packed, float* out, std::size_t n);
void decode_q5_1(const void* packed, float* out, std::size_t n);
void decode_q8_0(const void* packed, float* out, std::size_t n);

void decode_q2_k(const void* packed, float* out, std::size_t n);
void decode_q3_k(const void* packed, float* out, std::size_t n);
void decode_q4_k(const void* packed, float* out, std::size_t n);
void decode_q5_k(const void* packed, float* out, std::size_t n);
void decode_q6_k(const void* packed, float* out, std::size_t n);

void decode_iq4_nl(const void* packed, float* out, std::size_t n);
void decode_iq4_xs(const void* packed, float* out, std::size_t n);
void decode_iq3_s(const void* packed, float* out, std::size_t n);
void decode_iq3_xxs(const void* packed, float* out, std::size_t n);
void decode_iq2_s(const void* packed, float* out, std::size_t n);
void decode_iq2_xs(const void* packed, float* out, std::size_t n);
void decode_iq2_xxs(const void* packed, float* out, std::size_t n);
void decode_iq1_m(const void* packed, float* out, std::size_t n);
void decode_iq1_s(const void* packed, float* out, std::size_t n);
void decode_tq1_0(const void* packed, float* out, std::size_t n);
void decode_tq2_0(const void* packed, float* out, std::size_t n);
void decode_mxfp4(const void* packed, float* out, std::size_t n);
void decode_nvfp4(const void* packed, float* out, std::size_t n);

}  // namespace retort::kernels::reference
