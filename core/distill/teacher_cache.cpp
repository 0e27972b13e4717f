#include "core/distill/teacher_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/formats/writers.h"

namespace retort::distill {

Result<TeacherCache> TeacherCache::open(const std::filesystem::path& path, std::int64_t classes, std::size_t examples) {
  RETORT_TRY(const auto file, open_safetensors(path));
  const TensorEntry* logits = file->find("logits");
  TeacherCache cache(classes, examples);
  if (!logits || logits->type != TensorType::kF32 || logits->data.size() != cache.logits_.size() * sizeof(float))
    return Error{.code = ErrorCode::kCorrupt, .file = path.string(), .place = "logits", .expected = "the teacher's answers to this data",
                 .found = "something else"};
  std::memcpy(cache.logits_.data(), logits->data.data(), logits->data.size());
  return cache;
}

Result<void> TeacherCache::save(const std::filesystem::path& path, const JobContext& job) const {
  const TensorToWrite tensor{"logits", {static_cast<std::int64_t>(logits_.size()) / classes_, classes_}, TensorType::kF32,
                             [this] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(logits_))); }};
  return write_safetensors(path, std::span(&tensor, 1), job);
}

void TeacherCache::set(std::size_t example, std::span<const float> logits) noexcept {
  std::ranges::copy(logits, logits_.begin() + static_cast<std::ptrdiff_t>(example * static_cast<std::size_t>(classes_)));
}

std::span<const float> TeacherCache::of(const TrainingExample* example) const noexcept {
  const auto found = numbers_.find(example);
  if (found == numbers_.end()) return {};
  const auto row = std::span(logits_).subspan(found->second * static_cast<std::size_t>(classes_), static_cast<std::size_t>(classes_));
  return std::isnan(row.front()) ? std::span<const float>() : row;
}

std::size_t TeacherCache::known() const noexcept {
  std::size_t count = 0;
  for (std::size_t at = 0; at < logits_.size(); at += static_cast<std::size_t>(classes_)) count += !std::isnan(logits_[at]);
  return count;
}

}  // namespace retort::distill
