// A file of training data: plain text, or JSONL whose lines are texts, labelled texts, prompts with answers or whole
// conversations, in the forms in which people and hosted services store them (docs/distillation.md lists them).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace retort::distill {

// A token of a stored answer with the probabilities that came with it.
struct ScoredToken {
  std::string bytes;
  std::vector<std::pair<std::string, double>> top;   // bytes of a token, logarithm of its probability
};

struct StoredMessage {
  std::string role, content;
  bool learned = false;                    // an answer to learn from
  std::vector<ScoredToken> scores{};       // of an answer; empty: none were stored
};

enum class LineKind : std::uint8_t { kText, kLabelled, kConversation };

struct TrainingLine {
  LineKind kind = LineKind::kText;
  std::size_t line = 0;                    // in the file, from 1
  std::string text{};                      // kText, kLabelled
  std::int64_t label = -1;
  double weight = 1;
  std::vector<StoredMessage> messages{};   // kConversation
  bool plain = false;                      // kConversation: a prompt and its answer as bare texts
  bool cut = false;                        // the answer ended at the service's limit: its end is no end
  bool rejected = false;                   // a preference pair: the second answer was left out

  bool answered() const noexcept;          // at least one message is learned
};

struct TrainingFile {
  std::vector<TrainingLine> lines;
  std::int64_t failed = 0;                 // responses without an answer, left out
};

// Errors: kNotFound, kRead, kBadData with the line: not an object, an unknown form, a field of the wrong kind, something
// other than text in a message.
Result<TrainingFile> read_training_file(const std::filesystem::path& path);

}  // namespace retort::distill
