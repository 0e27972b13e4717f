// How fast this machine is at what a student costs, measured in a few milliseconds the first time that it is asked and
// remembered for the life of the process.
#pragma once

#include "kernels/api/tensor_type.h"
#include "core/distill/grids.h"
#include "kernels/api/matmul.h"

namespace retort::distill {

struct TrainingRates {
  double matmul = 0;      // operations per second of a product as training has it, 2 each
  double elements = 0;    // values per second of a norm with its gradient, which other row-wise work is like
  double parameters = 0;  // parameters per second that AdamW steps
};
TrainingRates training_rates(int threads, kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32);
// Operations per second of a linear over many rows, as inference runs it (q8 activations for packed types).
double linear_rate(kernels::TensorType type, int threads);
// Bytes per second that are read from memory, once each.
double read_rate(int threads);
// Weights per second that are packed into this type, or into the grid.
double packing_rate(kernels::TensorType type, int threads);
double packing_rate(const Grid& grid, int threads);

}  // namespace retort::distill
