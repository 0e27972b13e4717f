#include "core/text/pre_tokenizers.h"

#include <algorithm>

#include "core/text/byte_alphabet.h"
#include "core/text/unicode.h"

namespace retort::text {
namespace {

// A part of a word under consideration: delimiter or not.
struct Part {
  std::size_t begin, end;
  bool delimiter;
};

// Applies a behaviour to the parts of one word, which cover it in order. The merges are the library's own: a
// delimiter joins only a neighbour that is no delimiter.
void emit(const std::vector<Part>& parts, SplitBehavior behavior, std::size_t origin, std::vector<Span>& out) {
  const auto push = [&](std::size_t begin, std::size_t end) {
    if (begin < end) out.push_back({begin, end, origin});
  };
  const std::size_t n = parts.size();
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Part& p : parts)
        if (!p.delimiter) push(p.begin, p.end);
      break;
    case SplitBehavior::kIsolated:
      for (const Part& p : parts) push(p.begin, p.end);
      break;
    case SplitBehavior::kContiguous:
      for (std::size_t i = 0; i < n;) {
        std::size_t j = i + 1;
        while (j < n && parts[j].delimiter == parts[i].delimiter) ++j;
        push(parts[i].begin, parts[j - 1].end);
        i = j;
      }
      break;
    case SplitBehavior::kMergedWithPrevious:
      for (std::size_t i = 0; i < n; ++i) {
        std::size_t end = parts[i].end;
        const std::size_t begin = parts[i].begin;
        if (!parts[i].delimiter && i + 1 < n && parts[i + 1].delimiter) end = parts[++i].end;
        push(begin, end);
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t begin = parts[i].begin;
        std::size_t end = parts[i].end;
        if (parts[i].delimiter && i + 1 < n && !parts[i + 1].delimiter) end = parts[++i].end;
        push(begin, end);
      }
      break;
  }
}

// Splits every word; `find(word, parts)` fills in the parts with offsets inside the word.
template <class Find>
void split_all(Pieces& pieces, SplitBehavior behavior, Find find) {
  std::vector<Span> out;
  out.reserve(pieces.spans.size() * 2);
  std::vector<Part> parts;
  for (const Span& span : pieces.spans) {
    parts.clear();
    find(std::string_view(pieces.text).substr(span.begin, span.end - span.begin), parts);
    for (Part& p : parts) {
      p.begin += span.begin;
      p.end += span.begin;
    }
    emit(parts, behavior, span.origin, out);
  }
  pieces.spans = std::move(out);
}

void split_by_regex(Pieces& pieces, const Regex& regex, SplitBehavior behavior, bool invert) {
  std::vector<Match> matches;
  split_all(pieces, behavior, [&](std::string_view word, std::vector<Part>& parts) {
    matches.clear();
    regex.find_all(word, matches);
    std::size_t from = 0;
    for (const Match& m : matches) {
      if (from != m.begin) parts.push_back({from, m.begin, invert});
      parts.push_back({m.begin, m.end, !invert});
      from = m.end;
    }
    if (from != word.size()) parts.push_back({from, word.size(), invert});
  });
}

// Each character for which `is_delimiter` holds is a part of its own.
template <class Predicate>
void split_by_character(Pieces& pieces, SplitBehavior behavior, Predicate is_delimiter) {
  split_all(pieces, behavior, [&](std::string_view word, std::vector<Part>& parts) {
    std::size_t from = 0;
    for (std::size_t i = 0; i < word.size();) {
      const CodePoint c = code_point_at(word, i);
      if (is_delimiter(c.value)) {
        if (from != i) parts.push_back({from, i, false});
        parts.push_back({i, i + c.length, true});
        from = i + c.length;
      }
      i += c.length;
    }
    if (from != word.size()) parts.push_back({from, word.size(), false});
  });
}

// Writes every word anew: `rewrite(word, first, out)` appends it.
template <class Rewrite>
void rewrite_all(Pieces& pieces, Rewrite rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (Span& span : pieces.spans) {
    const std::size_t begin = text.size();
    const bool first = span.begin < span.origin;
    rewrite(std::string_view(pieces.text).substr(span.begin, span.end - span.begin), first, text);
    span = {begin, text.size(), first ? begin + 1 : 0};
  }
  pieces.text = std::move(text);
}

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex, bool map_bytes)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex), map_bytes_(map_bytes), regex_(gpt2_regex()) {}

  void apply(Pieces& pieces) const override {
    if (add_prefix_space_)
      rewrite_all(pieces, [](std::string_view word, bool, std::string& out) {
        if (word.front() != ' ') out += ' ';
        out += word;
      });
    if (use_regex_ && regex_.ok()) split_by_regex(pieces, *regex_, SplitBehavior::kIsolated, false);
    if (map_bytes_)
      rewrite_all(pieces, [](std::string_view word, bool, std::string& out) {
        for (const char c : word) out += byte_character(static_cast<unsigned char>(c));
      });
  }

 private:
  static Result<Regex> gpt2_regex() {
    return Regex::compile(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "ByteLevel");
  }

  bool add_prefix_space_, use_regex_, map_bytes_;
  Result<Regex> regex_;
};

