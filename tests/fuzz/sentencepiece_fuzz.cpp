// SentencePiece models, and what they make of a text.
#include <string_view>

#include "core/text/sentencepiece.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(sentencepiece) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = retort::text::tokenizer_from_sentencepiece(bytes, R"({"tokenizer_class":"T5Tokenizer"})", "");
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->encode("Hello <sep> wörld ▁ 東京 </s>", true);
  static_cast<void>((*tokenizer)->decode(ids, true));
  return 0;
}
