#include "core/text/older_files.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "core/text/folder_tokens.h"
#include "core/text/unicode.h"

namespace retort::text {
namespace {

using nlohmann::json;

std::string class_of(const JsonValue& config) {
  const JsonValue* name = config.find("tokenizer_class");
  std::string text = name != nullptr && name->string() != nullptr ? *name->string() : std::string();
  if (text.ends_with("Fast")) text.resize(text.size() - 4);
  return text;
}

// A special token's content: from tokenizer_config.json, special_tokens_map.json, or the class's default.
std::string token_of(const JsonValue& config, const JsonValue& map, std::string_view key, std::string_view otherwise) {
  if (auto content = content_of(config.find(key))) return *content;
  if (auto content = content_of(map.find(key))) return *content;
  return std::string(otherwise);
}

Result<JsonValue> parse_optional(const std::string& text, std::string_view place) {
  if (text.empty()) return JsonValue();
  return parse_json(text, place);
}

class Writer {
 public:
  Writer(const JsonValue& config, const JsonValue& map) : config_(config), map_(map) {}

  // The tokens that play a part, where the vocabulary has them.
  Result<void> add_special(const json& vocab, const std::vector<std::pair<std::string_view, std::string_view>>& roles,
                           const std::string& added_tokens_json) {
    AddedTokens added;
    for (const auto& [key, otherwise] : roles) {
      const std::string content = token_of(config_, map_, key, otherwise);
      if (content.empty() || !vocab.contains(content) || added.find(std::string_view(content)) != nullptr) continue;
      // RoBERTa's mask swallows the space before it.
      added.add({.id = vocab[content].get<TokenId>(), .content = content, .lstrip = content == "<mask>", .normalized = false, .special = true});
    }
    RETORT_CHECK(add_folder_tokens(config_, added_tokens_json, added));
    for (const AddedToken& token : added.tokens())
      out["added_tokens"].push_back({{"id", token.id}, {"content", token.content}, {"single_word", token.single_word},
                                     {"lstrip", token.lstrip}, {"rstrip", token.rstrip}, {"normalized", token.normalized},
                                     {"special", token.special}});
    return {};
  }

  void surround_as(std::string_view kind, const json& vocab, const std::string& cls, const std::string& sep) {
    if (!vocab.contains(cls) || !vocab.contains(sep)) return;
    out["post_processor"] = {{"type", kind}, {"cls", {cls, vocab[cls]}}, {"sep", {sep, vocab[sep]}}};
    if (kind == "RobertaProcessing") {
      out["post_processor"]["trim_offsets"] = true;
      out["post_processor"]["add_prefix_space"] = false;
    }
  }

  std::string token(std::string_view key, std::string_view otherwise) const { return token_of(config_, map_, key, otherwise); }

  json out = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", json::array()},
              {"normalizer", nullptr}, {"pre_tokenizer", nullptr}, {"post_processor", nullptr}, {"decoder", nullptr}};

