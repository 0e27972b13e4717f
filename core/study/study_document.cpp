#include "core/study/study_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/formats/json_text.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;


// Inside the study's folder paths are relative, so that the folder can be moved as a whole.
std::string stored_path(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}
fs::path read_path(const std::string& stored, const fs::path& folder) {
  const fs::path path(stored);
  return path.is_absolute() ? path : (folder / path).lexically_normal();
}

// Runs `read` on the parsed text; whatever does not fit is damage of the study file.
template <class T, class Read>
Result<T> parsed(std::string_view text, std::string_view place, Read&& read) {
  try {
    return read(Json::parse(text));
  } catch (const nlohmann::json::exception& exception) {
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .found = exception.what()};
  }
}

Json data_json(const DataRecord& data, const fs::path& folder) {
  return {{"name", data.info.name}, {"path", stored_path(data.info.path, folder)},
          {"kind", static_cast<int>(data.info.kind)}, {"role", static_cast<int>(data.info.role)},
          {"examples", data.info.examples}, {"tokens", data.info.tokens},
          {"length_histogram", data.info.length_histogram}, {"overlap", data.info.overlap_warning},
          {"digest", data.digest.hex()},
          {"columns", {{"text", data.columns.text}, {"label", data.columns.label}, {"choices", data.columns.choices},
                       {"answer", data.columns.answer}, {"target", data.columns.target}}}};
}

template <class Enum>
Enum enum_at(const Json& json, const char* key, Enum last) {
  return static_cast<Enum>(std::clamp(json.at(key).get<int>(), 0, static_cast<int>(last)));
}

Result<DataRecord> read_data_record(const Json& json, const fs::path& folder) {
  DataRecord data;
  data.info.name = json.at("name").get<std::string>();
  data.info.path = read_path(json.at("path").get<std::string>(), folder);
  data.info.kind = enum_at(json, "kind", DataKind::kLastWord);
  data.info.role = enum_at(json, "role", DataRole::kEvaluation);
  data.info.examples = json.at("examples").get<std::int64_t>();
  data.info.tokens = json.at("tokens").get<std::int64_t>();
  data.info.length_histogram = json.at("length_histogram").get<std::vector<std::int64_t>>();
  data.info.overlap_warning = json.at("overlap").get<std::string>();
  RETORT_TRY(data.digest, Digest::from_hex(json.at("digest").get<std::string>()));
  const Json& columns = json.at("columns");
  data.columns = {columns.at("text").get<std::string>(), columns.at("label").get<std::string>(),
                  columns.at("choices").get<std::string>(), columns.at("answer").get<std::string>(),
                  columns.at("target").get<std::string>()};
  return data;
}

Json candidate_json(const CandidateRecord& candidate) {
  return {{"id", candidate.id}, {"name", candidate.name}, {"recipe", Json::parse(recipe_to_json(candidate.recipe))},
          {"original", candidate.is_original}, {"chosen", candidate.chosen}, {"failure", candidate.failure}};
}

Result<CandidateRecord> read_candidate(const Json& json) {
  CandidateRecord candidate;
  candidate.id = json.at("id").get<std::int64_t>();
  candidate.name = json.at("name").get<std::string>();
  RETORT_TRY(candidate.recipe, recipe_from_json(json.at("recipe").dump()));
  candidate.is_original = json.at("original").get<bool>();
  candidate.chosen = json.at("chosen").get<bool>();
  candidate.failure = json.at("failure").get<std::string>();
  return candidate;
}

Json goals_json(const Goals& goals) {
  Json json = Json::object();
  const auto set = [&](const char* key, const std::optional<double>& limit) {
    if (limit) json[key] = *limit;
  };
  set("max_bytes", goals.max_bytes);
  set("max_kld", goals.max_kld);
  set("max_time_to_first_token", goals.max_time_to_first_token);
  set("min_decode", goals.min_decode);
  set("min_accuracy", goals.min_accuracy);
  return json;
}

Goals read_goals(const Json& json) {
  const auto at = [&](const char* key) -> std::optional<double> {
    const auto found = json.find(key);
    return found == json.end() ? std::nullopt : std::optional(found->get<double>());
  };
  return {at("max_bytes"), at("max_kld"), at("max_time_to_first_token"), at("min_decode"), at("min_accuracy")};
}

}  // namespace

