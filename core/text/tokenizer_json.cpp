// tokenizer.json of the tokenizers library, with what tokenizer_config.json adds: which token plays which part.
#include <algorithm>

#include "core/text/pipeline.h"
#include "core/text/tokenizer.h"
#include "core/text/tokenizer_file.h"
#include "core/text/tokenizer_steps.h"

namespace retort {
namespace text {
namespace {

Error missing(std::string place) {
  return Error{.code = ErrorCode::kMissingPart, .place = std::move(place), .found = "tokenizer.json has none"};
}

Result<Vocabulary> vocabulary_of(TokenizerFile& file) {
  Vocabulary vocabulary;
  vocabulary.reserve(file.vocab.size());
  for (auto& [piece, id] : file.vocab) RETORT_CHECK(vocabulary.add(std::move(piece), id, "tokenizer.json: model.vocab"));
  return vocabulary;
}

std::string model_type(const TokenizerFile& file, const Fields& fields) {
  if (const JsonValue* type = fields.find("type"); type != nullptr && type->string() != nullptr) return *type->string();
  // Files of the first versions carry no type.
  if (file.scored) return "Unigram";
  if (!file.merges.empty()) return "BPE";
  return fields.find("max_input_chars_per_word") != nullptr ? "WordPiece" : "WordLevel";
}

Result<BpeOptions> bpe_options_of(const Fields& fields) {
  BpeOptions options;
  RETORT_TRY(options.unknown_token, fields.string("unk_token", ""));
  RETORT_TRY(options.continuing_subword_prefix, fields.string("continuing_subword_prefix", ""));
  RETORT_TRY(options.end_of_word_suffix, fields.string("end_of_word_suffix", ""));
  RETORT_TRY(options.fuse_unknown, fields.boolean("fuse_unk", false));
  RETORT_TRY(options.byte_fallback, fields.boolean("byte_fallback", false));
  RETORT_TRY(options.ignore_merges, fields.boolean("ignore_merges", false));
  return options;
}

Result<TokenModelPtr> model_of(TokenizerFile& file, bool byte_level, bool& raw_bytes) {
  const JsonValue* json = file.root.find("model");
  if (json == nullptr || json->object() == nullptr || !file.has_vocab) return missing("tokenizer.json: model.vocab");
  const Fields fields(*json, "tokenizer.json: model");
  const std::string type = model_type(file, fields);
  if (type == "BPE") {
    if (file.scored) return fields.wrong("vocab", "an object");
    RETORT_TRY(BpeOptions options, bpe_options_of(fields));
    // Byte-level words need not be spelled out in the byte alphabet when the model can take the bytes themselves.
    raw_bytes = byte_level && !options.byte_fallback && options.continuing_subword_prefix.empty() &&
                options.end_of_word_suffix.empty();
    options.raw_bytes = raw_bytes;
    RETORT_TRY(Vocabulary vocabulary, vocabulary_of(file));
    return make_bpe(std::move(vocabulary), file.merges, options, "tokenizer.json: model.merges");
  }
  if (type == "WordPiece") {
    WordPieceOptions options;
    RETORT_TRY(options.unknown_token, fields.string("unk_token", "[UNK]"));
    RETORT_TRY(options.continuing_subword_prefix, fields.string("continuing_subword_prefix", "##"));
    RETORT_TRY(options.max_input_chars_per_word, fields.number("max_input_chars_per_word", 100));
    RETORT_TRY(Vocabulary vocabulary, vocabulary_of(file));
    return make_wordpiece(std::move(vocabulary), options);
  }
  if (type == "Unigram") {
    if (!file.scored) return fields.wrong("vocab", "a list of [piece, score]");
    std::optional<std::uint64_t> unknown;
    if (fields.find("unk_id") != nullptr) {
      RETORT_TRY(const std::uint64_t id, fields.number("unk_id"));
      unknown = id;
    }
    RETORT_TRY(const bool byte_fallback, fields.boolean("byte_fallback", false));
    RETORT_TRY(Vocabulary vocabulary, vocabulary_of(file));
    return make_unigram(std::move(vocabulary), std::move(file.scores), unknown, byte_fallback);
  }
  if (type == "WordLevel") {
    RETORT_TRY(const std::string unknown, fields.string("unk_token", "<unk>"));
    RETORT_TRY(Vocabulary vocabulary, vocabulary_of(file));
    return make_wordlevel(std::move(vocabulary), unknown);
  }
  return fields.unsupported("type", type);
}

Result<AddedTokens> added_tokens_of(const JsonValue& root, const Vocabulary& vocabulary) {
  AddedTokens added;
  const JsonValue* json = root.find("added_tokens");
  if (json == nullptr || json->is_null()) return added;
  if (json->array() == nullptr) return Fields(root, "tokenizer.json").wrong("added_tokens", "a list");
  for (std::size_t i = 0; i < json->array()->size(); ++i) {
    const Fields fields((*json->array())[i], "tokenizer.json: added_tokens[" + std::to_string(i) + "]");
    AddedToken token;
    RETORT_TRY(token.content, fields.string("content"));
    RETORT_TRY(const std::uint64_t id, fields.number("id"));
    if (id > (1u << 24)) return fields.wrong("id", "an id below 2^24");
    // A piece of the vocabulary keeps its id there.
    token.id = vocabulary.find(token.content).value_or(static_cast<TokenId>(id));
    RETORT_TRY(token.single_word, fields.boolean("single_word", false));
    RETORT_TRY(token.lstrip, fields.boolean("lstrip", false));
    RETORT_TRY(token.rstrip, fields.boolean("rstrip", false));
    RETORT_TRY(token.special, fields.boolean("special", false));
    RETORT_TRY(token.normalized, fields.boolean("normalized", !token.special));
    added.add(std::move(token));
  }
  return added;
}

// "<s>" or {"content": "<s>", …}; nothing when absent or not in the vocabulary.
std::optional<TokenId> role(const JsonValue& config, std::string_view key, const Tokenizer& tokenizer) {
  const JsonValue* value = config.find(key);
  if (value != nullptr && value->object() != nullptr) value = value->find("content");
  if (value == nullptr || value->string() == nullptr) return std::nullopt;
  return tokenizer.find(*value->string());
}

std::optional<TokenId> first_special(const Pipeline& tokenizer, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (const AddedToken* token = tokenizer.added().find(name); token != nullptr && token->special) return token->id;
  return std::nullopt;
}

void assign_roles(Pipeline& tokenizer, const JsonValue& config) {
  tokenizer.bos = role(config, "bos_token", tokenizer);
  tokenizer.eos = role(config, "eos_token", tokenizer);
  tokenizer.unknown = role(config, "unk_token", tokenizer);
  tokenizer.padding = role(config, "pad_token", tokenizer);
  const std::vector<TokenId> before = tokenizer.post_processor().before(), after = tokenizer.post_processor().after();
  const bool told = config.object() != nullptr;
  if (!told && !before.empty()) tokenizer.bos = before.front();
  if (!told && !after.empty()) tokenizer.eos = after.back();
  if (!tokenizer.eos && !told)
    tokenizer.eos = first_special(tokenizer, {"</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>", "[SEP]"});
  if (!tokenizer.unknown) tokenizer.unknown = tokenizer.model().unknown();
  if (!tokenizer.padding) tokenizer.padding = first_special(tokenizer, {"<pad>", "[PAD]"});
  tokenizer.adds_bos = tokenizer.bos && !before.empty() && before.front() == *tokenizer.bos;
  complete_end_of_generation(tokenizer, tokenizer.added());
}

}  // namespace
}  // namespace text

Result<std::shared_ptr<const Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                             std::string_view tokenizer_config_json) {
  using namespace text;
  RETORT_TRY(TokenizerFile file, read_tokenizer_file(tokenizer_json));
  const auto part = [&file](std::string_view key) -> const JsonValue* {
    const JsonValue* value = file.root.find(key);
    return value != nullptr && value->is_null() ? nullptr : value;
  };
  const JsonValue* pre_tokenizer = part("pre_tokenizer");
  PipelineParts parts;
  bool raw_bytes = false;
  RETORT_TRY(parts.model, model_of(file, pre_tokenizer != nullptr && ends_in_byte_level(*pre_tokenizer), raw_bytes));
  if (const JsonValue* json = part("normalizer")) {
    RETORT_TRY(parts.normalizer, normalizer_from_json(*json, "tokenizer.json: normalizer"));
  }
  if (pre_tokenizer != nullptr) {
    RETORT_TRY(parts.pre_tokenizer, pre_tokenizer_from_json(*pre_tokenizer, "tokenizer.json: pre_tokenizer", raw_bytes));
  }
  if (const JsonValue* json = part("post_processor")) {
    RETORT_TRY(parts.post_processor, post_processor_from_json(*json, "tokenizer.json: post_processor"));
  }
  if (const JsonValue* json = part("decoder")) {
    RETORT_TRY(parts.decoder, decoder_from_json(*json, "tokenizer.json: decoder"));
  }
  RETORT_TRY(parts.added, added_tokens_of(file.root, parts.model->vocabulary()));
  JsonValue config;
  if (!tokenizer_config_json.empty()) {
    RETORT_TRY(config, parse_json(tokenizer_config_json, "tokenizer_config.json"));
  }
  auto tokenizer = std::make_shared<Pipeline>(std::move(parts));
  assign_roles(*tokenizer, config);
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace retort
