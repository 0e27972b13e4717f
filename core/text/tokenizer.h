// Tokenizers: text to ids and back, exactly as the model's own library does it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/checkpoint.h"

namespace retort {

using TokenId = std::int32_t;

// Two texts as one input: what sequence-pair classifiers read.
struct TokenPair {
  std::vector<TokenId> ids;
  std::vector<std::int32_t> type_ids;  // 0 or 1 per id, as the post-processor says
};

// Const after construction: one instance serves all threads. Any bytes are text: what is not UTF-8 becomes U+FFFD.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string_view kind() const noexcept = 0;    // "bpe", "wordpiece", "unigram"
  virtual std::size_t size() const noexcept = 0;         // number of ids
  // Special tokens written in `text` are always recognised; `add_special` adds those of the post-processor (BOS …).
  virtual std::vector<TokenId> encode(std::string_view text, bool add_special) const = 0;
  virtual TokenPair encode_pair(std::string_view first, std::string_view second, bool add_special) const = 0;
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special) const = 0;
  // The vocabulary entry as written ("Ġthe", "<0x0A>"); empty for ids outside.
  virtual std::string piece(TokenId id) const = 0;
  // The raw bytes that one token contributes to text: what streaming output appends.
  virtual std::string piece_bytes(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const noexcept = 0;
  virtual std::optional<TokenId> find(std::string_view piece) const = 0;

  // From metadata; absent when the model names none.
  std::optional<TokenId> bos, eos, unknown, padding;
  std::vector<TokenId> end_of_generation;   // eos, <|im_end|>, <|eot_id|> …
  bool adds_bos = false;                    // what encode(…, true) does
};

// From a checkpoint's tokenizer.json or GGUF metadata. Errors: kMissingPart, kCorrupt, kUnsupported (names the part).
Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const Checkpoint& checkpoint);
// From the text of a tokenizer.json, with tokenizer_config.json if there is one.
Result<std::shared_ptr<const Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                             std::string_view tokenizer_config_json = {});

struct ChatMessage {
  std::string role;      // "system", "user", "assistant"
  std::string content;
};

// Renders a Jinja chat template as transformers does. Errors: kUnsupported (names the construct and line), kCorrupt
// (not a template, or it computes with the wrong kinds), kBadArgument (the template itself refuses the conversation, with
// its own words), kOutOfMemory (more output or work than any template needs).
Result<std::string> render_chat(std::string_view chat_template, std::span<const ChatMessage> messages,
                                bool add_generation_prompt, std::string_view bos_token, std::string_view eos_token);

}  // namespace retort
