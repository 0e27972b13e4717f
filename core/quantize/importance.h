// Importance matrix: per linear, the mean square of each input column over calibration text, as llama.cpp's imatrix.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/model/backend.h"

namespace retort {

struct ImportanceMatrix {
  std::map<std::string, std::vector<float>> columns;   // canonical weight name → mean x² per input column
  std::int64_t chunks = 0, tokens = 0;
  std::string data_name;
  Digest digest() const;
};

// Runs `tokens` in chunks of `context` (each from an empty cache, beginning-of-text as the model says) and sums squares.
// The result does not depend on the number of threads. Errors: kBadData (less than one chunk), kCanceled.
Result<ImportanceMatrix> collect_importance(std::shared_ptr<const Model> model, Backend& backend,
                                            std::span<const TokenId> tokens, std::int64_t context, std::int64_t max_chunks,
                                            const JobContext& job);

// llama.cpp's GGUF imatrix files ("general.type" imatrix: in_sum2/counts tensors) and the older binary .dat.
Result<ImportanceMatrix> read_importance(const std::filesystem::path& path);
Result<void> write_importance(const std::filesystem::path& path, const ImportanceMatrix& matrix);

}  // namespace retort
