#include "core/text/tokenizer_steps.h"

#include "core/text/tokenizer_file.h"

namespace retort::text {
namespace {

Result<Regex> pattern_of(const Fields& fields) {
  const JsonValue* pattern = fields.find("pattern");
  if (pattern != nullptr && pattern->string() != nullptr) return Regex::literal(*pattern->string(), fields.path("pattern"));
  if (pattern != nullptr) {
    const Fields inner(*pattern, fields.path("pattern"));
    if (inner.find("String") != nullptr) {
      RETORT_TRY(const std::string text, inner.string("String"));
      return Regex::literal(text, inner.path("String"));
    }
    if (inner.find("Regex") != nullptr) {
      RETORT_TRY(const std::string text, inner.string("Regex"));
      return Regex::compile(text, inner.path("Regex"));
    }
  }
  return fields.wrong("pattern", "a String or a Regex");
}

Result<SplitBehavior> behavior_of(const Fields& fields, std::string_view otherwise) {
  RETORT_TRY(const std::string name, fields.string("behavior", otherwise));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return fields.unsupported("behavior", name);
}

struct MetaspaceFields {
  std::string replacement;
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};

Result<MetaspaceFields> metaspace_of(const Fields& fields) {
  MetaspaceFields out;
  RETORT_TRY(const char32_t mark, fields.character("replacement"));
  append_utf8(out.replacement, mark);
  RETORT_TRY(const std::string scheme, fields.string("prepend_scheme", "always"));
  if (scheme == "first") out.scheme = PrependScheme::kFirst;
  else if (scheme == "never") out.scheme = PrependScheme::kNever;
  else if (scheme != "always") return fields.unsupported("prepend_scheme", scheme);
  RETORT_TRY(const bool prefix, fields.boolean("add_prefix_space", true));  // the older spelling
  if (!prefix) out.scheme = PrependScheme::kNever;
  RETORT_TRY(out.split, fields.boolean("split", true));
  return out;
}

Result<std::string> from_base64(const std::string& text, const Fields& fields, std::string_view key) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::size_t digit =
        std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c);
    if (digit == std::string_view::npos) return fields.wrong(key, "base64");
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(static_cast<unsigned char>((bits >> count) & 0xFF)));
    }
  }
  return out;
}

