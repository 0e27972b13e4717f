#include "core/text/sentencepiece.h"

#include <algorithm>
#include <array>

#include "core/text/folder_tokens.h"
#include "core/text/pipeline.h"
#include "core/text/sentencepiece_model.h"

namespace retort::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // ▁

// What transformers' tokenizer classes put around a text, where tokenizer_config.json doesn't say.
struct Family {
  std::string_view name;              // tokenizer_class begins with it
  bool bos = false, eos = false;      // around every text
  bool cls_sep = false;               // [CLS] A [SEP] B [SEP]
  bool fairseq = false;               // ids are those of fairseq: <s> <pad> </s> <unk>, the pieces from the fourth, <mask>
  int extra_ids = 0;                  // <extra_id_n>, counted down behind the pieces
};
constexpr std::array kFamilies = {
    Family{"Llama", true}, Family{"CodeLlama", true}, Family{"Gemma", true}, Family{"Mistral", true},
    Family{"T5", false, true, false, false, 100}, Family{"MT5", false, true, false, false, 100},
    Family{"Albert", false, false, true}, Family{"DebertaV2", false, false, true}, Family{"XLMRoberta", true, true, false, true},
    Family{"Camembert", true, true, false, true},
};

const Family& family_of(const JsonValue& config) {
  static constexpr Family kPlain{"", true};   // no class is stated: as Llama, whose files these mostly are
  const JsonValue* name = config.find("tokenizer_class");
  if (name == nullptr || name->string() == nullptr) return kPlain;
  for (const Family& family : kFamilies)
    if (name->string()->starts_with(family.name)) return family;
  static constexpr Family kUnknown{""};
  return kUnknown;
}

// Camembert's files begin with other tokens than XLM-RoBERTa's; nobody says where.
Result<void> check_family(const Family& family) {
  if (family.name != "Camembert") return {};
  return Error{.code = ErrorCode::kUnsupported, .place = "tokenizer_class", .found = "CamembertTokenizer without tokenizer.json",
               .next_step = "save the tokenizer with transformers, which writes tokenizer.json"};
}

void reorder_as_fairseq(SentencePieceModel& model) {
  using Piece = SentencePieceModel::Piece;
  std::vector<Piece> pieces = {{"<s>", 0, PieceType::kControl}, {"<pad>", 0, PieceType::kControl},
                               {"</s>", 0, PieceType::kControl}, {"<unk>", 0, PieceType::kUnknown}};
  for (std::size_t i = 3; i < model.pieces.size(); ++i) pieces.push_back(std::move(model.pieces[i]));
  pieces.push_back({"<mask>", 0, PieceType::kControl});
  model.pieces = std::move(pieces);
  model.bos = 0;
  model.padding = 1;
  model.eos = 2;
  model.unknown = 3;
}

double lowest_score(const SentencePieceModel& file) {
  double lowest = 0;
  bool any = false;
  for (const SentencePieceModel::Piece& piece : file.pieces)
    if (piece.type == PieceType::kNormal && (!any || static_cast<double>(piece.score) < lowest)) {
      lowest = static_cast<double>(piece.score);
      any = true;
    }
  return lowest;
}

// A user-defined symbol scores its length times the highest score, less 0.1; the library starts that maximum at (nearly) 0,
// and scores are negative, so that it is -0.1 and all but always wins.
std::vector<double> unigram_scores(const SentencePieceModel& file) {
  double highest = 0;
  for (const SentencePieceModel::Piece& piece : file.pieces)
    if (piece.type == PieceType::kNormal) highest = std::max(highest, static_cast<double>(piece.score));
  std::vector<double> scores;
  for (const SentencePieceModel::Piece& piece : file.pieces)
    scores.push_back(piece.type == PieceType::kUserDefined ? static_cast<double>(piece.text.size()) * highest - 0.1
                                                           : static_cast<double>(piece.score));
  return scores;
}

Result<TokenModelPtr> model_of(const SentencePieceModel& file) {
  Vocabulary vocabulary;
  vocabulary.reserve(file.pieces.size());
  std::vector<bool> usable(file.pieces.size());
  std::vector<float> scores;
  bool bytes = false;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = file.pieces[id];
    RETORT_CHECK(vocabulary.add(piece.text, id, kSentencePieceFile));
    scores.push_back(piece.score);
    usable[id] = piece.type == PieceType::kNormal || piece.type == (file.bpe ? PieceType::kUnused : PieceType::kUserDefined);
    bytes = bytes || piece.type == PieceType::kByte;
  }
  if (file.unknown < 0 || static_cast<std::size_t>(file.unknown) >= file.pieces.size())
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(kSentencePieceFile), .expected = "an id of the unknown piece",
                 .found = std::to_string(file.unknown)};
  const bool fallback = file.byte_fallback && bytes;
  if (file.bpe) {
    BpeOptions options;
    options.unknown_token = file.pieces[static_cast<std::size_t>(file.unknown)].text;
    options.fuse_unknown = true;
    options.byte_fallback = fallback;
    return make_scored_bpe(std::move(vocabulary), scores, usable, options);
  }
  return make_unigram(std::move(vocabulary), unigram_scores(file), static_cast<std::uint64_t>(file.unknown), fallback,
                      {std::move(usable), lowest_score(file)});
}

