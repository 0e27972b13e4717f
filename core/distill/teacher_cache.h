// TeacherCache: a classifier teacher's logits for the training examples that it was asked for, in a file, so that further
// epochs and further students of the same teacher and data cost no teacher time. Keyed by the digest of teacher and data.
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include "core/base/digest.h"
#include "core/base/job.h"

namespace retort::distill {

struct TrainingExample;

class TeacherCache {
 public:
  TeacherCache(std::int64_t classes, std::size_t examples) : classes_(classes), logits_(examples * static_cast<std::size_t>(classes), std::numeric_limits<float>::quiet_NaN()) {}

  // Reads it back. Errors: kNotFound, kCorrupt (of another size).
  static Result<TeacherCache> open(const std::filesystem::path& path, std::int64_t classes, std::size_t examples);
  Result<void> save(const std::filesystem::path& path, const JobContext& job) const;

  void set(std::size_t example, std::span<const float> logits) noexcept;
  void name(const TrainingExample* example, std::size_t number) { numbers_[example] = number; }
  void set(const TrainingExample* example, std::span<const float> logits) noexcept { set(numbers_.at(example), logits); }
  // Empty for an example that wasn't asked for yet.
  std::span<const float> of(const TrainingExample* example) const noexcept;
  std::size_t known() const noexcept;

 private:
  std::int64_t classes_;
  std::vector<float> logits_;
  std::map<const TrainingExample*, std::size_t> numbers_;
};

}  // namespace retort::distill
