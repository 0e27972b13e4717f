#include "core/text/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/text/folder_tokens.h"
#include "core/text/gguf_pre_tokenizers.h"
#include "core/text/pipeline.h"

namespace retort::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // ▁

// Values of tokenizer.ggml.token_type.
enum TokenType : std::int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

Error corrupt(std::string key, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kCorrupt, .place = std::move(key), .expected = std::move(expected), .found = std::move(found)};
}

// Numbers of any element type.
template <class T>
std::optional<std::vector<T>> numbers(const Metadata& metadata, std::string_view key) {
  const MetadataArray* array = metadata.array_at(key);
  if (array == nullptr) return std::nullopt;
  return std::visit(
      [](const auto& values) -> std::optional<std::vector<T>> {
        using Element = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_arithmetic_v<Element>) {
          std::vector<T> out;
          out.reserve(values.size());
          for (const Element value : values) out.push_back(static_cast<T>(value));
          return out;
        } else {
          return std::nullopt;
        }
      },
      array->values);
}

const std::vector<std::string>* strings(const Metadata& metadata, std::string_view key) {
  const MetadataArray* array = metadata.array_at(key);
  return array == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&array->values);
}

// What every kind of tokenizer reads.
struct Tables {
  const std::vector<std::string>* tokens = nullptr;
  std::vector<std::int64_t> types;  // one per token
  std::vector<double> scores;       // one per token, 0 where the file has none
  std::optional<TokenId> bos, eos, unknown, separator, padding;
};

Result<Tables> read_tables(const Metadata& metadata) {
  Tables t;
  t.tokens = strings(metadata, "tokenizer.ggml.tokens");
  if (t.tokens == nullptr || t.tokens->empty())
    return Error{.code = ErrorCode::kMissingPart, .place = "tokenizer.ggml.tokens", .found = "the file has no list of tokens"};
  const std::size_t n = t.tokens->size();
  const auto checked = [n](const auto& values, std::string key) -> Result<void> {
    if (values.size() < n) return corrupt(std::move(key), std::to_string(n) + " entries", std::to_string(values.size()));
    return {};
  };
  t.types = numbers<std::int64_t>(metadata, "tokenizer.ggml.token_type").value_or(std::vector<std::int64_t>(n, kNormal));
  RETORT_CHECK(checked(t.types, "tokenizer.ggml.token_type"));
  t.scores = numbers<double>(metadata, "tokenizer.ggml.scores").value_or(std::vector<double>(n, 0.0));
  RETORT_CHECK(checked(t.scores, "tokenizer.ggml.scores"));
  const auto id_at = [&](std::string_view key) -> std::optional<TokenId> {
    const std::optional<std::uint64_t> id = metadata.unsigned_at(key);
    if (!id || *id >= n) return std::nullopt;  // files in the wild write −1 for "none"
    return static_cast<TokenId>(*id);
  };
  t.bos = id_at("tokenizer.ggml.bos_token_id");
  t.eos = id_at("tokenizer.ggml.eos_token_id");
  t.unknown = id_at("tokenizer.ggml.unknown_token_id");
  t.padding = id_at("tokenizer.ggml.padding_token_id");
  t.separator = id_at("tokenizer.ggml.seperator_token_id");  // the specification's spelling
  if (!t.separator) t.separator = id_at("tokenizer.ggml.separator_token_id");
  return t;
}

Result<Vocabulary> vocabulary_of(const Tables& tables) {
  Vocabulary vocabulary;
  vocabulary.reserve(tables.tokens->size());
  for (std::size_t id = 0; id < tables.tokens->size(); ++id)
    RETORT_CHECK(vocabulary.add((*tables.tokens)[id], id, "tokenizer.ggml.tokens"));
  return vocabulary;
}

AddedTokens added_of(const Tables& tables) {
  AddedTokens added;
  for (std::size_t id = 0; id < tables.tokens->size(); ++id) {
    const std::int64_t type = tables.types[id];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    const std::string& content = (*tables.tokens)[id];
    if (added.find(std::string_view(content)) != nullptr) continue;
    added.add({.id = static_cast<TokenId>(id), .content = content, .normalized = false, .special = type != kUserDefined});
  }
  return added;
}

void set_bos_and_eos(PipelineParts& parts, const Metadata& metadata, const Tables& tables, bool adds_bos, bool adds_eos) {
  std::vector<TokenId> before, after;
  if (tables.bos && metadata.bool_at("tokenizer.ggml.add_bos_token").value_or(adds_bos)) before.push_back(*tables.bos);
  if (tables.eos && metadata.bool_at("tokenizer.ggml.add_eos_token").value_or(adds_eos)) after.push_back(*tables.eos);
  parts.post_processor = surround(before, after);
}

