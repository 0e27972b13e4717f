// The pre-tokenizers that GGUF files name in tokenizer.ggml.pre, as data.
#pragma once

#include <span>
#include <string_view>

namespace retort::text {

struct GgufPreTokenizer {
  std::span<const std::string_view> names;      // values of tokenizer.ggml.pre
  std::span<const std::string_view> patterns;   // applied one after the other; matches and gaps are words
  bool ignore_merges = false;                   // a word that is a token stays whole
  bool adds_bos = false;                        // unless add_bos_token says otherwise
};

// Null for an unknown name.
const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) noexcept;
// The name under which llama.cpp does the same; empty when it has none.
std::string_view gguf_pre_tokenizer_name(std::span<const std::string_view> patterns, bool ignore_merges) noexcept;

// What GPT-2 split words by: ByteLevel's own expression.
extern const std::string_view kGpt2Words;

}  // namespace retort::text
