// The quantizers, one function each; registry.cpp lists them. Shared pieces of the packed families are below.
#pragma once

#include <cstdint>
#include <vector>

#include "core/quantize/quantizer.h"

namespace retort {

// dense.cpp
const Quantizer& dense_f32() noexcept;
const Quantizer& dense_f16() noexcept;
const Quantizer& dense_bf16() noexcept;
// int8.cpp
const Quantizer& int8_per_row() noexcept;
// blocks_of_32.cpp
const Quantizer& q4_0() noexcept;
const Quantizer& q4_1() noexcept;
const Quantizer& q5_0() noexcept;
const Quantizer& q5_1() noexcept;
const Quantizer& q8_0() noexcept;
// affine_k.cpp
const Quantizer& q2_k() noexcept;
const Quantizer& q4_k() noexcept;
const Quantizer& q5_k() noexcept;
// symmetric_k.cpp
const Quantizer& q3_k() noexcept;
const Quantizer& q6_k() noexcept;

// Σ x², added up in order. Several rows are summed side by side, since one sum alone waits for each addition.
void sums_of_squares(const float* rows, std::int64_t count, std::int64_t columns, float* sums) noexcept;

// Weights of the squared errors under an importance matrix: importance · sqrt(spread + x²), so that columns that matter
// and values that are large both count. `spread` is the mean square around them.
void weigh(const float* values, const float* importance, float spread, int n, float* weights) noexcept;

}  // namespace retort