Result<PipelineParts> byte_level_bpe(const Metadata& metadata, const Tables& tables) {
  const std::string name = metadata.string_at("tokenizer.ggml.pre").value_or("default");
  const GgufPreTokenizer* entry = find_gguf_pre_tokenizer(name);
  if (entry == nullptr)
    return Error{.code = ErrorCode::kUnsupported, .place = "tokenizer.ggml.pre", .found = "the pre-tokenizer " + name};
  const std::vector<std::string>* lines = strings(metadata, "tokenizer.ggml.merges");
  if (lines == nullptr)
    return Error{.code = ErrorCode::kMissingPart, .place = "tokenizer.ggml.merges", .found = "the file has no list of merges"};
  std::vector<Merge> merges;
  merges.reserve(lines->size());
  for (const std::string& line : *lines) {
    const std::size_t space = line.find(' ', 1);
    if (space == std::string::npos) return corrupt("tokenizer.ggml.merges", "two pieces a line", line.substr(0, 80));
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  PipelineParts parts;
  RETORT_TRY(Vocabulary vocabulary, vocabulary_of(tables));
  const BpeOptions options{.unknown_token = "", .continuing_subword_prefix = "", .end_of_word_suffix = "",
                           .ignore_merges = entry->ignore_merges, .raw_bytes = true, .skip_unknown_merges = true};
  RETORT_TRY(parts.model, make_bpe(std::move(vocabulary), merges, options, "tokenizer.ggml.merges"));
  std::vector<PreTokenizerPtr> steps;
  for (const std::string_view pattern : entry->patterns) {
    RETORT_TRY(Regex regex, Regex::compile(pattern, "tokenizer.ggml.pre"));
    steps.push_back(make_split(std::move(regex), SplitBehavior::kIsolated, false));
  }
  parts.pre_tokenizer = make_pre_tokenizer_sequence(std::move(steps));
  parts.decoder = make_byte_level_decoder();
  set_bos_and_eos(parts, metadata, tables, entry->adds_bos, false);
  return parts;
}

Result<PipelineParts> sentencepiece_bpe(const Metadata& metadata, const Tables& tables) {
  PipelineParts parts;
  RETORT_TRY(Vocabulary vocabulary, vocabulary_of(tables));
  BpeOptions options{.unknown_token = "", .continuing_subword_prefix = "", .end_of_word_suffix = "", .fuse_unknown = true,
                     .byte_fallback = true};
  if (tables.unknown) options.unknown_token = (*tables.tokens)[static_cast<std::size_t>(*tables.unknown)];
  std::vector<float> scores(tables.scores.begin(), tables.scores.end());
  std::vector<bool> mergeable(scores.size());
  for (std::size_t id = 0; id < scores.size(); ++id)
    mergeable[id] = tables.types[id] == kNormal || tables.types[id] == kUserDefined || tables.types[id] == kUnused;
  RETORT_TRY(parts.model, make_scored_bpe(std::move(vocabulary), scores, mergeable, options));
  const bool prefix = metadata.bool_at("tokenizer.ggml.add_space_prefix").value_or(true);
  std::vector<NormalizerPtr> normalizers;
  if (prefix) normalizers.push_back(make_prepend(std::string(kSpaceMark)));
  RETORT_TRY(Regex space, Regex::literal(" ", "space"));
  normalizers.push_back(make_replace(std::move(space), std::string(kSpaceMark)));
  parts.normalizer = make_normalizer_sequence(std::move(normalizers));
  std::vector<DecoderPtr> decoders;
  RETORT_TRY(Regex mark, Regex::literal(kSpaceMark, "mark"));
  decoders.push_back(make_replace_decoder(std::move(mark), " "));
  decoders.push_back(make_byte_fallback_decoder());
  decoders.push_back(make_fuse_decoder());
  if (prefix) decoders.push_back(make_strip_decoder(U' ', 1, 0));
  parts.decoder = make_decoder_sequence(std::move(decoders));
  set_bos_and_eos(parts, metadata, tables, true, false);
  return parts;
}

// GGUF marks the beginning of words with ▁ where BERT's own files mark the continuations with ##.
Result<PipelineParts> bert_wordpiece(const Metadata& metadata, const Tables& tables) {
  PipelineParts parts;
  Vocabulary vocabulary;
  vocabulary.reserve(tables.tokens->size());
  for (std::size_t id = 0; id < tables.tokens->size(); ++id) {
    std::string piece = (*tables.tokens)[id];
    if (piece.starts_with(kSpaceMark)) piece.erase(0, kSpaceMark.size());
    else if (tables.types[id] == kNormal && !(piece.starts_with('[') && piece.ends_with(']'))) piece.insert(0, "##");
    RETORT_CHECK(vocabulary.add(std::move(piece), id, "tokenizer.ggml.tokens"));
  }
  WordPieceOptions options;
  if (tables.unknown) options.unknown_token = (*tables.tokens)[static_cast<std::size_t>(*tables.unknown)];
  RETORT_TRY(parts.model, make_wordpiece(std::move(vocabulary), options));
  BertOptions bert;
  bert.lowercase = metadata.bool_at("tokenizer.ggml.normalizer.lowercase").value_or(true);
  parts.normalizer = make_bert_normalizer(bert);
  parts.pre_tokenizer = make_bert_pre_tokenizer();
  parts.decoder = make_wordpiece_decoder("##", true);
  const std::optional<TokenId> end = tables.separator ? tables.separator : tables.eos;
  std::vector<TokenId> before, after;
  if (tables.bos && metadata.bool_at("tokenizer.ggml.add_bos_token").value_or(true)) before.push_back(*tables.bos);
  if (end && metadata.bool_at("tokenizer.ggml.add_sep_token").value_or(true)) after.push_back(*end);
  if (before.size() == 1 && after.size() == 1) parts.post_processor = PostProcessor({bert_templates(before[0], after[0])});
  else parts.post_processor = surround(before, after);
  return parts;
}

Result<PipelineParts> t5_unigram(const Metadata& metadata, const Tables& tables) {
  PipelineParts parts;
  RETORT_TRY(Vocabulary vocabulary, vocabulary_of(tables));
  std::optional<std::uint64_t> unknown;
  if (tables.unknown) unknown = static_cast<std::uint64_t>(*tables.unknown);
  std::vector<double> scores(tables.scores.begin(), tables.scores.begin() + static_cast<std::ptrdiff_t>(tables.tokens->size()));
  RETORT_TRY(parts.model, make_unigram(std::move(vocabulary), std::move(scores), unknown, false));
  if (const auto bytes = numbers<unsigned char>(metadata, "tokenizer.ggml.precompiled_charsmap")) {
    const std::string charsmap(bytes->begin(), bytes->end());
    RETORT_TRY(parts.normalizer, make_precompiled(charsmap, "tokenizer.ggml.precompiled_charsmap"));
  }
  const bool prefix = metadata.bool_at("tokenizer.ggml.add_space_prefix").value_or(true);
  const PrependScheme scheme = prefix ? PrependScheme::kAlways : PrependScheme::kNever;
  std::vector<PreTokenizerPtr> steps;
  if (metadata.bool_at("tokenizer.ggml.remove_extra_whitespaces").value_or(true)) steps.push_back(make_whitespace_split());
  steps.push_back(make_metaspace(std::string(kSpaceMark), scheme, true));
  parts.pre_tokenizer = make_pre_tokenizer_sequence(std::move(steps));
  parts.decoder = make_metaspace_decoder(std::string(kSpaceMark), prefix);
  set_bos_and_eos(parts, metadata, tables, false, true);
  return parts;
}

Result<PipelineParts> parts_of(const std::string& model, const Metadata& metadata, const Tables& tables) {
  if (model == "gpt2") return byte_level_bpe(metadata, tables);
  if (model == "llama") return sentencepiece_bpe(metadata, tables);
  if (model == "bert") return bert_wordpiece(metadata, tables);
  if (model == "t5") return t5_unigram(metadata, tables);
  return Error{.code = ErrorCode::kUnsupported, .place = "tokenizer.ggml.model", .found = "the tokenizer " + model};
}

}  // namespace