 private:
  const JsonValue& config_;
  const JsonValue& map_;
};

Error no_utf8(const char* place) {
  return Error{.code = ErrorCode::kCorrupt, .place = place, .expected = "UTF-8", .found = "other bytes"};
}

// Lines without their ends; the last may lack one.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

Result<std::string> wordpiece_json(const Checkpoint& checkpoint, const JsonValue& config, const JsonValue& map) {
  if (!is_valid_utf8(checkpoint.vocab_txt)) return no_utf8("vocab.txt");
  json vocab = json::object();
  std::int64_t id = 0;
  for (const std::string_view line : lines_of(checkpoint.vocab_txt)) vocab[std::string(line)] = id++;   // of equal lines the last counts
  Writer writer(config, map);
  const bool mpnet = class_of(config) == "MPNetTokenizer";
  const std::string unknown = writer.token("unk_token", "[UNK]");
  const std::string cls = writer.token("cls_token", mpnet ? "<s>" : "[CLS]"), sep = writer.token("sep_token", mpnet ? "</s>" : "[SEP]");
  writer.out["model"] = {{"type", "WordPiece"}, {"unk_token", unknown}, {"continuing_subword_prefix", "##"},
                         {"max_input_chars_per_word", 100}};
  const JsonValue* accents = config.find("strip_accents");
  json strip = accents != nullptr && accents->boolean() != nullptr ? json(*accents->boolean()) : json(nullptr);
  writer.out["normalizer"] = {{"type", "BertNormalizer"}, {"clean_text", true},
                              {"handle_chinese_chars", flag_of(config, "tokenize_chinese_chars", true)},
                              {"strip_accents", std::move(strip)}, {"lowercase", flag_of(config, "do_lower_case", true)}};
  writer.out["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  writer.out["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  writer.surround_as(mpnet ? "RobertaProcessing" : "BertProcessing", vocab, cls, sep);
  RETORT_CHECK(writer.add_special(vocab, {{"pad_token", mpnet ? "<pad>" : "[PAD]"}, {"unk_token", "[UNK]"}, {"cls_token", mpnet ? "<s>" : "[CLS]"},
                                          {"sep_token", mpnet ? "</s>" : "[SEP]"}, {"mask_token", mpnet ? "<mask>" : "[MASK]"},
                                          {"bos_token", ""}, {"eos_token", ""}}, checkpoint.added_tokens_json));
  writer.out["model"]["vocab"] = std::move(vocab);
  return writer.out.dump();
}

// How byte-level BPE classes differ.
struct BpeClass {
  std::string_view name;
  std::string_view pattern;     // empty: ByteLevel's own
  bool nfc;
  bool roberta;                 // <s> A </s>
  std::string_view unknown;
};
constexpr std::string_view kQwen2Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::array kBpeClasses = {
    BpeClass{"GPT2Tokenizer", "", false, false, "<|endoftext|>"}, BpeClass{"GPTNeoXTokenizer", "", false, false, "<|endoftext|>"},
    BpeClass{"RobertaTokenizer", "", false, true, "<unk>"},       BpeClass{"BartTokenizer", "", false, true, "<unk>"},
    BpeClass{"LongformerTokenizer", "", false, true, "<unk>"},    BpeClass{"Qwen2Tokenizer", kQwen2Words, true, false, ""},
};

Result<json> merges_of(std::string_view text) {
  if (!is_valid_utf8(text)) return no_utf8("merges.txt");
  json merges = json::array();
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const std::size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() || line.find(' ', space + 1) != std::string_view::npos)
      return Error{.code = ErrorCode::kCorrupt, .place = "merges.txt, line " + std::to_string(number), .expected = "two pieces",
                   .found = std::string(line.substr(0, 80))};
    merges.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return merges;
}

Result<std::string> bpe_json(const Checkpoint& checkpoint, const JsonValue& config, const JsonValue& map) {
  const std::string name = class_of(config);
  const auto found = std::find_if(kBpeClasses.begin(), kBpeClasses.end(), [&](const BpeClass& c) { return c.name == (name.empty() ? "GPT2Tokenizer" : name); });
  if (found == kBpeClasses.end())
    return Error{.code = ErrorCode::kUnsupported, .place = "tokenizer_config.json: tokenizer_class", .found = name + " without tokenizer.json",
                 .next_step = "save the tokenizer with transformers, which writes tokenizer.json"};
  RETORT_TRY(const JsonValue checked, parse_json(checkpoint.vocab_json, "vocab.json"));
  if (checked.object() == nullptr)
    return Error{.code = ErrorCode::kCorrupt, .place = "vocab.json", .expected = "an object", .found = std::string(checked.kind())};
  json vocab = json::object();
  for (const auto& [piece, id] : *checked.object()) {
    if (id.integer() == nullptr || *id.integer() < 0 || *id.integer() > (1 << 24))
      return Error{.code = ErrorCode::kCorrupt, .place = "vocab.json", .expected = "ids below 2^24", .found = piece.substr(0, 40)};
    vocab[piece] = *id.integer();
  }
  RETORT_TRY(json merges, merges_of(checkpoint.merges_txt));
  Writer writer(config, map);
  const bool prefix = flag_of(config, "add_prefix_space", false);
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", prefix}, {"trim_offsets", true}, {"use_regex", found->pattern.empty()}};
  if (found->pattern.empty()) {
    writer.out["pre_tokenizer"] = byte_level;
  } else {
    const json split = {{"type", "Split"}, {"pattern", {{"Regex", found->pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    writer.out["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}};
  }
  if (found->nfc) writer.out["normalizer"] = {{"type", "NFC"}};
  writer.out["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  writer.out["model"] = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", ""},
                         {"end_of_word_suffix", ""}, {"fuse_unk", false}, {"byte_fallback", false}, {"ignore_merges", false}};
  if (found->roberta) writer.surround_as("RobertaProcessing", vocab, writer.token("cls_token", "<s>"), writer.token("sep_token", "</s>"));
  if (found->roberta && !writer.out["post_processor"].is_null()) writer.out["post_processor"]["add_prefix_space"] = prefix;
  RETORT_CHECK(writer.add_special(vocab, {{"bos_token", found->roberta ? "<s>" : "<|endoftext|>"}, {"eos_token", found->roberta ? "</s>" : "<|endoftext|>"},
                                          {"unk_token", found->unknown}, {"pad_token", found->roberta ? "<pad>" : ""},
                                          {"mask_token", found->roberta ? "<mask>" : ""}}, checkpoint.added_tokens_json));
  writer.out["model"]["vocab"] = std::move(vocab);
  writer.out["model"]["merges"] = std::move(merges);
  return writer.out.dump();
}

}  // namespace

Result<std::string> tokenizer_json_of_older_files(const Checkpoint& checkpoint) {
  if (checkpoint.vocab_txt.empty() && (checkpoint.vocab_json.empty() || checkpoint.merges_txt.empty())) return std::string();
  RETORT_TRY(const JsonValue config, parse_optional(checkpoint.tokenizer_config_json, "tokenizer_config.json"));
  RETORT_TRY(const JsonValue map, parse_optional(checkpoint.special_tokens_map_json, "special_tokens_map.json"));
  return checkpoint.vocab_txt.empty() ? bpe_json(checkpoint, config, map) : wordpiece_json(checkpoint, config, map);
}

}  // namespace retort::text
