// tokenizer.json → tokenizer.ggml.*. Byte-level BPE becomes llama.cpp's "gpt2" with the name of its pre-tokenizer; BPE
// with byte fallback becomes "llama" (SentencePiece), whose scores stand for the ranks of the merges.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "core/export/gguf_metadata.h"
#include "core/formats/byte_reader.h"
#include "core/text/gguf_pre_tokenizers.h"
#include "core/text/tokenizer_file.h"

namespace retort {
namespace {

using text::JsonValue;

// llama.cpp's token types.
enum TokenType : std::int32_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

std::string text_at(const JsonValue& object, std::string_view key) {
  const JsonValue* found = object.find(key);
  return found != nullptr && found->string() != nullptr ? *found->string() : std::string();
}
bool flag_at(const JsonValue& object, std::string_view key, bool otherwise) {
  const JsonValue* found = object.find(key);
  return found != nullptr && found->boolean() != nullptr ? *found->boolean() : otherwise;
}

// A sequence of steps under `list_key`, or one step, or none, as a list.
std::vector<const JsonValue*> steps_of(const JsonValue& document, std::string_view key, std::string_view list_key) {
  const JsonValue* found = document.find(key);
  if (found == nullptr || found->object() == nullptr) return {};
  const JsonValue* list = text_at(*found, "type") == "Sequence" ? found->find(list_key) : nullptr;
  if (list == nullptr || list->array() == nullptr) return {found};
  std::vector<const JsonValue*> steps;
  for (const JsonValue& step : *list->array()) steps.push_back(&step);
  return steps;
}

bool is_space(const JsonValue* pattern) { return pattern != nullptr && text_at(*pattern, "String") == " "; }

std::string types_of(const std::vector<const JsonValue*>& steps) {
  std::string types;
  for (const JsonValue* step : steps) types += (types.empty() ? "" : ", ") + text_at(*step, "type");
  return types.empty() ? "none" : types;
}

bool is_byte_level(const JsonValue& step, bool with_regex) {
  return text_at(step, "type") == "ByteLevel" && flag_at(step, "use_regex", true) == with_regex &&
         !flag_at(step, "add_prefix_space", true);
}

// Appends what one step splits by. False for a step that llama.cpp has no words for.
bool add_patterns(const JsonValue& step, std::vector<std::string_view>& patterns) {
  const std::string type = text_at(step, "type");
  if (is_byte_level(step, true)) patterns.push_back(text::kGpt2Words);
  else if (type == "Digits") patterns.push_back(flag_at(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
  else if (type == "Split" && text_at(step, "behavior") == "Isolated" && !flag_at(step, "invert", false)) {
    const JsonValue* pattern = step.find("pattern");
    const JsonValue* words = pattern ? pattern->find("Regex") : nullptr;
    if (!words || !words->string()) return false;
    patterns.push_back(*words->string());
  } else {
    return is_byte_level(step, false);
  }
  return true;
}

// llama.cpp's name of a byte-level pre-tokenizer; empty when it has none.
std::string pre_name(const JsonValue& document, const JsonValue& model) {
  const std::vector<const JsonValue*> steps = steps_of(document, "pre_tokenizer", "pretokenizers");
  std::vector<std::string_view> patterns;
  for (const JsonValue* step : steps)
    if (!add_patterns(*step, patterns)) return {};
  if (steps.empty() || text_at(*steps.back(), "type") != "ByteLevel") return {};
  return std::string(text::gguf_pre_tokenizer_name(patterns, flag_at(model, "ignore_merges", false)));
}

class TokenizerWriter {
 public:
  TokenizerWriter(const Model& model, Metadata& out, std::vector<std::string>& notes)
      : model_(model), out_(out), notes_(notes), file_((model.checkpoint->path / "tokenizer.json").string()) {}

  Result<void> write() {
    auto read = text::read_tokenizer_file(model_.checkpoint->tokenizer_json);
    if (!read.ok()) {
      Error error = std::move(read).error();
      error.file = file_;
      return error;
    }
    tokenizer_ = std::move(read).value();
    const JsonValue* model = tokenizer_.root.find("model");
    if (model == nullptr || model->object() == nullptr) return corrupt("model", "an object");
    const std::string type = text_at(*model, "type");
    if (type != "BPE" && !(type.empty() && !tokenizer_.merges.empty()))
      return refuse("model.type", type.empty() ? "no type" : type);
    RETORT_CHECK(read_vocabulary(*model));
    if (flag_at(*model, "byte_fallback", false)) {
      RETORT_CHECK(write_sentencepiece());
    } else {
      RETORT_CHECK(write_byte_level(*model));
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
  Result<void> read_vocabulary(const JsonValue& model) {
    const auto size = static_cast<std::size_t>(model_.config.vocabulary);
    tokens_.resize(size);
    types_.assign(size, kUnused);
    if (!tokenizer_.has_vocab || tokenizer_.scored) return corrupt("model.vocab", "an object of tokens and ids");
    const std::string unknown = text_at(model, "unk_token");
    const bool bytes = flag_at(model, "byte_fallback", false);
    for (const auto& [text, id] : tokenizer_.vocab) {
      const bool is_byte = bytes && text.size() == 6 && text.starts_with("<0x") && text.ends_with(">");
      RETORT_CHECK(put(static_cast<std::int64_t>(id), text, is_byte ? kByte : bytes && text == unknown ? kUnknown : kNormal));
    }
    if (const JsonValue* added = tokenizer_.root.find("added_tokens"); added != nullptr && added->array() != nullptr) {
      for (const JsonValue& token : *added->array()) {
        const JsonValue* id = token.find("id");
        if (id == nullptr || id->integer() == nullptr) return corrupt("added_tokens", "objects with id and content");
        const std::string text = text_at(token, "content");
        const bool is_unknown = bytes && text == unknown;
        RETORT_CHECK(put(*id->integer(), text, is_unknown ? kUnknown : flag_at(token, "special", false) ? kControl : kUserDefined));
      }
    }
    for (std::size_t id = 0; id < size; ++id)
      if (types_[id] == kUnused) tokens_[id] = "[PAD" + std::to_string(id) + "]";
    return {};
  }

  Result<void> write_byte_level(const JsonValue& model) {
    const std::string pre = pre_name(tokenizer_.root, model);
    if (pre.empty())
      return refuse("pre_tokenizer", formats::printable(types_of(steps_of(tokenizer_.root, "pre_tokenizer", "pretokenizers"))));
    for (const JsonValue* step : steps_of(tokenizer_.root, "normalizer", "normalizers")) {
      if (text_at(*step, "type") != "NFC") return refuse("normalizer", formats::printable(text_at(*step, "type")));
      notes_.push_back("llama.cpp does not compose characters (NFC) as the source's tokenizer does");
    }
    std::vector<std::string> merges;
    merges.reserve(tokenizer_.merges.size());
    for (const auto& [left, right] : tokenizer_.merges) {
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
    const auto& merges = tokenizer_.merges;
    std::unordered_map<std::string, std::vector<std::size_t>> ranks;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) ranks[merges[rank].first + merges[rank].second].push_back(rank);
    std::unordered_set<std::string_view> pieces;
    for (const auto& [text, id] : tokenizer_.vocab) pieces.insert(text);
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      if (types_[id] != kNormal) {
        scores[id] = types_[id] == kByte || types_[id] == kControl || types_[id] == kUnknown ? 0.0f : kNoMerge;
        continue;
      }
      const auto found = ranks.find(tokens_[id]);
      const std::vector<std::size_t> none;
      const std::vector<std::size_t>& of_token = found == ranks.end() ? none : found->second;
      if (splits(tokens_[id], pieces) != of_token.size() ||
          (!of_token.empty() && of_token.back() - of_token.front() + 1 != of_token.size()))
        return refuse("model.merges", "merges that no SentencePiece score can stand for, at token " + formats::printable(tokens_[id]));
      if (!of_token.empty()) scores[id] = -static_cast<float>(of_token.front());
    }
    return scores;
  }

  // How many ways there are to cut a token into two tokens, at the borders of its characters.
  static std::size_t splits(std::string_view token, const std::unordered_set<std::string_view>& pieces) {
    std::size_t count = 0;
    for (std::size_t i = 1; i < token.size(); ++i)
      if ((static_cast<unsigned char>(token[i]) & 0xc0) != 0x80 && pieces.contains(token.substr(0, i)) && pieces.contains(token.substr(i)))
        ++count;
    return count;
  }

  // Whether a space is put before the text: Prepend in the normalizer, or Metaspace. Both write spaces as U+2581.
  Result<bool> space_prefix() {
    bool prefix = false, replaced = false;
    for (const JsonValue* step : steps_of(tokenizer_.root, "normalizer", "normalizers")) {
      const std::string type = text_at(*step, "type");
      if (type == "Prepend") prefix = true;
      else if (type != "Replace") return refuse("normalizer", type);
      if (type == "Replace") replaced = is_space(step->find("pattern"));
    }
    for (const JsonValue* step : steps_of(tokenizer_.root, "pre_tokenizer", "pretokenizers")) {
      // Gemma splits at spaces, of which its normalizer has left none.
      if (replaced && text_at(*step, "type") == "Split" && is_space(step->find("pattern"))) continue;
      if (text_at(*step, "type") != "Metaspace") return refuse("pre_tokenizer", text_at(*step, "type"));
      const std::string scheme = text_at(*step, "prepend_scheme");
      prefix = scheme.empty() ? flag_at(*step, "add_prefix_space", true) : scheme != "never";
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
  text::TokenizerFile tokenizer_;
  std::vector<std::string> tokens_;
  std::vector<TokenType> types_;
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
