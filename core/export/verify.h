// Checks a written file against the model that it was made from: reads it again and compares tensors, weights, tokens,
// template and logits. An exported file is offered to the user only after this.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/model/model.h"

namespace retort {

struct VerifyCheck {
  std::string name;       // "tensors", "weights", "tokens", "template", "logits"
  bool passed = false;
  std::string detail;     // what was compared, or what differs, in plain words
};

struct VerifyReport {
  std::vector<VerifyCheck> checks;
  bool passed() const noexcept {
    for (const VerifyCheck& check : checks)
      if (!check.passed) return false;
    return true;
  }
};

struct VerifyOptions {
  std::string backend = "cpu";
  int threads = 0;
};

// Compares `path` with `expected`: the candidate in memory, or any source of the same architecture. Weights of the same
// type must be equal byte by byte and logits (f32 activations) within 1e-4 of the largest; where the file is a smaller
// level of the source, the weights' relative error and the logits' KL divergence are told, and only nonsense fails.
// Errors: those of open_model for `path`, of the backend, kCanceled.
Result<VerifyReport> verify_file(const std::filesystem::path& path, const Model& expected, const VerifyOptions& options,
                                 const JobContext& job);
// The file by itself: that it opens, that its text functions work and that it computes finite numbers.
Result<VerifyReport> verify_alone(const std::filesystem::path& path, const VerifyOptions& options, const JobContext& job);

// The texts that tokens are compared on.
const std::vector<std::string>& hard_strings();

}  // namespace retort
