// The reference kernels: plain C++, kept simple, the definition of correct. Sums are in f64.
#pragma once

#include "kernels/api/activations.h"
#include "kernels/api/linear_kernel.h"
#include "kernels/api/ops.h"

namespace retort::kernels::reference {

void round_row(Q8Layout layout, const float* x, std::size_t n, const Q8Row& out);
void expand_row(Q8Layout layout, const Q8Row& row, std::size_t n, float* out);

// Any type: decodes row by row and multiplies the (rounded) f32 activations.
void linear_tile(const LinearTile& tile);
// I8 with row scales: exact integer sums.
void int8_tile(const LinearTile& tile);

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

}  // namespace retort::kernels::reference
