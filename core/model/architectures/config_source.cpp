#include "core/model/architectures/config_source.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace retort {

struct ConfigSource::Document {
  nlohmann::json root;

  // nullptr when absent or null. `path` is split at dots.
  const nlohmann::json* find(std::string_view path) const {
    const nlohmann::json* at = &root;
    while (!path.empty()) {
      const std::size_t dot = path.find('.');
      const auto next = at->find(std::string(path.substr(0, dot)));
      if (!at->is_object() || next == at->end()) return nullptr;
      at = &*next;
      path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    return at->is_null() ? nullptr : at;
  }
};

namespace {

constexpr std::size_t kShownCharacters = 60;

std::string shown(const nlohmann::json& value) {
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, kShownCharacters);
}

std::string first_architecture(const nlohmann::json& root) {
  const auto list = root.find("architectures");
  if (list != root.end() && list->is_array() && !list->empty() && list->front().is_string())
    return list->front().get<std::string>();
  const auto type = root.find("model_type");
  return type != root.end() && type->is_string() ? type->get<std::string>() : std::string{};
}

struct ToNumbers {
  std::optional<std::vector<double>> operator()(const std::vector<std::string>&) const { return std::nullopt; }
  template <class T>
  std::optional<std::vector<double>> operator()(const std::vector<T>& v) const {
    std::vector<double> out;
    out.reserve(v.size());
    for (const auto x : v) out.push_back(static_cast<double>(x));
    return out;
  }
};

}  // namespace

Result<ConfigSource> ConfigSource::open(const Checkpoint& checkpoint) {
  ConfigSource source;
  source.checkpoint_ = &checkpoint;
  source.gguf_ = checkpoint.format == CheckpointFormat::kGguf;
  if (source.gguf_) {
    source.architecture_ = checkpoint.metadata.string_at("general.architecture").value_or("");
    return source;
  }
  if (checkpoint.config_json.empty())
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(), .place = "config.json"};
  auto document = std::make_shared<Document>();
  document->root = nlohmann::json::parse(checkpoint.config_json, nullptr, false);
  if (!document->root.is_object())
    return Error{.code = ErrorCode::kCorrupt, .file = checkpoint.path.string(), .place = "config.json",
                 .expected = "a JSON object", .found = std::string(document->root.type_name())};
  source.architecture_ = first_architecture(document->root);
  source.document_ = std::move(document);
  return source;
}

std::string ConfigSource::spelled(const ConfigKey& key) const {
  if (!gguf_) return std::string(key.json);
  return key.gguf.starts_with("general.") ? std::string(key.gguf) : fmt::format("{}.{}", architecture_, key.gguf);
}

Error ConfigSource::error(const ConfigKey& key, std::string expected, std::string found) const {
  return Error{.code = ErrorCode::kCorrupt, .file = checkpoint_->path.string(),
               .place = gguf_ ? spelled(key) : "config.json: " + spelled(key), .expected = std::move(expected),
               .found = std::move(found)};
}

bool ConfigSource::has(const ConfigKey& key) const {
  if (gguf_) return !key.gguf.empty() && checkpoint_->metadata.find(spelled(key)) != nullptr;
  return !key.json.empty() && document_->find(key.json) != nullptr;
}

Result<std::optional<double>> ConfigSource::number(const ConfigKey& key) const {
  if (!has(key)) return std::optional<double>{};
  std::optional<double> value;
  if (gguf_) {
    value = checkpoint_->metadata.number_at(spelled(key));
  } else if (const auto* found = document_->find(key.json); found->is_number()) {
    value = found->get<double>();
  }
  if (!value || !std::isfinite(*value)) return error(key, "a number", gguf_ ? "another kind" : shown(*document_->find(key.json)));
  return value;
}

Result<std::optional<std::string>> ConfigSource::text(const ConfigKey& key) const {
  if (!has(key)) return std::optional<std::string>{};
  if (gguf_) {
    auto value = checkpoint_->metadata.string_at(spelled(key));
    if (!value) return error(key, "a text", "another kind");
    return value;
  }
  const auto* found = document_->find(key.json);
  if (!found->is_string()) return error(key, "a text", shown(*found));
  return std::optional<std::string>{found->get<std::string>()};
}

Result<std::optional<bool>> ConfigSource::flag(const ConfigKey& key) const {
  if (!has(key)) return std::optional<bool>{};
  if (gguf_) {
    auto value = checkpoint_->metadata.bool_at(spelled(key));
    if (!value) return error(key, "true or false", "another kind");
    return value;
  }
  const auto* found = document_->find(key.json);
  if (!found->is_boolean()) return error(key, "true or false", shown(*found));
  return std::optional<bool>{found->get<bool>()};
}

Result<std::optional<std::vector<double>>> ConfigSource::numbers(const ConfigKey& key) const {
  if (!has(key)) return std::optional<std::vector<double>>{};
  std::optional<std::vector<double>> out;
  if (gguf_) {
    if (const MetadataArray* array = checkpoint_->metadata.array_at(spelled(key)))
      out = std::visit(ToNumbers{}, array->values);
  } else if (const auto* found = document_->find(key.json); found->is_array()) {
    out.emplace();
    for (const auto& x : *found) {
      if (!x.is_number()) return error(key, "a list of numbers", shown(x));
      out->push_back(x.get<double>());
    }
  }
  if (!out) return error(key, "a list of numbers", "another kind");
  return out;
}

Result<std::optional<std::vector<std::string>>> ConfigSource::texts(const ConfigKey& key) const {
  if (!has(key)) return std::optional<std::vector<std::string>>{};
  std::optional<std::vector<std::string>> out;
  if (gguf_) {
    if (const MetadataArray* array = checkpoint_->metadata.array_at(spelled(key)))
      if (const auto* values = std::get_if<std::vector<std::string>>(&array->values)) out = *values;
  } else if (const auto* found = document_->find(key.json); found->is_array()) {
    out.emplace();
    for (const auto& x : *found) {
      if (!x.is_string()) return error(key, "a list of texts", shown(x));
      out->push_back(x.get<std::string>());
    }
  }
  if (!out) return error(key, "a list of texts", "another kind");
  return out;
}

Result<std::optional<std::vector<std::string>>> ConfigSource::numbered_texts(const ConfigKey& key, std::size_t most) const {
  if (gguf_ || !has(key)) return std::optional<std::vector<std::string>>{};
  const auto* found = document_->find(key.json);
  const auto bad = [&] { return error(key, fmt::format("names numbered from 0, at most {}", most), shown(*found)); };
  if (!found->is_object() || found->size() > most) return bad();
  std::vector<std::string> out(found->size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto name = found->find(std::to_string(i));
    if (name == found->end() || !name->is_string()) return bad();
    out[i] = name->get<std::string>();
  }
  return std::optional<std::vector<std::string>>{std::move(out)};
}

Result<std::optional<std::int64_t>> ConfigSource::count(const ConfigKey& key, std::int64_t limit) const {
  RETORT_TRY(const std::optional<double> value, number(key));
  if (!value) return std::optional<std::int64_t>{};
  if (*value < 1 || *value > static_cast<double>(limit) || *value != std::floor(*value))
    return error(key, fmt::format("a whole number from 1 to {}", limit), fmt::format("{}", *value));
  return std::optional<std::int64_t>{static_cast<std::int64_t>(*value)};
}

}  // namespace retort
