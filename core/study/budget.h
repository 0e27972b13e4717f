// Types per tensor so that a file has at most a given size: from measured errors, greedily where a byte buys most.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/job.h"
#include "core/model/model.h"
#include "core/quantize/importance.h"
#include "core/quantize/levels.h"
#include "kernels/api/thread_pool.h"

namespace retort {

struct BudgetPlan {
  std::vector<TypeOverride> overrides;     // one for each weight that changes, by exact name
  std::uint64_t file_bytes = 0;
};

// Bytes of the file that a choice of types (by WeightId) would give.
using FileBytes = std::function<Result<std::uint64_t>(const std::vector<TensorType>&)>;

// Every matrix starts at its smallest type; then, again and again, the step that lowers Σ elements · (relative error)²
// most per byte is taken, until nothing fits any more. Errors are measured on rows spread over each tensor.
// Errors: kBadArgument (even the smallest types need more: says how much), kCanceled.
Result<BudgetPlan> plan_budget(const Model& model, std::uint64_t budget, const ImportanceMatrix* importance,
                               const FileBytes& file_bytes, kernels::ThreadPool& pool, const JobContext& job);

}  // namespace retort
