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

}  // namespace retort::kernels::reference