// The members of a "Sequence", each read by `read(json, place, is_last)`.
template <class Ptr, class Read>
Result<std::vector<Ptr>> sequence_of(const Fields& fields, std::string_view key, Read read) {
  RETORT_TRY(const JsonValue::Array* items, fields.array(key));
  std::vector<Ptr> steps;
  for (std::size_t i = 0; i < items->size(); ++i) {
    RETORT_TRY(Ptr step, read((*items)[i], fields.path(key) + "[" + std::to_string(i) + "]", i + 1 == items->size()));
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<NormalizerPtr> bert_normalizer_of(const Fields& fields) {
  BertOptions options;
  RETORT_TRY(options.clean_text, fields.boolean("clean_text", true));
  RETORT_TRY(options.handle_chinese_chars, fields.boolean("handle_chinese_chars", true));
  RETORT_TRY(options.lowercase, fields.boolean("lowercase", true));
  if (fields.find("strip_accents") != nullptr) {
    RETORT_TRY(const bool strip, fields.boolean("strip_accents", false));
    options.strip_accents = strip;
  }
  return make_bert_normalizer(options);
}

Result<std::vector<TemplatePart>> template_of(const Fields& fields, std::string_view key) {
  std::vector<TemplatePart> parts;
  if (fields.find(key) == nullptr) return parts;
  RETORT_TRY(const JsonValue::Array* items, fields.array(key));
  const JsonValue* tokens = fields.find("special_tokens");
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string place = fields.path(key) + "[" + std::to_string(i) + "]";
    const JsonValue* text = (*items)[i].find("Sequence");
    const JsonValue* special = (*items)[i].find("SpecialToken");
    if (text == nullptr && special == nullptr)
      return Error{.code = ErrorCode::kCorrupt, .place = place, .expected = "a Sequence or a SpecialToken"};
    const Fields part_fields(text != nullptr ? *text : *special, place);
    RETORT_TRY(const std::string id, part_fields.string("id"));
    TemplatePart part;
    RETORT_TRY(const std::uint64_t type, part_fields.number("type_id", 0));
    part.type_id = static_cast<std::int32_t>(type & 0x7FFFFFFF);
    if (text != nullptr) {
      part.is_text = true;
      part.which = id == "B" ? 1 : 0;
    } else {
      const JsonValue* token = tokens != nullptr ? tokens->find(id) : nullptr;
      if (token == nullptr) return fields.wrong("special_tokens", "an entry for " + id);
      RETORT_TRY(const JsonValue::Array* ids, Fields(*token, fields.path("special_tokens." + id)).array("ids"));
      for (const JsonValue& value : *ids) {
        if (value.integer() == nullptr || *value.integer() < 0 || *value.integer() > INT32_MAX)
          return fields.wrong("special_tokens", "ids for " + id);
        part.ids.push_back(static_cast<TokenId>(*value.integer()));
      }
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

// ["[SEP]", 102]
Result<TokenId> token_id_of(const Fields& fields, std::string_view key) {
  RETORT_TRY(const JsonValue::Array* pair, fields.array(key));
  if (pair->size() != 2 || (*pair)[1].integer() == nullptr || *(*pair)[1].integer() < 0 || *(*pair)[1].integer() > INT32_MAX)
    return fields.wrong(key, "[token, id]");
  return static_cast<TokenId>(*(*pair)[1].integer());
}

Result<void> add_templates(const JsonValue& json, const std::string& place, std::vector<PostProcessor::Templates>& out) {
  const Fields fields(json, place);
  RETORT_TRY(const std::string type, fields.string("type"));
  if (type == "ByteLevel") return {};  // it moves offsets only
  if (type == "Sequence") {
    RETORT_TRY(const JsonValue::Array* items, fields.array("processors"));
    for (std::size_t i = 0; i < items->size(); ++i)
      RETORT_CHECK(add_templates((*items)[i], fields.path("processors") + "[" + std::to_string(i) + "]", out));
    return {};
  }
  if (type == "TemplateProcessing") {
    PostProcessor::Templates templates;
    RETORT_TRY(templates.single, template_of(fields, "single"));
    RETORT_TRY(templates.pair, template_of(fields, "pair"));
    out.push_back(std::move(templates));
    return {};
  }
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    RETORT_TRY(const TokenId cls, token_id_of(fields, "cls"));
    RETORT_TRY(const TokenId sep, token_id_of(fields, "sep"));
    out.push_back(type == "BertProcessing" ? bert_templates(cls, sep) : roberta_templates(cls, sep));
    return {};
  }
  return fields.unsupported("type", type);
}

}  // namespace

Result<NormalizerPtr> normalizer_from_json(const JsonValue& json, const std::string& place) {
  const Fields fields(json, place);
  RETORT_TRY(const std::string type, fields.string("type"));
  if (type == "NFC") return make_normal_form(NormalForm::kNfc);
  if (type == "NFD") return make_normal_form(NormalForm::kNfd);
  if (type == "NFKC") return make_normal_form(NormalForm::kNfkc);
  if (type == "NFKD") return make_normal_form(NormalForm::kNfkd);
  if (type == "Lowercase") return make_lowercase();
  if (type == "StripAccents") return make_strip_accents();
  if (type == "Nmt") return make_nmt();
  if (type == "ByteLevel") return make_byte_level_normalizer();
  if (type == "BertNormalizer") return bert_normalizer_of(fields);
  if (type == "Strip") {
    RETORT_TRY(const bool left, fields.boolean("strip_left", true));
    RETORT_TRY(const bool right, fields.boolean("strip_right", true));
    return make_strip(left, right);
  }
  if (type == "Replace") {
    RETORT_TRY(Regex pattern, pattern_of(fields));
    RETORT_TRY(std::string content, fields.string("content"));
    return make_replace(std::move(pattern), std::move(content));
  }
  if (type == "Prepend") {
    RETORT_TRY(std::string prepend, fields.string("prepend"));
    return make_prepend(std::move(prepend));
  }
  if (type == "Precompiled") {
    RETORT_TRY(const std::string encoded, fields.string("precompiled_charsmap", ""));
    RETORT_TRY(const std::string charsmap, from_base64(encoded, fields, "precompiled_charsmap"));
    return make_precompiled(charsmap, fields.path("precompiled_charsmap"));
  }
  if (type == "Sequence") {
    RETORT_TRY(auto steps, sequence_of<NormalizerPtr>(fields, "normalizers", [](const JsonValue& item, const std::string& at, bool) {
      return normalizer_from_json(item, at);
    }));
    return make_normalizer_sequence(std::move(steps));
  }
  return fields.unsupported("type", type);
}

bool ends_in_byte_level(const JsonValue& json) {
  const JsonValue* type = json.find("type");
  if (type == nullptr || type->string() == nullptr) return false;
  if (*type->string() == "ByteLevel") return true;
  const JsonValue* items = json.find("pretokenizers");
  return *type->string() == "Sequence" && items != nullptr && items->array() != nullptr && !items->array()->empty() &&
         ends_in_byte_level(items->array()->back());
}

Result<PreTokenizerPtr> pre_tokenizer_from_json(const JsonValue& json, const std::string& place, bool raw_bytes) {
  const Fields fields(json, place);
  RETORT_TRY(const std::string type, fields.string("type"));
  if (type == "BertPreTokenizer") return make_bert_pre_tokenizer();
  if (type == "Whitespace") return make_whitespace();
  if (type == "WhitespaceSplit") return make_whitespace_split();
  if (type == "UnicodeScripts") return make_unicode_scripts();
  if (type == "ByteLevel") {
    RETORT_TRY(const bool prefix, fields.boolean("add_prefix_space", true));
    RETORT_TRY(const bool regex, fields.boolean("use_regex", true));
    return make_byte_level(prefix, regex, !raw_bytes);
  }
  if (type == "Split") {
    RETORT_TRY(Regex pattern, pattern_of(fields));
    RETORT_TRY(const SplitBehavior behavior, behavior_of(fields, ""));
    RETORT_TRY(const bool invert, fields.boolean("invert", false));
    return make_split(std::move(pattern), behavior, invert);
  }
  if (type == "Digits") {
    RETORT_TRY(const bool individual, fields.boolean("individual_digits", false));
    return make_digits(individual);
  }
  if (type == "Punctuation") {
    RETORT_TRY(const SplitBehavior behavior, behavior_of(fields, "Isolated"));
    return make_punctuation(behavior);
  }
  if (type == "Metaspace") {
    RETORT_TRY(MetaspaceFields metaspace, metaspace_of(fields));
    return make_metaspace(std::move(metaspace.replacement), metaspace.scheme, metaspace.split);
  }
  if (type == "CharDelimiterSplit") {
    RETORT_TRY(const char32_t delimiter, fields.character("delimiter"));
    return make_char_delimiter(delimiter);
  }
  if (type == "FixedLength") {
    RETORT_TRY(const std::uint64_t length, fields.number("length", 5));
    if (length == 0) return fields.wrong("length", "at least 1");
    return make_fixed_length(length);
  }
  if (type == "Sequence") {
    RETORT_TRY(auto steps, sequence_of<PreTokenizerPtr>(
                               fields, "pretokenizers", [raw_bytes](const JsonValue& item, const std::string& at, bool last) {
                                 return pre_tokenizer_from_json(item, at, raw_bytes && last);
                               }));
    return make_pre_tokenizer_sequence(std::move(steps));
  }
  return fields.unsupported("type", type);
}

Result<DecoderPtr> decoder_from_json(const JsonValue& json, const std::string& place) {
  const Fields fields(json, place);
  RETORT_TRY(const std::string type, fields.string("type"));
  if (type == "ByteLevel") return make_byte_level_decoder();
  if (type == "ByteFallback") return make_byte_fallback_decoder();
  if (type == "Fuse") return make_fuse_decoder();
  if (type == "Metaspace") {
    RETORT_TRY(MetaspaceFields metaspace, metaspace_of(fields));
    return make_metaspace_decoder(std::move(metaspace.replacement), metaspace.scheme != PrependScheme::kNever);
  }
  if (type == "WordPiece") {
    RETORT_TRY(std::string prefix, fields.string("prefix", "##"));
    RETORT_TRY(const bool cleanup, fields.boolean("cleanup", true));
    return make_wordpiece_decoder(std::move(prefix), cleanup);
  }
  if (type == "Replace") {
    RETORT_TRY(Regex pattern, pattern_of(fields));
    RETORT_TRY(std::string content, fields.string("content"));
    return make_replace_decoder(std::move(pattern), std::move(content));
  }
  if (type == "Strip") {
    RETORT_TRY(const char32_t content, fields.character("content"));
    RETORT_TRY(const std::uint64_t start, fields.number("start"));
    RETORT_TRY(const std::uint64_t stop, fields.number("stop"));
    return make_strip_decoder(content, start, stop);
  }
  if (type == "BPEDecoder") {
    RETORT_TRY(std::string suffix, fields.string("suffix", "</w>"));
    return make_bpe_decoder(std::move(suffix));
  }
  if (type == "CTC") {
    RETORT_TRY(std::string pad, fields.string("pad_token", "<pad>"));
    RETORT_TRY(std::string delimiter, fields.string("word_delimiter_token", "|"));
    RETORT_TRY(const bool cleanup, fields.boolean("cleanup", true));
    return make_ctc_decoder(std::move(pad), std::move(delimiter), cleanup);
  }
  if (type == "Sequence") {
    RETORT_TRY(auto steps, sequence_of<DecoderPtr>(fields, "decoders", [](const JsonValue& item, const std::string& at, bool) {
      return decoder_from_json(item, at);
    }));
    return make_decoder_sequence(std::move(steps));
  }
  return fields.unsupported("type", type);
}

Result<PostProcessor> post_processor_from_json(const JsonValue& json, const std::string& place) {
  std::vector<PostProcessor::Templates> steps;
  RETORT_CHECK(add_templates(json, place, steps));
  return PostProcessor(std::move(steps));
}

}  // namespace retort::text
