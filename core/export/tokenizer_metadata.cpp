// tokenizer.json → tokenizer.ggml.*. Byte-level BPE becomes llama.cpp's "gpt2" with the name of its pre-tokenizer; BPE
// with byte fallback becomes "llama" (SentencePiece), whose scores stand for the ranks of the merges.
#include <algorithm>
#include <array>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "core/export/llama_metadata.h"
#include "core/formats/byte_reader.h"
#include "core/formats/json_text.h"

namespace retort {
namespace {

using nlohmann::json;

// llama.cpp's token types.
enum TokenType : std::int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

// The patterns that published tokenizers split by; llama.cpp knows each under a name.
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}
bool flag_at(const json& object, const char* key, bool otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

// A sequence of steps under `list_key`, or one step, or none, as a list.
std::vector<json> steps_of(const json& document, const char* key, const char* list_key) {
  const auto found = document.find(key);
  if (found == document.end() || !found->is_object()) return {};
  if (text_at(*found, "type") != "Sequence") return {*found};
  const auto list = found->find(list_key);
  return list != found->end() && list->is_array() ? list->get<std::vector<json>>() : std::vector<json>{*found};
}

bool is_byte_level(const json& step, bool with_regex) {
  return text_at(step, "type") == "ByteLevel" && flag_at(step, "use_regex", true) == with_regex &&
         !flag_at(step, "add_prefix_space", true);
}

bool splits_by(const json& step, std::string_view pattern) {
  if (text_at(step, "type") != "Split" || text_at(step, "behavior") != "Isolated" || flag_at(step, "invert", false)) return false;
  const auto found = step.find("pattern");
  return found != step.end() && found->is_object() && text_at(*found, "Regex") == pattern;
}

// llama.cpp's name of a byte-level pre-tokenizer; empty when it has none.
std::string pre_name(const json& document, const json& model) {
  const std::vector<json> steps = steps_of(document, "pre_tokenizer", "pretokenizers");
  if (steps.size() == 1 && is_byte_level(steps[0], true)) return "gpt-2";
  if (steps.size() != 2) return {};
  if (text_at(steps[0], "type") == "Digits" && flag_at(steps[0], "individual_digits", false) && is_byte_level(steps[1], true))
    return "smollm";
  if (!is_byte_level(steps[1], false)) return {};
  // The same pattern; the first takes a word that is a token whole, the second merges it like any other.
  if (splits_by(steps[0], kLlama3Pattern)) return flag_at(model, "ignore_merges", false) ? "llama-bpe" : "smaug-bpe";
  if (splits_by(steps[0], kQwen2Pattern)) return "qwen2";
  return {};
}

class TokenizerWriter {
 public:
  TokenizerWriter(const Model& model, Metadata& out, std::vector<std::string>& notes)
      : model_(model), out_(out), notes_(notes), file_((model.checkpoint->path / "tokenizer.json").string()) {}

  Result<void> write() {
    RETORT_TRY(document_, formats::parse_json(model_.checkpoint->tokenizer_json, file_, "tokenizer"));
    if (!document_.is_object() || !document_.contains("model") || !document_["model"].is_object())
      return corrupt("model", "an object");
    const json& model = document_["model"];
    const std::string type = text_at(model, "type");
    if (type != "BPE" && !(type.empty() && model.contains("merges")))
      return refuse("model.type", type.empty() ? "no type" : type);
    RETORT_CHECK(read_vocabulary(model));
    RETORT_CHECK(read_merges(model));
    if (flag_at(model, "byte_fallback", false)) {
      RETORT_CHECK(write_sentencepiece());
    } else {
      RETORT_CHECK(write_byte_level(model));
    }
    write_special_ids();
    if (!model_.chat_template.empty()) out_.set("tokenizer.chat_template", model_.chat_template);
    return {};
  }

 private:
  Error corrupt(std::string place, std::string expected) const {
    return Error{.code = ErrorCode::kCorrupt, .file = file_, .place = std::move(place), .expected = std::move(expected),
                 .found = "something else"};
  }
  Error refuse(std::string place, std::string found) const {
    return Error{.code = ErrorCode::kUnsupported, .file = file_, .place = std::move(place),
                 .expected = "a tokenizer that llama.cpp has", .found = std::move(found),
                 .next_step = "convert this model with llama.cpp's own converter and quantize the result here"};
  }

  Result<void> put(std::int64_t id, const std::string& text, TokenType type) {
    if (id < 0 || id >= static_cast<std::int64_t>(tokens_.size()))
      return corrupt("token " + formats::printable(text), "an id below " + std::to_string(tokens_.size()));
    tokens_[static_cast<std::size_t>(id)] = text;
    types_[static_cast<std::size_t>(id)] = type;
    return {};
  }

  // Every id of the embedding gets a text; ids that the tokenizer has not are unused ones.
  Result<void> read_vocabulary(const json& model) {
    const auto size = static_cast<std::size_t>(model_.config.vocabulary);
    tokens_.resize(size);
    types_.assign(size, kUnused);
    for (std::size_t id = 0; id < size; ++id) tokens_[id] = "[PAD" + std::to_string(id) + "]";
    const auto vocabulary = model.find("vocab");
    if (vocabulary == model.end() || !vocabulary->is_object()) return corrupt("model.vocab", "an object of tokens and ids");
    const std::string unknown = text_at(model, "unk_token");
    const bool bytes = flag_at(model, "byte_fallback", false);
    for (const auto& [text, id] : vocabulary->items()) {
      if (!id.is_number_integer()) return corrupt("token " + formats::printable(text), "a whole number as its id");
      const bool is_byte = bytes && text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
      RETORT_CHECK(put(id.get<std::int64_t>(), text, is_byte ? kByte : bytes && text == unknown ? kUnknown : kNormal));
      ids_[text] = id.get<std::int64_t>();
    }
    const auto added = document_.find("added_tokens");
    if (added == document_.end() || !added->is_array()) return {};
    for (const json& token : *added) {
      if (!token.is_object() || !token.contains("id") || !token["id"].is_number_integer()) return corrupt("added_tokens", "objects with id and content");
      const std::string text = text_at(token, "content");
      const bool is_unknown = bytes && text == unknown;
      RETORT_CHECK(put(token["id"].get<std::int64_t>(), text,
                       is_unknown ? kUnknown : flag_at(token, "special", false) ? kControl : kUserDefined));
    }
    return {};
  }

  // "a b" in older files, ["a", "b"] in newer ones.
  Result<void> read_merges(const json& model) {
    const auto merges = model.find("merges");
    if (merges == model.end() || !merges->is_array()) return corrupt("model.merges", "a list");
    for (const json& merge : *merges) {
      std::string left, right;
      if (merge.is_string()) {
        const std::string& text = merge.get_ref<const std::string&>();
        const auto space = text.find(' ', 1);
        if (space == std::string::npos) return corrupt("model.merges", "pairs");
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
      } else {
        return corrupt("model.merges", "pairs");
      }
      merges_.emplace_back(std::move(left), std::move(right));
    }
    return {};
  }

  Result<void> write_byte_level(const json& model) {
    const std::string pre = pre_name(document_, model);
    if (pre.empty()) {
      const auto found = document_.find("pre_tokenizer");
      return refuse("pre_tokenizer", found == document_.end() ? "none"
                                                               : formats::printable(found->dump(-1, ' ', true, json::error_handler_t::replace)));
    }
    const std::vector<json> normalizers = steps_of(document_, "normalizer", "normalizers");
    for (const json& step : normalizers) {
      if (text_at(step, "type") != "NFC") return refuse("normalizer", text_at(step, "type"));
      notes_.push_back("llama.cpp does not compose characters (NFC) as the source's tokenizer does");
    }
    std::vector<std::string> merges;
    for (const auto& [left, right] : merges_) {
      if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos)
        return refuse("model.merges", "a merge with a space inside");
      merges.push_back(left + " " + right);
    }
    out_.set("tokenizer.ggml.model", std::string("gpt2"));
    out_.set("tokenizer.ggml.pre", pre);
    write_tokens();
    set_array("tokenizer.ggml.merges", std::move(merges));
    return {};
  }

  Result<void> write_sentencepiece() {
    RETORT_TRY(std::vector<float> scores, scores_of_merges());
    out_.set("tokenizer.ggml.model", std::string("llama"));
    out_.set("tokenizer.ggml.pre", std::string("default"));
    write_tokens();
    set_array("tokenizer.ggml.scores", std::move(scores));
    RETORT_TRY(const bool prefix, space_prefix());
    out_.set("tokenizer.ggml.add_space_prefix", prefix);
    return {};
  }

  // SentencePiece joins the neighbours whose union scores best; BPE joins the pair of the lowest rank. Both do the same
  // when every pair that makes a token is a merge, and the merges of one token stand together. Then −rank is its score.
  Result<std::vector<float>> scores_of_merges() const {
    constexpr float kNoMerge = -1e9f;
    std::vector<float> scores(tokens_.size(), kNoMerge);
    std::unordered_map<std::string, std::vector<std::size_t>> ranks;
    for (std::size_t rank = 0; rank < merges_.size(); ++rank) ranks[merges_[rank].first + merges_[rank].second].push_back(rank);
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      if (types_[id] != kNormal) {
        scores[id] = types_[id] == kByte || types_[id] == kControl || types_[id] == kUnknown ? 0.0f : kNoMerge;
        continue;
      }
      const auto found = ranks.find(tokens_[id]);
      const std::vector<std::size_t> none;
      const std::vector<std::size_t>& of_token = found == ranks.end() ? none : found->second;
      if (splits_in_vocabulary(tokens_[id]) != of_token.size() ||
          (!of_token.empty() && of_token.back() - of_token.front() + 1 != of_token.size()))
        return refuse("model.merges", "merges that no SentencePiece score can stand for, at token " + formats::printable(tokens_[id]));
      if (!of_token.empty()) scores[id] = -static_cast<float>(of_token.front());
    }
    return scores;
  }

