// TokenModel: what turns one word into ids. Const after construction; encode_word may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

namespace retort::text {

class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;
  TokenModel(const TokenModel&) = delete;
  TokenModel& operator=(const TokenModel&) = delete;

  virtual std::string_view kind() const noexcept = 0;
  // Appends the ids of a word (not empty; valid UTF-8, or raw bytes for a byte-level BPE).
  virtual void encode_word(std::string_view word, std::vector<TokenId>& out) const = 0;
  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  std::optional<TokenId> unknown() const noexcept { return unknown_; }

 protected:
  Vocabulary vocabulary_;
  std::optional<TokenId> unknown_;
};
using TokenModelPtr = std::unique_ptr<const TokenModel>;

struct BpeOptions {
  std::string unknown_token;              // empty: unknown characters vanish
  std::string continuing_subword_prefix;  // "##" before every symbol but a word's first
  std::string end_of_word_suffix;         // "</w>" behind a word's last symbol
  bool fuse_unknown = false;              // neighbouring unknowns become one
  bool byte_fallback = false;             // unknown characters become <0xNN> tokens
  bool ignore_merges = false;             // a word that is a token needs no merging
  bool raw_bytes = false;                 // words come as bytes, pieces are written in the byte alphabet
  bool skip_unknown_merges = false;       // merges whose parts aren't in the vocabulary are dropped, not an error
};
using Merge = std::pair<std::string, std::string>;

// Byte-pair encoding: the lowest-ranked neighbouring pair merges first, the leftmost among equals.
// Errors: kCorrupt (a merge of unknown pieces: `place`[index]).
Result<TokenModelPtr> make_bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, const BpeOptions& options,
                               std::string_view place);
// SentencePiece's BPE: any two neighbours whose join is a piece may merge, the best score first.
// `scores` has one entry per id; `mergeable` tells which ids may arise by merging. Unknown characters become bytes.
Result<TokenModelPtr> make_scored_bpe(Vocabulary vocabulary, const std::vector<float>& scores,
                                      const std::vector<bool>& mergeable, const BpeOptions& options);

struct WordPieceOptions {
  std::string unknown_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  std::size_t max_input_chars_per_word = 100;
};
// Errors: kCorrupt (the unknown token is not in the vocabulary).
Result<TokenModelPtr> make_wordpiece(Vocabulary vocabulary, const WordPieceOptions& options);

// Unigram: the best-scored segmentation. Without `unknown_id`, characters outside the vocabulary vanish.
// Errors: kCorrupt (unknown_id outside, a score that is no number).
struct UnigramRules {
  std::vector<bool> usable{};             // which ids may arise from text; empty: all
  std::optional<double> lowest_score{};   // unknown characters score 10 below it; absent: the lowest of all scores
};
Result<TokenModelPtr> make_unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::uint64_t> unknown_id,
                                   bool byte_fallback, const UnigramRules& rules = {});

// Whole words only.
Result<TokenModelPtr> make_wordlevel(Vocabulary vocabulary, std::string_view unknown_token);

}  // namespace retort::text
