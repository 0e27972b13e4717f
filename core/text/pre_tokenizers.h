// Pre-tokenizers: the steps that cut normalized text into the words that a model sees one by one.
// Const after construction, thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/regex.h"

namespace retort::text {

// A word: bytes [begin, end) of Pieces::text, never empty. Words that begin below `origin` begin where the user's
// text begins.
struct Span {
  std::size_t begin = 0, end = 0, origin = 0;
};

struct Pieces {
  std::string text;
  std::vector<Span> spans;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
};
using PreTokenizerPtr = std::unique_ptr<const PreTokenizer>;

// What becomes of the delimiters that a split finds.
enum class SplitBehavior : std::uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class PrependScheme : std::uint8_t { kFirst, kNever, kAlways };

// `map_bytes` false leaves the bytes as they are, for a model that takes raw bytes.
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex, bool map_bytes);
// `invert`: what lies between the matches is the delimiter.
PreTokenizerPtr make_split(Regex pattern, SplitBehavior behavior, bool invert);
PreTokenizerPtr make_digits(bool individual);
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split);
PreTokenizerPtr make_whitespace();
PreTokenizerPtr make_whitespace_split();
PreTokenizerPtr make_punctuation(SplitBehavior behavior);
PreTokenizerPtr make_bert_pre_tokenizer();
PreTokenizerPtr make_char_delimiter(char32_t delimiter);
PreTokenizerPtr make_fixed_length(std::size_t characters);
Result<PreTokenizerPtr> make_unicode_scripts();
PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> steps);

}  // namespace retort::text
