#include "core/distill/answer_cache.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/formats/writers.h"

namespace retort::distill {

AnswerCache::Key AnswerCache::key_of(const Digest& digest) noexcept {
  Key key;
  std::copy_n(digest.bytes.begin(), key.size(), key.begin());
  return key;
}

void AnswerCache::name(const TrainingExample* example, const Key& key) {
  Answer& answer = answers_[key];
  answer.named = true;
  names_[example] = &answer;
}

void AnswerCache::keep(Answer& answer, std::span<const std::byte> bytes) {
  answer.bytes.assign(bytes.begin(), bytes.end());
  bytes_ += sizeof(Key) + bytes.size();
}

Result<void> AnswerCache::load(const std::filesystem::path& path, std::uint64_t exact) {
  RETORT_TRY(const auto file, open_safetensors(path));
  const TensorEntry *const keys = file->find("keys"), *const ends = file->find("ends"), *const bytes = file->find("answers");
  const auto bad = [&](std::string found) {
    return Error{.code = ErrorCode::kCorrupt, .file = path.string(), .place = "ends", .expected = "a teacher's answers", .found = std::move(found)};
  };
  if (!keys || !ends || !bytes || keys->type != TensorType::kU8 || ends->type != TensorType::kI64 || bytes->type != TensorType::kU8 ||
      keys->data.size() / sizeof(Key) != ends->data.size() / sizeof(std::int64_t) || keys->data.size() % sizeof(Key) != 0)
    return bad("something else");
  std::vector<std::pair<Key, std::span<const std::byte>>> found;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < keys->data.size() / sizeof(Key); ++i) {
    Key key;
    std::int64_t stored;
    std::memcpy(&key, keys->data.data() + i * sizeof(key), sizeof(key));
    std::memcpy(&stored, ends->data.data() + i * sizeof(stored), sizeof(stored));
    const auto end = static_cast<std::uint64_t>(stored);
    if (stored < 0 || end < begin || end > bytes->data.size()) return bad(fmt::format("answer {} from byte {} to {}", i, begin, stored));
    if (end > begin && (exact == 0 || end - begin == exact)) found.emplace_back(key, bytes->data.subspan(begin, end - begin));
    begin = end;
  }
  for (const bool named : {true, false})
    for (const auto& [key, answer] : found) {
      const auto at = answers_.find(key);
      if (named != (at != answers_.end() && at->second.named) || !fits(answer.size())) continue;
      Answer& to = answers_[key];
      if (to.bytes.empty()) keep(to, answer);
    }
  return {};
}

Result<void> AnswerCache::save(const std::filesystem::path& path, const JobContext& job) const {
  std::vector<std::uint8_t> keys;
  std::vector<std::int64_t> ends;
  std::vector<std::byte> all;
  all.reserve(bytes_);
  for (const auto& [key, answer] : answers_) {
    if (answer.bytes.empty()) continue;
    keys.insert(keys.end(), key.begin(), key.end());
    all.insert(all.end(), answer.bytes.begin(), answer.bytes.end());
    ends.push_back(static_cast<std::int64_t>(all.size()));
  }
  const auto whole = [](const auto& values) { return [&values] { return Result<std::span<const std::byte>>(std::as_bytes(std::span(values))); }; };
  const auto count = static_cast<std::int64_t>(ends.size());
  const TensorToWrite tensors[] = {{"keys", {count, static_cast<std::int64_t>(sizeof(Key))}, TensorType::kU8, whole(keys)},
                                   {"ends", {count}, TensorType::kI64, whole(ends)},
                                   {"answers", {static_cast<std::int64_t>(all.size())}, TensorType::kU8, whole(all)}};
  return write_safetensors(path, tensors, job);
}

std::span<const std::byte> AnswerCache::of(const TrainingExample* example) const noexcept {
  const auto found = names_.find(example);
  return found == names_.end() ? std::span<const std::byte>() : found->second->bytes;
}

void AnswerCache::set(const TrainingExample* example, std::span<const std::byte> bytes) {
  const auto found = names_.find(example);
  if (found == names_.end() || !found->second->bytes.empty()) return;
  if (fits(bytes.size())) keep(*found->second, bytes);
  else ++left_out_;
}

std::size_t AnswerCache::known() const noexcept {
  return static_cast<std::size_t>(std::count_if(names_.begin(), names_.end(), [](const auto& named) { return !named.second->bytes.empty(); }));
}

}  // namespace retort::distill
