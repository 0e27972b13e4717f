// SentencePiece's compiled character map: a darts-clone double-array trie over UTF-8 with offsets into a string pool.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace retort::text {

// Const after construction, thread-safe. An empty map finds nothing.
class Charsmap {
 public:
  // A little-endian trie size, the double array, then zero-terminated strings. Errors: kCorrupt; `place` names the key.
  static Result<Charsmap> read(std::string_view bytes, std::string_view place);
  Charsmap() = default;

  struct Match {
    std::string_view replacement;
    std::size_t length = 0;   // bytes of the text that it replaces
  };
  std::optional<Match> shortest_prefix(std::string_view text) const;
  std::optional<Match> longest_prefix(std::string_view text) const;

 private:
  template <bool Longest>
  std::optional<Match> find(std::string_view text) const;
  std::optional<std::string_view> string_at(std::size_t offset) const;

  std::vector<std::uint32_t> units_;
  std::string pool_;
};

}  // namespace retort::text
