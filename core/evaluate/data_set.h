// Data sets: the user's own text, choices, exact answers or labelled text; read from plain text or JSONL.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/text/tokenizer.h"

namespace retort {

enum class DataKind : std::uint8_t { kText, kChoice, kExact, kLabelled, kLastWord };
enum class DataRole : std::uint8_t { kCalibration, kTraining, kEvaluation };
std::string_view data_kind_name(DataKind kind) noexcept;
std::string_view data_role_name(DataRole role) noexcept;

// One example; which fields are filled depends on the kind.
struct Example {
  std::string text;                    // kText, kLabelled; the prompt or context of the others
  std::vector<std::string> choices;    // kChoice
  std::int64_t answer = -1;            // kChoice: index; kLabelled: label
  std::string target;                  // kExact: the answer; kLastWord: the word
  std::string group;                   // optional "kind" field: slices in the results
};

struct DataSet {
  std::string name;
  std::filesystem::path path;
  DataKind kind = DataKind::kText;
  std::vector<Example> examples;
  Digest digest;                       // of the file
  std::uint64_t bytes = 0;

  std::string joined_text() const;     // kText: examples joined by an empty line
};

// Which JSON fields hold what; empty names are guessed (text, label, context, choices, answer, prompt, question, target).
struct Columns {
  std::string text, label, choices, answer, target;
};
// Mixed files (choices and exact answers in one) are read as separate sets by `only`. Errors: kBadData naming line and
// field, kNotFound. A JSONL line that does not parse is an error, not skipped.
Result<std::vector<DataSet>> read_data(const std::filesystem::path& path, const Columns& columns = {});

struct DataStatistics {
  std::int64_t examples = 0, tokens = 0;
  std::vector<std::int64_t> length_histogram;   // tokens per example, 16 bins up to max_length
  std::int64_t max_length = 0;
  double ascii_share = 0;                       // of letters; a first hint of the language
};
DataStatistics describe(const DataSet& data, const Tokenizer& tokenizer);

// Shared text between two sets: runs of `run` words (default 12, lower-cased) that stand in both.
struct Overlap {
  double share = 0;                    // of the second set's words that lie in a shared run
  std::vector<std::string> examples;   // up to 5 of the runs
};
Overlap find_overlap(const DataSet& first, const DataSet& second, int run = 12);

}  // namespace retort
