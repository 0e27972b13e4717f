// Whether this plug-in can run a plan, and what it takes on the device: the same checks and sizes before and at opening.
#pragma once

#include <cstdint>

#include "kernels/api/device_plugin.h"
#include "kernels/cuda/matrix.h"

namespace retort::cuda {

// Errors: RETORT_UNSUPPORTED, RETORT_BAD_ARGUMENT; both name the step or weight.
retort_status check_weights(const retort_weight* weights, std::int32_t count);
retort_status check_plan(const retort_plan& plan);
void fill_capabilities(retort_capabilities& out);

// nullptr: not one of ours.
const Type* find_type(std::int32_t gguf_number);

// Whether products of many rows take activations as the sum of two f16: unless the plan lets them be rounded to less than that.
inline bool two_terms(const retort_plan& plan) { return plan.q8_activations == 0; }
// Bytes of a row's activations in f16.
std::uint64_t rounded_row_bytes(const retort_plan& plan);
// Rows that the head is applied to at a time.
std::int64_t head_rows(const retort_plan& plan);

// Bytes of each piece of a session's work space, and of its cache.
struct SessionSizes {
  std::uint64_t cache = 0;       // keys, and as much again for values, of all layers
  std::uint64_t arena = 0, hidden = 0, pooled = 0, output = 0;
  std::uint64_t head_input = 0;  // rows that come from the host
  std::uint64_t rounded = 0;     // activations in f16, one term or two, then their scales
  std::uint64_t partial = 0;     // of attention
  std::uint64_t state = 0;       // ids, positions, sequences
  std::uint64_t ropes = 0;
  std::uint64_t top = 0;
  std::uint64_t sample = 0;      // its state, then the shares; 0: more outputs than can be sampled, or none
  std::uint64_t work() const { return arena + hidden + pooled + output + head_input + rounded + partial + state + ropes + top + sample; }
};
SessionSizes session_sizes(const retort_plan& plan);
std::uint64_t weight_bytes(const retort_weight& weight);

}  // namespace retort::cuda
