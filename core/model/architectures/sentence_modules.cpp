// What sentence-transformers puts beside a model: modules.json and the folders that it names.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/model/architectures/encoder.h"

namespace retort {
namespace {

constexpr std::uint64_t kLargestFile = 1 << 20;

Error broken(const std::filesystem::path& file, std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .file = file.string(), .place = std::move(place), .expected = std::move(expected),
               .found = std::move(found)};
}

Result<nlohmann::json> read_json(const std::filesystem::path& file) {
  RETORT_TRY(const std::string text, read_text_file(file, kLargestFile));
  nlohmann::json out = nlohmann::json::parse(text, nullptr, false);
  if (out.is_discarded()) return broken(file, "", "JSON", "something else");
  return out;
}

// The module's last name: "sentence_transformers.models.Pooling" and newer spellings.
std::string kind_of(const std::string& type) { return type.substr(type.rfind('.') + 1); }

std::string text_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

Result<void> read_pooling(const std::filesystem::path& file, ModelConfig& config) {
  RETORT_TRY(const nlohmann::json json, read_json(file));
  if (!json.is_object()) return broken(file, "", "a JSON object", json.type_name());
  std::string mode = text_at(json, "pooling_mode");   // newer files name one
  int modes = mode.empty() ? 0 : 1;
  constexpr std::pair<const char*, const char*> kFlags[] = {
      {"pooling_mode_cls_token", "cls"},           {"pooling_mode_mean_tokens", "mean"},
      {"pooling_mode_max_tokens", "max"},          {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
      {"pooling_mode_lasttoken", "lasttoken"},     {"pooling_mode_weightedmean_tokens", "weightedmean"}};
  for (const auto& [key, name] : kFlags) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_boolean() || !found->get<bool>()) continue;
    mode = name;
    ++modes;
  }
  for (const char* known : {"cls", "mean", "max", "mean_sqrt_len_tokens", "lasttoken"})
    if (modes == 1 && mode == known) {
      config.pooling = mode;
      return {};
    }
  Error error = broken(file, "pooling_mode", "one of cls, mean, max, mean_sqrt_len_tokens and lasttoken",
                       modes > 1 ? fmt::format("{} modes at once", modes) : mode.empty() ? "none" : mode);
  error.code = ErrorCode::kUnsupported;
  return error;
}

}  // namespace

Result<void> read_sentence_modules(const Checkpoint& checkpoint, ModelConfig& config) {
  const std::filesystem::path list = checkpoint.path / "modules.json";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(list, ignored)) return {};
  RETORT_TRY(const nlohmann::json json, read_json(list));
  if (!json.is_array() || json.size() > 16) return broken(list, "", "a list of modules", json.type_name());
  for (const nlohmann::json& module : json) {
    if (!module.is_object()) return broken(list, "", "modules", module.type_name());
    const std::string kind = kind_of(text_at(module, "type")), path = text_at(module, "path");
    if (kind == "Transformer") {
      if (path.empty()) continue;
      return broken(list, "path of Transformer", "the folder itself", path.substr(0, 60));
    }
    if (kind == "Pooling") {
      if (path.empty() || path.find('/') != std::string::npos || path.starts_with("."))
        return broken(list, "path of Pooling", "a folder's name", path.substr(0, 60));
      RETORT_CHECK(read_pooling(checkpoint.path / path / "config.json", config));
      continue;
    }
    if (kind == "Normalize" && !config.pooling.empty()) {
      config.normalize_embedding = true;
      continue;
    }
    Error error = broken(list, "type", "Transformer, Pooling and Normalize", kind.substr(0, 60));
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  return {};
}

}  // namespace retort
