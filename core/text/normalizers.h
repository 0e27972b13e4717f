// Normalizers: the steps that rewrite text before it is cut into words. Const after construction, thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/regex.h"
#include "core/text/unicode.h"

namespace retort::text {

// A stretch of the user's text on its way through the normalizers.
struct NormalText {
  std::string text;        // valid UTF-8
  // How many leading bytes stem from the very first character of the user's text; 0 when that character is gone or the
  // stretch began later. Metaspace's "first" scheme asks for it.
  std::size_t origin = 0;
};

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(NormalText& text) const = 0;
};
using NormalizerPtr = std::unique_ptr<const Normalizer>;

struct BertOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  std::optional<bool> strip_accents;  // absent: as lowercase
  bool lowercase = true;
};

NormalizerPtr make_normal_form(NormalForm form);
NormalizerPtr make_lowercase();
NormalizerPtr make_strip(bool left, bool right);
NormalizerPtr make_strip_accents();
NormalizerPtr make_replace(Regex pattern, std::string content);
NormalizerPtr make_prepend(std::string text);
NormalizerPtr make_nmt();
NormalizerPtr make_byte_level_normalizer();
NormalizerPtr make_bert_normalizer(const BertOptions& options);
NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps);
// SentencePiece's compiled character map: a little-endian trie size, the double array, then zero-terminated strings.
// Errors: kCorrupt; `place` names the key.
Result<NormalizerPtr> make_precompiled(std::string_view charsmap, std::string_view place);

struct SentencePieceRules {
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  bool prefix_at_start_only = false;   // of the user's text, rather than of each stretch between special tokens
};
// As the library sentencepiece normalizes; `symbols` (user-defined) are left as they are. Errors: kCorrupt.
Result<NormalizerPtr> make_sentencepiece_normalizer(std::string_view charsmap, const std::vector<std::string>& symbols,
                                                    const SentencePieceRules& rules, std::string_view place);

}  // namespace retort::text
