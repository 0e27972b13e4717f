#include "core/text/normalizers.h"

#include "core/text/byte_alphabet.h"

namespace retort::text {
namespace {

// What a step that maps whole text leaves of the origin: the first character, if it is still the first.
void keep_origin(NormalText& text) {
  if (text.origin > 0) text.origin = text.text.empty() ? 0 : code_point_at(text.text, 0).length;
}

// Rewrites character by character: `map(c)` returns the replacement, or nullopt to drop it.
template <class Map>
void map_characters(NormalText& text, Map map) {
  std::string out;
  out.reserve(text.text.size());
  std::size_t origin = 0;
  for (std::size_t i = 0; i < text.text.size();) {
    const CodePoint c = code_point_at(text.text, i);
    if (const std::optional<char32_t> mapped = map(c.value)) append_utf8(out, *mapped);
    if (i < text.origin) origin = out.size();
    i += c.length;
  }
  text.text = std::move(out);
  text.origin = origin;
}

class NormalFormStep : public Normalizer {
 public:
  explicit NormalFormStep(NormalForm form) : form_(form) {}
  void apply(NormalText& text) const override {
    text.text = normal_form(text.text, form_);
    keep_origin(text);
  }

 private:
  NormalForm form_;
};

class Lowercase : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    text.text = lower_case(text.text);
    keep_origin(text);
  }
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(NormalText& text) const override {
    std::string& s = text.text;
    std::size_t begin = 0, end = s.size();
    if (left_)
      for (CodePoint c; begin < s.size(); begin += c.length)
        if (c = code_point_at(s, begin); !is_whitespace(c.value)) break;
    while (right_ && end > begin) {
      std::size_t last = end - 1;
      while (last > begin && (static_cast<unsigned char>(s[last]) & 0xC0) == 0x80) --last;
      if (!is_whitespace(code_point_at(s, last).value)) break;
      end = last;
    }
    s.resize(end);
    s.erase(0, begin);
    text.origin = text.origin > begin ? text.origin - begin : 0;
  }

 private:
  bool left_, right_;
};

class StripAccents : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    map_characters(text, [](char32_t c) { return is_mark(c) ? std::nullopt : std::optional(c); });
  }
};

class Replace : public Normalizer {
 public:
  Replace(Regex pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(NormalText& text) const override {
    std::vector<Match> matches;
    pattern_.find_all(text.text, matches);
    if (matches.empty()) return;
    std::string out;
    out.reserve(text.text.size());
    std::size_t from = 0, origin = 0;
    for (const Match& m : matches) {
      const std::size_t before = out.size();
      out.append(text.text, from, m.begin - from);
      if (from < text.origin) origin = before + std::min(m.begin, text.origin) - from;
      out += content_;
      // The content counts as what its match's last character was.
      const std::string_view matched = std::string_view(text.text).substr(m.begin, m.end - m.begin);
      if (!matched.empty() && m.begin + last_character(matched) < text.origin) origin = out.size();
      from = m.end;
    }
    if (from < text.origin) origin = out.size() + text.origin - from;
    out.append(text.text, from);
    text.text = std::move(out);
    text.origin = origin;
  }

 private:
  static std::size_t last_character(std::string_view s) {
    std::size_t at = s.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(s[at]) & 0xC0) == 0x80) --at;
    return at;
  }

  Regex pattern_;
  std::string content_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string text) : text_(std::move(text)) {}
  void apply(NormalText& text) const override {
    if (text.text.empty()) return;
    text.text.insert(0, text_);
    if (text.origin > 0) text.origin += text_.size();
  }

 private:
  std::string text_;
};

class Nmt : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    map_characters(text, [](char32_t c) -> std::optional<char32_t> {
      if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
        return std::nullopt;
      if (c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
          c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD)
        return U' ';
      return c;
    });
  }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    text.origin = to_byte_alphabet(std::string_view(text.text).substr(0, text.origin)).size();
    text.text = to_byte_alphabet(text.text);
  }
};

class Bert : public Normalizer {
 public:
  explicit Bert(const BertOptions& options) : options_(options) {}
  void apply(NormalText& text) const override {
    if (options_.clean_text) clean(text);
    if (options_.handle_chinese_chars) separate_ideographs(text);
    if (options_.strip_accents.value_or(options_.lowercase)) {
      text.text = normal_form(text.text, NormalForm::kNfd);
      keep_origin(text);
      map_characters(text, [](char32_t c) { return is_nonspacing_mark(c) ? std::nullopt : std::optional(c); });
    }
    if (options_.lowercase) {
      text.text = lower_case(text.text);
      keep_origin(text);
    }
  }

 private:
  static void clean(NormalText& text) {
    map_characters(text, [](char32_t c) -> std::optional<char32_t> {
      if (c == 0 || c == 0xFFFD || is_bert_control(c)) return std::nullopt;
      return is_whitespace(c) ? U' ' : c;
    });
  }

  static void separate_ideographs(NormalText& text) {
    std::string out;
    out.reserve(text.text.size());
    std::size_t origin = 0;
    for (std::size_t i = 0; i < text.text.size();) {
      const CodePoint c = code_point_at(text.text, i);
      const bool separate = is_cjk_ideograph(c.value);
      if (separate) out.push_back(' ');
      append_utf8(out, c.value);
      if (separate) out.push_back(' ');
      if (i < text.origin) origin = out.size();
      i += c.length;
    }
    text.text = std::move(out);
    text.origin = origin;
  }

  BertOptions options_;
};

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<NormalizerPtr> steps) : steps_(std::move(steps)) {}
  void apply(NormalText& text) const override {
    for (const NormalizerPtr& step : steps_) step->apply(text);
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

}  // namespace

NormalizerPtr make_normal_form(NormalForm form) { return std::make_unique<NormalFormStep>(form); }
NormalizerPtr make_lowercase() { return std::make_unique<Lowercase>(); }
NormalizerPtr make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }
NormalizerPtr make_strip_accents() { return std::make_unique<StripAccents>(); }
NormalizerPtr make_replace(Regex pattern, std::string content) {
  return std::make_unique<Replace>(std::move(pattern), std::move(content));
}
NormalizerPtr make_prepend(std::string text) { return std::make_unique<Prepend>(std::move(text)); }
NormalizerPtr make_nmt() { return std::make_unique<Nmt>(); }
NormalizerPtr make_byte_level_normalizer() { return std::make_unique<ByteLevelNormalizer>(); }
NormalizerPtr make_bert_normalizer(const BertOptions& options) { return std::make_unique<Bert>(options); }
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps) {
  return std::make_unique<NormalizerSequence>(std::move(steps));
}

}  // namespace retort::text
