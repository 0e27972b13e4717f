// Reference kernels of training: plain C++, sums in f64.
#pragma once

#include "kernels/api/matmul.h"
#include "kernels/api/train_ops.h"

namespace retort::kernels::reference {

double softmax_row(const float* x, float scale, float* out, std::size_t n);
void rms_norm_backward(const float* x, const float* weight, float weight_offset, float epsilon, const float* dy, float* dx,
                       bool accumulate, float* dweight, std::size_t rows, std::size_t n);
void layer_norm_backward(const float* x, const float* weight, float epsilon, const float* dy, float* dx, bool accumulate,
                         float* dweight, float* dbias, std::size_t rows, std::size_t n);
void silu_gate_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup, std::size_t n);
void gelu_backward(const float* x, const float* dy, float* dx, std::size_t n);
void gelu_tanh_backward(const float* x, const float* dy, float* dx, std::size_t n);
void activate_backward(Activation f, const float* x, const float* dy, float* dx, std::size_t n);
void adamw(const AdamWStep& step, const float* gradient, float* weight, float* first, float* second, std::size_t n);
double sum_squares(const float* x, std::size_t n);
void matmul(const MatmulTile& tile);
void matmul_bf16(const MatmulTile& tile);

}  // namespace retort::kernels::reference
