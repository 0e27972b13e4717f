// What the AVX-512 level offers to the dispatch lists. Needs AVX-512 F, BW, DQ, VL and VNNI besides AVX2.
#pragma once

#include "kernels/api/linear_kernel.h"

namespace retort::kernels::avx512 {

// Integer kernels over weights interleaved by 16; any number of tokens.
void linear_q8_32(const LinearTile& tile);
void linear_q8_k(const LinearTile& tile);
void linear_int8(const LinearTile& tile);
// f32 activations: packed weights interleaved by 16, any number of tokens.
void linear_f32_interleaved(const LinearTile& tile);
// Dense weights as stored: F32, F16, BF16. The first for few tokens.
void linear_dense_few(const LinearTile& tile);
void linear_dense(const LinearTile& tile);

}  // namespace retort::kernels::avx512
