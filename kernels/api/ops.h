// The operations of models other than the linear, f32 in and out. One signature each; every kernel of an
// operation has it, and dispatch/ops.h gives the best one of this machine. Rows are tokens. All row-major.
#pragma once

#include <cstddef>
#include <cstdint>

namespace retort::kernels {

// y = x / sqrt(mean(x²) + epsilon) · (weight + weight_offset). Rows of n. (Zhang & Sennrich 2019; offset 1 for Gemma.)
using RmsNorm = void (*)(const float* x, const float* weight, float weight_offset, float epsilon, float* y, std::size_t rows,
                         std::size_t n);
// y = (x - mean) / sqrt(variance + epsilon) · weight + bias; bias may be null.
using LayerNorm = void (*)(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                           std::size_t rows, std::size_t n);
// y += x.
using AddInto = void (*)(const float* x, float* y, std::size_t n);
// out = silu(gate) · up.
using SiluGate = void (*)(const float* gate, const float* up, float* out, std::size_t n);

// Functions of one value. (Hendrycks & Gimpel 2016 for the three forms of GELU.)
enum class Activation : std::uint8_t {
  kSilu,          // x / (1 + e^-x)
  kGelu,          // x · (1 + erf(x / √2)) / 2
  kGeluTanh,      // x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2
  kGeluQuick,     // x / (1 + e^(-1.702 x))
  kRelu,          // max(x, 0)
  kReluSquared,   // max(x, 0)²
  kTanh,
  kSigmoid,       // 1 / (1 + e^-x)
};
// y = f(x); y may be x.
using Activate = void (*)(Activation f, const float* x, float* y, std::size_t n);
// y *= x.
using MultiplyInto = void (*)(const float* x, float* y, std::size_t n);
// y *= factor.
using Scale = void (*)(float factor, float* y, std::size_t n);
// y = cap · tanh(y / cap). (Gemma 2.)
using SoftCap = void (*)(float cap, float* y, std::size_t n);

// Rotates the first `rotary` of `head_dim` values of each head of one row in place (Su et al. 2021).
// cosine/sine: [rotary / 2] for this row's position. `interleaved`: pairs (2i, 2i+1); else (i, i + rotary/2).
using Rope = void (*)(float* x, const float* cosine, const float* sine, std::size_t heads, std::size_t head_dim,
                      std::size_t rotary, bool interleaved);

// Attention of one query head group over an f16 or f32 KV cache, or over all tokens of an encoder.
// score = scale · query · key, then soft_cap · tanh(score / soft_cap), then + bias.
struct AttentionArgs {
  const float* query;        // [tokens, q_stride]; head h of token t at t·q_stride + h·head_dim
  std::int64_t q_stride;
  const void* keys;          // [capacity, kv_heads, head_dim], f16 or f32
  const void* values;        // the same shape
  bool cache_f16;
  float* out;                // [tokens, out_stride]
  std::int64_t out_stride;
  std::int64_t tokens;       // new tokens; token t sees cache positions 0 … past + t
  std::int64_t past;         // positions before these tokens
  std::int64_t kv_heads, head_dim;
  std::int64_t group;        // query heads per key/value head
  std::int64_t window;       // 0: all; w: the query itself and the w-1 before
  float scale;               // usually 1/sqrt(head_dim)
  bool bidirectional;        // every token sees positions 0 … past + tokens - 1; `window` must be 0
  float soft_cap;            // 0: none
  const float* bias;         // null: none; else that of head h for the key d positions after the query lies at
  std::int64_t bias_stride;  //   h·bias_stride + bias_zero + d
  std::int64_t bias_zero;
};
// One unit of work: query head `head` for tokens [first, first + count). `scratch` holds attention_scratch_floats().
using Attention = void (*)(const AttentionArgs& args, std::int64_t head, std::int64_t first, std::int64_t count,
                           float* scratch);

}  // namespace retort::kernels
