// What the AVX2 level offers to the dispatch lists. Needs AVX2, FMA and F16C.
#pragma once

#include "kernels/api/linear_kernel.h"
#include "kernels/api/ops.h"

namespace retort::kernels::avx2 {

void round_row(Q8Layout layout, const float* x, std::size_t n, const Q8Row& out);
void expand_row(Q8Layout layout, const Q8Row& row, std::size_t n, float* out);

// Integer kernels over weights interleaved by 8; any number of tokens.
void linear_q8_32(const LinearTile& tile);
void linear_q8_k(const LinearTile& tile);
void linear_int8(const LinearTile& tile);

// f32 activations: packed weights interleaved by 8, any number of tokens.
void linear_f32_interleaved(const LinearTile& tile);
// Dense weights as stored: F32, F16, BF16. The first for few tokens.
void linear_dense_few(const LinearTile& tile);
void linear_dense(const LinearTile& tile);

// Weights of any stored type or in several parts, decoded 256 columns at a time; any number of tokens.
void linear_decoded(const LinearTile& tile);

// Decodes n stored elements, bit for bit as the reference does. False for the dense types that it leaves to the reference.
bool decode(TensorType type, const void* packed, float* out, std::size_t n);
void to_f16(const float* x, std::size_t n, void* out);

void rms_norm(const float* x, const float* weight, float weight_offset, float epsilon, float* y, std::size_t rows,
              std::size_t n);
void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, std::size_t rows,
                std::size_t n);
void add_into(const float* x, float* y, std::size_t n);
void silu_gate(const float* gate, const float* up, float* out, std::size_t n);
void activate(Activation f, const float* x, float* y, std::size_t n);
void multiply_into(const float* x, float* y, std::size_t n);
void scale(float factor, float* y, std::size_t n);
void soft_cap(float cap, float* y, std::size_t n);
void rope(float* x, const float* cosine, const float* sine, std::size_t heads, std::size_t head_dim,
          std::size_t rotary, bool interleaved);
void attention(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count, float* scratch);

}  // namespace retort::kernels::avx2
