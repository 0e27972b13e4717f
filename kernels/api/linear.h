// y = x · Wᵀ for weights of any type: the operation that everything else waits for.
//
// A weight is bound once (its kernel chosen, its rows repacked where a kernel wants that) and then used from many
// threads. Two ways of computing with packed weights, chosen at binding:
//   kF32  the weights are decoded exactly and multiplied in f32;
//   kQ8   the activations are first rounded to 8 bits per block exactly as llama.cpp does for that weight type (Q8_0,
//         Q8_1 or Q8_K blocks), then multiplied. For one token this runs in integers, for many the rounded
//         activations may go through f32: the same numbers up to f32 rounding.
// Dense weights (F32, F16, BF16, F8), the types that only the generic kernels know (IQ, ternary, 4-bit floats) and weights
// that lie in several parts (WeightSource) are always kF32. I8 weights with row scales (INT8) round each row of activations to
// s8 with scale max|x|/127 and multiply in integers, in either mode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/api/tensor_type.h"
#include "kernels/api/thread_pool.h"

namespace retort::kernels {

enum class Activations : std::uint8_t { kF32, kQ8 };

// A weight whose numbers lie in several stored tensors (GPTQ, AWQ …): decodes any rectangle of it, from any thread.
struct WeightSource {
  // out[r * columns + c] = weight[first_row + r, first_column + c].
  void (*decode)(const void* self, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                 std::int64_t columns, float* out) = nullptr;
  const void* self = nullptr;
};

// A weight as the file or the tensor store holds it: `rows` outputs of `columns` inputs, row-major.
struct Weight {
  TensorType type = TensorType::kF32;
  const void* data = nullptr;
  const float* row_scales = nullptr;  // I8 only: one per row
  std::int64_t rows = 0, columns = 0;
  const WeightSource* source = nullptr;      // set: `data` is null and `type` is kF32; outlives whoever is bound
};

class BoundLinear;  // defined in dispatch/linear.h; movable, owns its repacked copy if any

}  // namespace retort::kernels