  // How many ways there are to cut a token into two tokens, at the borders of its characters.
  std::size_t splits_in_vocabulary(const std::string& token) const {
    std::size_t count = 0;
    for (std::size_t i = 1; i < token.size(); ++i)
      if ((static_cast<unsigned char>(token[i]) & 0xc0) != 0x80 && ids_.contains(token.substr(0, i)) && ids_.contains(token.substr(i)))
        ++count;
    return count;
  }

  // Whether a space is put before the text: Prepend in the normalizer, or Metaspace. Both write spaces as U+2581.
  Result<bool> space_prefix() {
    bool prefix = false;
    for (const json& step : steps_of(document_, "normalizer", "normalizers")) {
      const std::string type = text_at(step, "type");
      if (type == "Prepend") prefix = true;
      else if (type != "Replace") return refuse("normalizer", type);
    }
    for (const json& step : steps_of(document_, "pre_tokenizer", "pretokenizers")) {
      if (text_at(step, "type") != "Metaspace") return refuse("pre_tokenizer", text_at(step, "type"));
      const std::string scheme = text_at(step, "prepend_scheme");
      prefix = scheme.empty() ? flag_at(step, "add_prefix_space", true) : scheme != "never";
      if (prefix && scheme == "first")
        notes_.push_back("llama.cpp puts a space before every piece of text, the source's tokenizer only before the first");
    }
    return prefix;
  }