class Split : public PreTokenizer {
 public:
  Split(Regex pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Pieces& pieces) const override { split_by_regex(pieces, pattern_, behavior_, invert_); }

 private:
  Regex pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(bool individual)
      : behavior_(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous) {}
  void apply(Pieces& pieces) const override { split_by_character(pieces, behavior_, is_numeric); }

 private:
  SplitBehavior behavior_;
};

class Metaspace : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme), split_(split) {}

  void apply(Pieces& pieces) const override {
    rewrite_all(pieces, [this](std::string_view word, bool first, std::string& out) {
      const bool marked = word.front() == ' ' || word.starts_with(replacement_);
      if (!marked && (scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && first)))
        out += replacement_;
      for (const char c : word)
        if (c == ' ') out += replacement_;
        else out += c;
    });
    if (split_) {
      const char32_t mark = code_point_at(replacement_, 0).value;
      split_by_character(pieces, SplitBehavior::kMergedWithNext, [mark](char32_t c) { return c == mark; });
    }
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

// \w+|[^\w\s]+ : runs of word characters and runs of other visible ones.
class Whitespace : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_all(pieces, SplitBehavior::kRemoved, [](std::string_view word, std::vector<Part>& parts) {
      enum class Kind { kSpace, kWord, kOther };
      const auto kind_of = [](char32_t c) {
        return is_word(c) ? Kind::kWord : is_whitespace(c) ? Kind::kSpace : Kind::kOther;
      };
      for (std::size_t i = 0; i < word.size();) {
        const Kind kind = kind_of(code_point_at(word, i).value);
        std::size_t end = i;
        while (end < word.size()) {
          const CodePoint c = code_point_at(word, end);
          if (kind_of(c.value) != kind) break;
          end += c.length;
        }
        parts.push_back({i, end, kind == Kind::kSpace});
        i = end;
      }
    });
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override { split_by_character(pieces, SplitBehavior::kRemoved, is_whitespace); }
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(SplitBehavior behavior) : behavior_(behavior) {}
  void apply(Pieces& pieces) const override { split_by_character(pieces, behavior_, is_bert_punctuation); }

 private:
  SplitBehavior behavior_;
};

class BertPreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_by_character(pieces, SplitBehavior::kRemoved, is_whitespace);
    split_by_character(pieces, SplitBehavior::kIsolated, is_bert_punctuation);
  }
};

class CharDelimiter : public PreTokenizer {
 public:
  explicit CharDelimiter(char32_t delimiter) : delimiter_(delimiter) {}
  void apply(Pieces& pieces) const override {
    split_by_character(pieces, SplitBehavior::kRemoved, [this](char32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(std::size_t characters) : characters_(characters) {}
  void apply(Pieces& pieces) const override {
    split_all(pieces, SplitBehavior::kIsolated, [this](std::string_view word, std::vector<Part>& parts) {
      std::size_t begin = 0, count = 0;
      for (std::size_t i = 0; i < word.size();) {
        i += code_point_at(word, i).length;
        if (++count == characters_ || i >= word.size()) {
          parts.push_back({begin, i, false});
          begin = i;
          count = 0;
        }
      }
    });
  }

 private:
  std::size_t characters_;
};

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<PreTokenizerPtr> steps) : steps_(std::move(steps)) {}
  void apply(Pieces& pieces) const override {
    for (const PreTokenizerPtr& step : steps_) step->apply(pieces);
  }

 private:
  std::vector<PreTokenizerPtr> steps_;
};

}  // namespace

PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex, bool map_bytes) {
  return std::make_unique<ByteLevel>(add_prefix_space, use_regex, map_bytes);
}
PreTokenizerPtr make_split(Regex pattern, SplitBehavior behavior, bool invert) {
  return std::make_unique<Split>(std::move(pattern), behavior, invert);
}
PreTokenizerPtr make_digits(bool individual) { return std::make_unique<Digits>(individual); }
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(std::move(replacement), scheme, split);
}
PreTokenizerPtr make_whitespace() { return std::make_unique<Whitespace>(); }
PreTokenizerPtr make_whitespace_split() { return std::make_unique<WhitespaceSplit>(); }
PreTokenizerPtr make_punctuation(SplitBehavior behavior) { return std::make_unique<Punctuation>(behavior); }
PreTokenizerPtr make_bert_pre_tokenizer() { return std::make_unique<BertPreTokenizer>(); }
PreTokenizerPtr make_char_delimiter(char32_t delimiter) { return std::make_unique<CharDelimiter>(delimiter); }
PreTokenizerPtr make_fixed_length(std::size_t characters) { return std::make_unique<FixedLength>(characters); }
PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> steps) {
  return std::make_unique<PreTokenizerSequence>(std::move(steps));
}

}  // namespace retort::text
