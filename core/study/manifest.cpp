// Candidate manifests, and opening whatever a command takes as MODEL.
#include <nlohmann/json.hpp>

#include "core/formats/json_text.h"
#include "core/study/candidate.h"
#include "core/study/student.h"
#include "core/study/study.h"

namespace retort {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::uint64_t kMaxManifestBytes = 64u << 20;

Result<DerivedTensor> read_tensor(const Json& json) {
  DerivedTensor tensor;
  tensor.name = json.at("name").get<std::string>();
  const std::string type = json.at("type").get<std::string>();
  const auto* traits = kernels::find_type(type);
  if (!traits) return Error{.code = ErrorCode::kCorrupt, .place = tensor.name, .expected = "a tensor type", .found = type};
  tensor.type = traits->type;
  RETORT_TRY(tensor.key, Digest::from_hex(json.at("key").get<std::string>()));
  return tensor;
}

Error not_a_manifest(std::string found) {
  return Error{.code = ErrorCode::kForeign, .expected = "a candidate manifest", .found = std::move(found)};
}

Result<Model> open_candidate(const std::filesystem::path& path) {
  RETORT_TRY(const std::string text, read_text_file(path, kMaxManifestBytes));
  auto read = manifest_from_json(text);
  if (!read) {
    Error error = read.error();
    error.file = path.string();
    return error;
  }
  const Manifest& manifest = *read;
  if (is_student(manifest.recipe)) return open_student(manifest.source);
  RETORT_TRY(const Model source, open_model(manifest.source));
  RETORT_TRY(const auto store, TensorStore::open(manifest.store));
  CandidatePlan plan;
  for (DerivedTensor tensor : manifest.tensors) {
    tensor.weight = source.find_weight(tensor.name);
    if (tensor.weight == kNoWeight)
      return Error{.code = ErrorCode::kCorrupt, .file = path.string(), .place = tensor.name, .found = "a weight that the source lacks"};
    plan.tensors.push_back(std::move(tensor));
  }
  RETORT_TRY(const auto model, assemble_model(source, plan, *store));
  return Model(*model);
}

}  // namespace

std::string manifest_to_json(const Manifest& manifest) {
  Json json = {{"retort_candidate", 1}, {"name", manifest.name}, {"source", manifest.source.string()},
               {"source_digest", manifest.source_digest.hex()}, {"store", manifest.store.string()},
               {"recipe", Json::parse(recipe_to_json(manifest.recipe))}, {"tensors", Json::array()}};
  for (const DerivedTensor& tensor : manifest.tensors)
    json["tensors"].push_back({{"name", tensor.name}, {"type", kernels::traits(tensor.type).name}, {"key", tensor.key.hex()}});
  return formats::json_text(json, 1);
}

Result<Manifest> manifest_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("retort_candidate") != 1) return not_a_manifest("another version");
    Manifest manifest;
    manifest.name = json.at("name").get<std::string>();
    manifest.source = json.at("source").get<std::string>();
    RETORT_TRY(manifest.source_digest, Digest::from_hex(json.at("source_digest").get<std::string>()));
    manifest.store = json.at("store").get<std::string>();
    RETORT_TRY(manifest.recipe, recipe_from_json(json.at("recipe").dump()));
    for (const Json& entry : json.at("tensors")) {
      RETORT_TRY(auto tensor, read_tensor(entry));
      manifest.tensors.push_back(std::move(tensor));
    }
    return manifest;
  } catch (const nlohmann::json::exception& exception) {
    return not_a_manifest(exception.what());
  }
}

Result<Model> open_model_or_candidate(const std::filesystem::path& path) {
  if (path.extension() == ".candidate") return open_candidate(path);
  return open_model(path);
}

}  // namespace retort