Result<std::shared_ptr<Tokenizer>> tokenizer_from_gguf(const Metadata& metadata) {
  const std::optional<std::string> model = metadata.string_at("tokenizer.ggml.model");
  if (!model)
    return Error{.code = ErrorCode::kMissingPart, .place = "tokenizer.ggml.model", .found = "the file has no tokenizer"};
  RETORT_TRY(const Tables tables, read_tables(metadata));
  RETORT_TRY(PipelineParts parts, parts_of(*model, metadata, tables));
  parts.added = added_of(tables);
  auto tokenizer = std::make_shared<Pipeline>(std::move(parts));
  tokenizer->bos = tables.bos;
  tokenizer->eos = tables.eos;
  tokenizer->unknown = tables.unknown;
  tokenizer->padding = tables.padding;
  const std::vector<TokenId> before = tokenizer->post_processor().before();
  tokenizer->adds_bos = tables.bos && !before.empty() && before.front() == *tables.bos;
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const auto id = metadata.unsigned_at(key); id && *id < tables.tokens->size())
      tokenizer->end_of_generation.push_back(static_cast<TokenId>(*id));
  complete_end_of_generation(*tokenizer, tokenizer->added());
  return std::shared_ptr<Tokenizer>(std::move(tokenizer));
}

}  // namespace retort::text
