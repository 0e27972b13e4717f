// The operations that only training needs: backward passes of norms and gates, softmax with its logarithm, the
// optimizer's step. f32 in and out, rows are tokens, row-major. "dy" is the gradient of the loss for y. Gradients of
// inputs are added to what `dx` holds when `accumulate`, else written; gradients of weights are always added.
#pragma once

#include <cstddef>

#include "kernels/api/ops.h"

namespace retort::kernels {

// out[i] = exp(scale · x[i]) / Σ; returns log Σ exp(scale · x). `out` may be `x`.
using SoftmaxRow = double (*)(const float* x, float scale, float* out, std::size_t n);

// y = x · inverse · (weight + weight_offset), inverse = 1 / sqrt(mean(x²) + epsilon).
using RmsNormBackward = void (*)(const float* x, const float* weight, float weight_offset, float epsilon, const float* dy,
                                 float* dx, bool accumulate, float* dweight, std::size_t rows, std::size_t n);
// y = (x - mean) · inverse · weight + bias. dbias may be null.
using LayerNormBackward = void (*)(const float* x, const float* weight, float epsilon, const float* dy, float* dx,
                                   bool accumulate, float* dweight, float* dbias, std::size_t rows, std::size_t n);
// y = silu(gate) · up; writes both gradients. dgate may be dy.
using SiluGateBackward = void (*)(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                                  std::size_t n);
// y = gelu(x), with erf or with the tanh approximation; writes dx, which may be dy.
using GeluBackward = void (*)(const float* x, const float* dy, float* dx, std::size_t n);

// y = f(x) of any activation; writes dx = dy · f'(x), which may be dy.
using ActivateBackward = void (*)(Activation f, const float* x, const float* dy, float* dx, std::size_t n);

// One step of AdamW (Loshchilov & Hutter 2019), in PyTorch's order: g·gradient_scale; w -= rate·decay·w;
// m += (g - m)(1 - beta1); v = beta2·v + (1 - beta2)·g²; w -= rate / correction1 · m / (sqrt(v) / sqrt(correction2) + epsilon).
struct AdamWStep {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0;
  double correction1 = 1, correction2 = 1;   // 1 - beta^step
  double gradient_scale = 1;                 // what clipping multiplies by
};
using AdamW = void (*)(const AdamWStep& step, const float* gradient, float* weight, float* first, float* second,
                       std::size_t n);

// Σ x² in f64.
using SumSquares = double (*)(const float* x, std::size_t n);

}  // namespace retort::kernels