AddedTokens added_of(const SentencePieceModel& file) {
  AddedTokens added;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = file.pieces[id];
    AddedToken token{.id = static_cast<TokenId>(id), .content = piece.text};
    if (piece.type == PieceType::kUserDefined && file.bpe) {   // BPE never merges into them; Unigram weighs them
      token.as_is = true;
    } else if (piece.type == PieceType::kControl || piece.type == PieceType::kUnknown) {
      token.normalized = false;
      token.special = true;
    } else {
      continue;
    }
    if (added.find(std::string_view(piece.text)) == nullptr) added.add(std::move(token));
  }
  return added;
}

Result<DecoderPtr> decoder_of(const SentencePieceModel& file) {
  std::vector<DecoderPtr> decoders;
  RETORT_TRY(Regex mark, Regex::literal(kMark, "mark"));
  decoders.push_back(make_replace_decoder(std::move(mark), " "));
  decoders.push_back(make_byte_fallback_decoder());
  decoders.push_back(make_fuse_decoder());
  constexpr std::size_t kAll = 1u << 30;
  if (file.add_dummy_prefix || file.remove_extra_whitespaces)
    decoders.push_back(make_strip_decoder(U' ', file.remove_extra_whitespaces ? kAll : 1, 0));
  return make_decoder_sequence(std::move(decoders));
}

std::optional<TokenId> id_or_none(std::int32_t id, const SentencePieceModel& file) {
  if (id < 0 || static_cast<std::size_t>(id) >= file.pieces.size()) return std::nullopt;
  return id;
}

// Ids of the special tokens: tokenizer_config.json by name, else the model's own.
struct Roles {
  std::optional<TokenId> bos, eos, unknown, padding, cls, sep;
};
Roles roles_of(const JsonValue& config, const SentencePieceModel& file, const AddedTokens& added) {
  const auto role = [&](std::string_view key, std::optional<TokenId> otherwise) {
    const auto content = content_of(config.find(key));
    if (!content) return otherwise;
    const AddedToken* token = added.find(std::string_view(*content));
    return token ? std::optional(token->id) : otherwise;
  };
  return {role("bos_token", id_or_none(file.bos, file)), role("eos_token", id_or_none(file.eos, file)),
          role("unk_token", id_or_none(file.unknown, file)), role("pad_token", id_or_none(file.padding, file)),
          role("cls_token", std::nullopt), role("sep_token", std::nullopt)};
}

PostProcessor post_processor_of(const JsonValue& config, const Family& family, const Roles& roles) {
  if (family.cls_sep && roles.cls && roles.sep) return PostProcessor({bert_templates(*roles.cls, *roles.sep)});
  if (family.fairseq && roles.bos && roles.eos) return PostProcessor({roberta_templates(*roles.bos, *roles.eos)});
  std::vector<TokenId> before, after;
  if (roles.bos && flag_of(config, "add_bos_token", family.bos)) before.push_back(*roles.bos);
  if (roles.eos && flag_of(config, "add_eos_token", family.eos)) after.push_back(*roles.eos);
  return surround(before, after);
}

}  // namespace

Result<std::shared_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::string_view model, std::string_view tokenizer_config_json,
                                                                std::string_view added_tokens_json) {
  JsonValue config;
  if (!tokenizer_config_json.empty()) {
    RETORT_TRY(config, parse_json(tokenizer_config_json, "tokenizer_config.json"));
  }
  const Family& family = family_of(config);
  RETORT_CHECK(check_family(family));
  RETORT_TRY(SentencePieceModel file, read_sentencepiece(model));
  if (family.fairseq) reorder_as_fairseq(file);

  PipelineParts parts;
  parts.added = added_of(file);
  for (int i = 0; i < family.extra_ids; ++i) {
    const auto id = static_cast<TokenId>(file.pieces.size()) + family.extra_ids - 1 - i;
    parts.added.add({.id = id, .content = "<extra_id_" + std::to_string(i) + ">", .normalized = false, .special = true});
  }
  RETORT_CHECK(add_folder_tokens(config, added_tokens_json, parts.added));
  std::vector<std::string> symbols;
  for (const SentencePieceModel::Piece& piece : file.pieces)
    if (piece.type == PieceType::kUserDefined) symbols.push_back(piece.text);
  const SentencePieceRules rules{file.add_dummy_prefix, file.remove_extra_whitespaces, file.escape_whitespaces,
                                 !flag_of(config, "legacy", true)};
  RETORT_TRY(parts.normalizer, make_sentencepiece_normalizer(file.charsmap, symbols, rules, kSentencePieceFile));
  RETORT_TRY(parts.model, model_of(file));
  RETORT_TRY(parts.decoder, decoder_of(file));
  const Roles roles = roles_of(config, file, parts.added);
  parts.post_processor = post_processor_of(config, family, roles);

  auto tokenizer = std::make_shared<Pipeline>(std::move(parts));
  tokenizer->bos = roles.bos;
  tokenizer->eos = roles.eos;
  tokenizer->unknown = roles.unknown;
  tokenizer->padding = roles.padding;
  const std::vector<TokenId> before = tokenizer->post_processor().before();
  tokenizer->adds_bos = roles.bos && !before.empty() && before.front() == *roles.bos;
  complete_end_of_generation(*tokenizer, tokenizer->added());
  return std::shared_ptr<Tokenizer>(std::move(tokenizer));
}

}  // namespace retort::text