  void write_tokens() {
    set_array("tokenizer.ggml.tokens", tokens_);
    set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>(types_.begin(), types_.end()));
  }

  template <class Vector>
  void set_array(std::string key, Vector values) {
    auto array = std::make_shared<MetadataArray>();
    array->values = std::move(values);
    out_.set(std::move(key), std::shared_ptr<const MetadataArray>(std::move(array)));
  }

  void write_special_ids() {
    const Tokenizer& tokenizer = *model_.tokenizer;
    const auto set_id = [&](const char* key, const std::optional<TokenId>& id) {
      if (id && *id >= 0) out_.set(key, static_cast<std::uint32_t>(*id));
    };
    set_id("tokenizer.ggml.bos_token_id", tokenizer.bos);
    set_id("tokenizer.ggml.eos_token_id", tokenizer.eos);
    set_id("tokenizer.ggml.unknown_token_id", tokenizer.unknown);
    set_id("tokenizer.ggml.padding_token_id", tokenizer.padding);
    const std::vector<TokenId> plain = tokenizer.encode("a", false), marked = tokenizer.encode("a", true);
    const bool adds_eos = tokenizer.eos && marked.size() > plain.size() && marked.back() == *tokenizer.eos;
    out_.set("tokenizer.ggml.add_bos_token", tokenizer.adds_bos);
    out_.set("tokenizer.ggml.add_eos_token", adds_eos);
    if (marked.size() != plain.size() + (tokenizer.adds_bos ? 1u : 0u) + (adds_eos ? 1u : 0u))
      notes_.push_back("the source's tokenizer adds tokens that GGUF cannot describe");
  }

  const Model& model_;
  Metadata& out_;
  std::vector<std::string>& notes_;
  std::string file_;
  json document_;
  std::vector<std::string> tokens_;
  std::vector<TokenType> types_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::vector<std::pair<std::string, std::string>> merges_;
};

}  // namespace

Result<void> add_tokenizer_metadata(const Model& model, Metadata& metadata, std::vector<std::string>& notes) {
  if (model.checkpoint->tokenizer_json.empty()) {
    metadata.set("tokenizer.ggml.model", std::string("none"));
    notes.push_back("the source has no tokenizer.json: the file has no tokenizer");
    return {};
  }
  if (!model.tokenizer) {
    // The reason was set aside when the model was bound, as a model without text is still a model.
    RETORT_TRY(const auto tokenizer, load_tokenizer(*model.checkpoint));
    return Error{.code = ErrorCode::kInternal, .place = "tokenizer"};
  }
  return TokenizerWriter(model, metadata, notes).write();
}

}  // namespace retort
