// AnswerCache: what a teacher answered, by what it was asked, in a file: further epochs, further students and other selections
// of the same texts cost no teacher time. What an answer's bytes are is the caller's business.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

#include "core/base/digest.h"
#include "core/base/job.h"

namespace retort::distill {

struct TrainingExample;

class AnswerCache {
 public:
  using Key = std::array<std::uint8_t, 16>;   // the beginning of a digest
  static Key key_of(const Digest& digest) noexcept;

  // Holds at most `most_bytes`: what doesn't fit is asked for again every time.
  explicit AnswerCache(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  // The example is known by this key from now on.
  void name(const TrainingExample* example, const Key& key);
  // Takes the answers of a file: first those of the named examples, then others as long as there is room, so that they are
  // kept. Those of another size than `exact` bytes (0: any size) are left. Errors: kNotFound, kCorrupt; nothing is taken then.
  Result<void> load(const std::filesystem::path& path, std::uint64_t exact);
  Result<void> save(const std::filesystem::path& path, const JobContext& job) const;

  // Empty for an example that wasn't asked for yet, or has no name.
  std::span<const std::byte> of(const TrainingExample* example) const noexcept;
  // Nothing happens for an example without a name or with an answer.
  void set(const TrainingExample* example, std::span<const std::byte> bytes);

  std::uint64_t bytes() const noexcept { return bytes_; }
  std::size_t known() const noexcept;                             // named examples with an answer
  std::size_t left_out() const noexcept { return left_out_; }     // answers that the room didn't suffice for

 private:
  struct Answer {
    std::vector<std::byte> bytes;
    bool named = false;
  };
  bool fits(std::size_t bytes) const noexcept { return bytes_ + sizeof(Key) + bytes <= most_bytes_; }
  void keep(Answer& answer, std::span<const std::byte> bytes);

  std::map<Key, Answer> answers_;
  std::map<const TrainingExample*, Answer*> names_;
  std::uint64_t most_bytes_, bytes_ = 0;
  std::size_t left_out_ = 0;
};

}  // namespace retort::distill