const CandidateRecord* StudyDocument::find(std::int64_t id) const noexcept {
  for (const CandidateRecord& candidate : candidates)
    if (candidate.id == id) return &candidate;
  return nullptr;
}

const CandidateRecord* StudyDocument::original() const noexcept {
  for (const CandidateRecord& candidate : candidates)
    if (candidate.is_original) return &candidate;
  return nullptr;
}

std::string source_to_json(const SourceInfo& source, const fs::path& folder) {
  Json json = {{"path", stored_path(source.path, folder)}, {"name", source.name}, {"architecture", source.architecture},
               {"licence", source.licence}, {"parameters", source.parameters}, {"bytes", source.bytes},
               {"bits_per_weight", source.bits_per_weight}, {"digest", source.digest.hex()}};
  if (source.quantized) json["quantized"] = *source.quantized;
  json["kind"] = static_cast<int>(source.kind);
  json["layers"] = source.layers;
  json["classes"] = source.classes;
  json["gguf"] = source.gguf;
  return formats::json_text(json);
}

Result<SourceInfo> source_from_json(std::string_view text, const fs::path& folder) {
  return parsed<SourceInfo>(text, "source", [&](const Json& json) -> Result<SourceInfo> {
    SourceInfo source;
    source.path = read_path(json.at("path").get<std::string>(), folder);
    source.name = json.at("name").get<std::string>();
    source.architecture = json.at("architecture").get<std::string>();
    source.licence = json.at("licence").get<std::string>();
    source.parameters = json.at("parameters").get<std::int64_t>();
    source.bytes = json.at("bytes").get<std::uint64_t>();
    source.bits_per_weight = json.at("bits_per_weight").get<double>();
    RETORT_TRY(source.digest, Digest::from_hex(json.at("digest").get<std::string>()));
    if (json.contains("quantized")) source.quantized = json.at("quantized").get<std::string>();
    // Older studies know language models only.
    if (json.contains("kind")) source.kind = enum_at(json, "kind", SourceKind::kEncoder);
    source.layers = json.value("layers", std::int64_t{0});
    source.classes = json.value("classes", std::int64_t{0});
    source.gguf = json.value("gguf", false);
    return source;
  });
}

std::string data_to_json(const DataRecord& data, const fs::path& folder) { return formats::json_text(data_json(data, folder)); }
Result<DataRecord> data_from_json(std::string_view text, const fs::path& folder) {
  return parsed<DataRecord>(text, "data set", [&](const Json& json) { return read_data_record(json, folder); });
}

std::string candidate_to_json(const CandidateRecord& candidate) { return formats::json_text(candidate_json(candidate)); }
Result<CandidateRecord> candidate_from_json(std::string_view text) {
  return parsed<CandidateRecord>(text, "candidate", [](const Json& json) { return read_candidate(json); });
}

std::string goals_to_json(const Goals& goals) { return formats::json_text(goals_json(goals)); }
Result<Goals> goals_from_json(std::string_view text) {
  return parsed<Goals>(text, "goals", [](const Json& json) -> Result<Goals> { return read_goals(json); });
}

std::string edits_to_json(const StudyDocument& document, const fs::path& folder) {
  Json json = {{"candidates", Json::array()}, {"data", Json::array()}, {"goals", goals_json(document.goals)}};
  for (const CandidateRecord& candidate : document.candidates) json["candidates"].push_back(candidate_json(candidate));
  for (const DataRecord& data : document.data) json["data"].push_back(data_json(data, folder));
  return formats::json_text(json);
}

Result<void> edits_from_json(std::string_view text, const fs::path& folder, StudyDocument& document) {
  StudyDocument edited = document;
  edited.candidates.clear();
  edited.data.clear();
  RETORT_TRY(edited.goals, parsed<Goals>(text, "undo", [&](const Json& json) -> Result<Goals> {
    for (const Json& entry : json.at("candidates")) {
      RETORT_TRY(auto candidate, read_candidate(entry));
      edited.candidates.push_back(std::move(candidate));
    }
    for (const Json& entry : json.at("data")) {
      RETORT_TRY(auto data, read_data_record(entry, folder));
      edited.data.push_back(std::move(data));
    }
    return read_goals(json.at("goals"));
  }));
  document = std::move(edited);
  return {};
}

}  // namespace retort
