// What a study file says, as plain values: the part that its user edits and undo brings back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/study/snapshot.h"

namespace retort {

struct DataRecord {
  DataInfo info;        // path absolute
  Columns columns;
  Digest digest;        // of the file and kind, when it was added
};

struct CandidateRecord {
  std::int64_t id = 0;
  std::string name;
  Recipe recipe;
  bool is_original = false;
  bool chosen = true;
  std::string failure;  // of the last run; empty when there was none
};

struct StudyDocument {
  std::optional<SourceInfo> source;
  std::vector<DataRecord> data;
  std::vector<CandidateRecord> candidates;   // the original first
  Goals goals;
  std::int64_t context = 512;
  int threads = 0;
  std::string device{};   // "cuda:0": speed and memory are measured there too; empty: on the processor only
  std::int64_t next_id = 1;
  // Digests of the files that students' recipes name, by path as the recipe says it. Not stored: read when the study opens.
  std::map<std::string, Digest> named_files{};

  const CandidateRecord* find(std::int64_t id) const noexcept;
  const CandidateRecord* original() const noexcept;
};

// JSON of each part, with paths inside `folder` written relative to it. Errors of readers: kCorrupt.
std::string source_to_json(const SourceInfo& source, const std::filesystem::path& folder);
Result<SourceInfo> source_from_json(std::string_view json, const std::filesystem::path& folder);
std::string data_to_json(const DataRecord& data, const std::filesystem::path& folder);
Result<DataRecord> data_from_json(std::string_view json, const std::filesystem::path& folder);
std::string candidate_to_json(const CandidateRecord& candidate);
Result<CandidateRecord> candidate_from_json(std::string_view json);
std::string goals_to_json(const Goals& goals);
Result<Goals> goals_from_json(std::string_view json);

// All that undo brings back: candidates, data sets and goals.
std::string edits_to_json(const StudyDocument& document, const std::filesystem::path& folder);
Result<void> edits_from_json(std::string_view json, const std::filesystem::path& folder, StudyDocument& document);

}  // namespace retort
