// Added tokens: pieces that are found in the text before the model sees it. Const after build(), thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/normalizers.h"
#include "core/text/tokenizer.h"

namespace retort::text {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;  // only between characters that are no word characters
  bool lstrip = false;       // swallows whitespace before it
  bool rstrip = false;       // and behind it
  bool normalized = true;    // found in normalized text, in its own normalized form
  bool special = false;      // left out by decode(…, skip_special)
  bool as_is = false;        // with `normalized`: found in normalized text as it is written here
  std::string written{};     // what decoders see: the content, in its normal form when `normalized`; set by build()
};

// A stretch of text, or a token that was found (id ≥ 0).
struct Stretch {
  std::size_t begin = 0, end = 0;
  TokenId id = -1;
};

// Finds strings, leftmost first and the longest there, in one pass (Aho and Corasick 1975).
class TokenMatcher {
 public:
  void add(std::string_view pattern, std::size_t index);
  void build();
  bool empty() const noexcept { return patterns_ == 0; }
  struct Hit {
    std::size_t begin, end, index;
  };
  // Hits that don't overlap, in order.
  void find_all(std::string_view text, std::vector<Hit>& out) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> children;  // by byte
    std::uint32_t fail = 0;
    std::uint32_t depth = 0;
    std::int64_t pattern = -1;  // of the pattern that ends here
    std::uint32_t suffix = 0;   // nearest node up the fail chain where a pattern ends; 0: none
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept;

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::size_t patterns_ = 0;
  bool starts_[256] = {};
};

class AddedTokens {
 public:
  // Empty contents are ignored; of equal contents the last counts.
  void add(AddedToken token);
  // `normalizer` may be null. Call once, after the last add().
  void build(const Normalizer* normalizer);

  // Cuts text into stretches that cover it. `normalized` picks which of the two passes.
  void split(std::string_view text, bool normalized, std::vector<Stretch>& out) const;
  const AddedToken* find(TokenId id) const noexcept;
  const AddedToken* find(std::string_view content) const noexcept;
  bool is_special(TokenId id) const noexcept;
  const std::vector<AddedToken>& tokens() const noexcept { return tokens_; }

 private:
  std::vector<AddedToken> tokens_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;
  TokenMatcher raw_, normalized_;
};

}  // namespace retort::text
