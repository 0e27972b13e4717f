// The tokenizer as a chain of steps: added tokens, normalizer, pre-tokenizer, model, post-processor, and the decoder back.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/decoders.h"
#include "core/text/normalizers.h"
#include "core/text/post_processors.h"
#include "core/text/pre_tokenizers.h"
#include "core/text/token_model.h"
#include "core/text/tokenizer.h"

namespace retort::text {

struct PipelineParts {
  NormalizerPtr normalizer;        // may be null
  PreTokenizerPtr pre_tokenizer;   // may be null: the whole stretch is one word
  TokenModelPtr model;
  PostProcessor post_processor;
  DecoderPtr decoder;              // may be null: pieces joined by spaces
  AddedTokens added;               // not yet built
};

class Pipeline : public Tokenizer {
 public:
  explicit Pipeline(PipelineParts parts);

  std::string_view kind() const noexcept override { return parts_.model->kind(); }
  std::size_t size() const noexcept override { return size_; }
  std::vector<TokenId> encode(std::string_view text, bool add_special) const override;
  TokenPair encode_pair(std::string_view first, std::string_view second, bool add_special) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string piece(TokenId id) const override;
  std::string piece_bytes(TokenId id) const override;
  bool is_special(TokenId id) const noexcept override { return parts_.added.is_special(id); }
  std::optional<TokenId> find(std::string_view piece) const override;

  const PostProcessor& post_processor() const noexcept { return parts_.post_processor; }
  const AddedTokens& added() const noexcept { return parts_.added; }
  const TokenModel& model() const noexcept { return *parts_.model; }

 private:
  std::vector<TokenId> encode_text(std::string_view text) const;
  void encode_stretch(NormalText text, std::vector<TokenId>& out) const;
  void encode_words(NormalText text, std::vector<TokenId>& out) const;

  PipelineParts parts_;
  std::size_t size_ = 0;
};

// Fills end_of_generation: `tokenizer.eos`, what is listed already, and the special tokens by whose name models end a
// turn or a text. Sorted, each once.
void complete_end_of_generation(Tokenizer& tokenizer, const AddedTokens& added);

}  // namespace retort::text
