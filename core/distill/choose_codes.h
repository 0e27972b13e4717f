// New codes for packed weights, by what the linears read on the training text: the first half of "repair". Each linear is given
// codes with which it comes as close as it can to what it says in the dense student: rounding errors of a row make up for each
// other (input_factor.h). Scales stay as they are. Errors of the layers before are not made up for: that needs each linear's
// codes before the next one's input is known, a pass over the text for each.
#pragma once

#include "core/distill/packed_weights.h"
#include "core/distill/training_data.h"

namespace retort::distill {

struct CodeChoice {
  std::int64_t tokens = 8192;    // of the training text, at least one example
  double damping = 0.01;         // of the mean of the inputs' squares
  std::uint64_t seed = 1;        // which examples
};

// After PackedWeights::round and before hold_codes; the masters are the dense student's. The same codes come out whatever the
// number of threads. Errors: kBadData (no text), kOutOfMemory, kNonFinite, kCanceled.
Result<void> choose_codes(const Model& student, Parameters& parameters, PackedWeights& packed, std::span<const TrainingExample> examples,
                          const CodeChoice& choice, kernels::ThreadPool& pool, const JobContext& job);

}  // namespace retort::distill
