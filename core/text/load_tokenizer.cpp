// The tokenizer of a checkpoint, whichever way it carries one.
#include <algorithm>

#include "core/text/gguf_tokenizer.h"
#include "core/text/json_value.h"
#include "core/text/older_files.h"
#include "core/text/sentencepiece.h"
#include "core/text/tokenizer.h"

namespace retort {
namespace {

// eos_token_id of config.json and generation_config.json: one id or several.
void collect_ends(const std::string& json, std::size_t size, std::vector<TokenId>& out) {
  if (json.empty()) return;
  const Result<text::JsonValue> parsed = text::parse_json(json, "generation_config.json");
  if (!parsed.ok()) return;  // whoever needs these files complains about them
  const text::JsonValue* ids = parsed->find("eos_token_id");
  if (ids == nullptr) return;
  const auto take = [&](const text::JsonValue& value) {
    if (const std::int64_t* id = value.integer(); id != nullptr && *id >= 0 && static_cast<std::uint64_t>(*id) < size)
      out.push_back(static_cast<TokenId>(*id));
  };
  take(*ids);
  if (ids->array() != nullptr)
    for (const text::JsonValue& value : *ids->array()) take(value);
}

Result<std::shared_ptr<const Tokenizer>> load_folder_tokenizer(const Checkpoint& checkpoint, const std::string& json) {
  if (!json.empty()) return tokenizer_from_json(json, checkpoint.tokenizer_config_json);
  RETORT_TRY(auto tokenizer, text::tokenizer_from_sentencepiece(checkpoint.sentencepiece_model, checkpoint.tokenizer_config_json,
                                                                checkpoint.added_tokens_json));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const Checkpoint& checkpoint) {
  const auto in_file = [&checkpoint](Error error) {
    if (error.file.empty()) error.file = checkpoint.path.string();
    return error;
  };
  auto older = checkpoint.tokenizer_json.empty() && checkpoint.sentencepiece_model.empty()
                   ? text::tokenizer_json_of_older_files(checkpoint)
                   : Result<std::string>(std::string());
  if (!older.ok()) return in_file(std::move(older).error());
  const std::string& json = older->empty() ? checkpoint.tokenizer_json : *older;
  if (!json.empty() || !checkpoint.sentencepiece_model.empty()) {
    std::vector<TokenId> ends;
    auto loaded = load_folder_tokenizer(checkpoint, json);
    if (!loaded.ok()) return in_file(std::move(loaded).error());
    std::shared_ptr<const Tokenizer> tokenizer = std::move(loaded).value();
    collect_ends(checkpoint.config_json, tokenizer->size(), ends);
    collect_ends(checkpoint.generation_config_json, tokenizer->size(), ends);
    if (ends.empty()) return tokenizer;
    // Nobody else holds it yet, so the list may still grow.
    auto& list = std::const_pointer_cast<Tokenizer>(tokenizer)->end_of_generation;
    list.insert(list.end(), ends.begin(), ends.end());
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    return tokenizer;
  }
  if (checkpoint.format == CheckpointFormat::kGguf) {
    auto loaded = text::tokenizer_from_gguf(checkpoint.metadata);
    if (!loaded.ok()) return in_file(std::move(loaded).error());
    return std::shared_ptr<const Tokenizer>(std::move(loaded).value());
  }
  return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(), .place = "tokenizer.json"};
}

}  // namespace retort
