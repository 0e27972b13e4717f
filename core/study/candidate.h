// Candidates: which tensors a recipe makes of a source, under which keys, and the model that they give.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/job.h"
#include "core/model/model.h"
#include "core/quantize/importance.h"
#include "core/quantize/levels.h"
#include "core/study/recipe.h"
#include "core/study/tensor_store.h"
#include "kernels/api/thread_pool.h"

namespace retort {

// A weight that the recipe changes. The others stay as the source holds them.
struct DerivedTensor {
  WeightId weight = kNoWeight;
  std::string name;               // canonical
  TensorType type = TensorType::kF32;
  bool takes_importance = false;  // its key, and its bytes, depend on the importance matrix
  Digest key;                     // in the tensor store
};

struct CandidatePlan {
  std::vector<DerivedTensor> tensors;
  std::vector<TensorType> types;          // of every weight, by WeightId
  std::vector<std::pair<std::string, std::string>> fallbacks;   // tensor, "Q4_K wanted, Q5_0 used"
  std::uint64_t bytes = 0;                // of its file
  double bits_per_weight = 0;
};

// `importance` is the digest of what the importance matrix is made from (importance_key), not of its numbers.
// Errors: kBadRecipe, those of plan_level.
Result<CandidatePlan> plan_candidate(const Model& source, const Digest& source_digest, const Recipe& recipe,
                                     const Digest& importance);
bool uses_importance(const Recipe& recipe) noexcept;

// Called before each tensor, and once at the end: how many are done, of how many, how many came from the store.
using TensorProgress = std::function<void(std::size_t done, std::size_t total, std::size_t reused, const std::string& name)>;
// Makes the tensors that the store lacks. Importance may be null when no tensor takes it.
// Errors: kCanceled, kDiskFull, those of quantize_tensor.
Result<void> make_tensors(const Model& source, const CandidatePlan& plan, const ImportanceMatrix* importance,
                          TensorStore& store, kernels::ThreadPool& pool, const JobContext& job,
                          const TensorProgress& progress);
// One of them, without a store.
Result<QuantizedTensor> derive_tensor(const Model& source, const DerivedTensor& tensor, const ImportanceMatrix* importance,
                                      kernels::ThreadPool& pool, const JobContext& job);
// The rows from `first` on that `out` holds, packed; the same bytes as derive_tensor's. Not for INT8, which has scales beside.
Result<void> derive_rows(const Model& source, const DerivedTensor& tensor, const ImportanceMatrix* importance, std::int64_t first,
                         std::span<std::byte> out, kernels::ThreadPool& pool, const JobContext& job);

// The source with the plan's tensors in place. Errors: kNotFound (a tensor is not in the store).
Result<std::shared_ptr<const Model>> assemble_model(const Model& source, const CandidatePlan& plan, TensorStore& store);
// The same with weights that have a size but no data, to predict memory.
Model outline_model(const Model& source, const CandidatePlan& plan);

// The digest of a model's files: the weights' files as they are on disk and the texts beside them. `file_digest` gives
// (and may remember) the digest of one file.
using FileDigest = std::function<Result<Digest>(const std::filesystem::path&, const JobContext&)>;
Result<Digest> checkpoint_digest(const Checkpoint& checkpoint, const FileDigest& file_digest, const JobContext& job);

// Candidate manifests: JSON with the source, the store's folder and the tensors' keys.
struct Manifest {
  std::string name;
  std::filesystem::path source;
  Digest source_digest;
  std::filesystem::path store;
  Recipe recipe;
  std::vector<DerivedTensor> tensors;
};
std::string manifest_to_json(const Manifest& manifest);
Result<Manifest> manifest_from_json(std::string_view json);

}  // namespace retort
