#include "core/text/folder_tokens.h"

#include <charconv>

namespace retort::text {
namespace {

constexpr std::int64_t kLargestId = 1 << 24;

Error bad_id(std::string_view place, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = "ids below 2^24", .found = std::move(found)};
}

}  // namespace

std::optional<std::string> content_of(const JsonValue* value) {
  if (value != nullptr && value->object() != nullptr) value = value->find("content");
  if (value == nullptr || value->string() == nullptr) return std::nullopt;
  return *value->string();
}

bool flag_of(const JsonValue& config, std::string_view key, bool otherwise) {
  const JsonValue* value = config.find(key);
  return value != nullptr && value->boolean() != nullptr ? *value->boolean() : otherwise;
}

Result<void> add_folder_tokens(const JsonValue& config, std::string_view added_tokens_json, AddedTokens& added) {
  const JsonValue* listed = config.find("added_tokens_decoder");
  if (listed != nullptr && listed->object() != nullptr) {
    for (const auto& [key, value] : *listed->object()) {
      std::int64_t id = -1;
      const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
      if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || id < 0 || id > kLargestId)
        return bad_id("tokenizer_config.json: added_tokens_decoder", key.substr(0, 40));
      const auto content = content_of(&value);
      if (!content || content->empty()) continue;
      AddedToken token{.id = static_cast<TokenId>(id), .content = *content};
      token.special = flag_of(value, "special", false);
      token.normalized = flag_of(value, "normalized", !token.special);
      token.lstrip = flag_of(value, "lstrip", false);
      token.rstrip = flag_of(value, "rstrip", false);
      token.single_word = flag_of(value, "single_word", false);
      token.as_is = token.normalized;   // a piece of the model is found as it stands there
      added.add(std::move(token));
    }
  }
  if (added_tokens_json.empty()) return {};
  RETORT_TRY(const JsonValue ids, parse_json(added_tokens_json, "added_tokens.json"));
  if (ids.object() == nullptr) return bad_id("added_tokens.json", std::string(ids.kind()));
  for (const auto& [content, value] : *ids.object()) {
    const std::int64_t* id = value.integer();
    if (id == nullptr || *id < 0 || *id > kLargestId) return bad_id("added_tokens.json", content.substr(0, 40));
    if (added.find(std::string_view(content)) == nullptr)
      added.add({.id = static_cast<TokenId>(*id), .content = content, .normalized = false, .special = true});
  }
  return {};
}

PostProcessor surround(const std::vector<TokenId>& before, const std::vector<TokenId>& after) {
  if (before.empty() && after.empty()) return {};
  PostProcessor::Templates templates;
  const auto add = [&](std::vector<TemplatePart>& parts, int which) {
    if (!before.empty()) parts.push_back({.type_id = which, .ids = before});
    parts.push_back({.is_text = true, .which = which, .type_id = which, .ids = {}});
    if (!after.empty()) parts.push_back({.type_id = which, .ids = after});
  };
  add(templates.single, 0);
  add(templates.pair, 0);
  add(templates.pair, 1);
  return PostProcessor({std::move(templates)});
}

}  // namespace retort::text
