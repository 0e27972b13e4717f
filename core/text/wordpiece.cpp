// WordPiece: the longest known piece first; a word that cannot be covered is one unknown token. WordLevel: whole words.
#include <algorithm>

#include "core/text/token_model.h"
#include "core/text/unicode.h"
#include "core/text/word_cache.h"

namespace retort::text {
namespace {

bool is_character_start(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

class WordPiece : public TokenModel {
 public:
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, TokenId unknown)
      : TokenModel(std::move(vocabulary)), options_(options) {
    unknown_ = unknown;
  }

  std::string_view kind() const noexcept override { return "wordpiece"; }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const override {
    if (word.size() > WordCache::kLongestWord) return cover(word, out);
    const std::uint64_t hash = hash_bytes(word);
    if (cache_.find(word, hash, out)) return;
    const std::size_t before = out.size();
    cover(word, out);
    cache_.insert(word, hash, out.data() + before, out.size() - before);
  }

 private:
  void cover(std::string_view word, std::vector<TokenId>& out) const {
    const std::size_t before = out.size();
    const auto characters = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), is_character_start));
    std::string candidate;
    std::size_t start = characters > options_.max_input_chars_per_word ? word.size() + 1 : 0;
    while (start < word.size()) {
      // No piece is longer than the longest of the vocabulary.
      std::size_t end = std::min(word.size(), start + vocabulary_.longest_piece());
      while (end < word.size() && end > start && !is_character_start(word[end])) --end;
      std::optional<TokenId> found;
      while (end > start) {
        candidate = start > 0 ? options_.continuing_subword_prefix : std::string();
        candidate += word.substr(start, end - start);
        found = vocabulary_.find(candidate);
        if (found) break;
        do --end;
        while (end > start && !is_character_start(word[end]));
      }
      if (!found) {
        start = word.size() + 1;
        break;
      }
      out.push_back(*found);
      start = end;
    }
    if (start > word.size()) {
      out.resize(before);
      out.push_back(*unknown_);
    }
  }

  WordPieceOptions options_;
  WordCache cache_;
};

class WordLevel : public TokenModel {
 public:
  WordLevel(Vocabulary vocabulary, std::string_view unknown_token) : TokenModel(std::move(vocabulary)) {
    unknown_ = vocabulary_.find(unknown_token);
  }
  std::string_view kind() const noexcept override { return "wordlevel"; }
  void encode_word(std::string_view word, std::vector<TokenId>& out) const override {
    if (const auto id = vocabulary_.find(word)) out.push_back(*id);
    else if (unknown_) out.push_back(*unknown_);
  }
};

}  // namespace

Result<TokenModelPtr> make_wordpiece(Vocabulary vocabulary, const WordPieceOptions& options) {
  const std::optional<TokenId> unknown = vocabulary.find(options.unknown_token);
  if (!unknown)
    return Error{.code = ErrorCode::kCorrupt, .place = "model.unk_token", .expected = "a token of the vocabulary",
                 .found = options.unknown_token};
  return TokenModelPtr(std::make_unique<WordPiece>(std::move(vocabulary), options, *unknown));
}

Result<TokenModelPtr> make_wordlevel(Vocabulary vocabulary, std::string_view unknown_token) {
  return TokenModelPtr(std::make_unique<WordLevel>(std::move(vocabulary), unknown_token));
}

}  // namespace retort::text
