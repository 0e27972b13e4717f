// Vocabulary: pieces by id and ids by piece. Built once, then read by any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/text/tokenizer.h"

namespace retort::text {

class Vocabulary {
 public:
  // Gives `piece` the id. Ids may leave gaps, but not so many that the table would be mostly empty. A piece that is
  // already there keeps its first id for find(). Errors: kCorrupt (id out of range); `place` names the key.
  Result<void> add(std::string piece, std::uint64_t id, std::string_view place);
  void reserve(std::size_t pieces);

  std::optional<TokenId> find(std::string_view piece) const noexcept;
  bool has(TokenId id) const noexcept {
    return id >= 0 && static_cast<std::size_t>(id) < pieces_.size() && present_[static_cast<std::size_t>(id)];
  }
  // Empty for ids outside.
  std::string_view piece(TokenId id) const noexcept {
    return has(id) ? std::string_view(pieces_[static_cast<std::size_t>(id)]) : std::string_view();
  }
  std::size_t id_count() const noexcept { return pieces_.size(); }  // the largest id + 1
  std::size_t longest_piece() const noexcept { return longest_; }   // in bytes

 private:
  void rehash(std::size_t slots);
  void insert(TokenId id) noexcept;

  std::vector<std::string> pieces_;
  std::vector<bool> present_;
  std::vector<TokenId> slots_;  // open addressing, a power of two; −1 is free
  std::size_t used_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace retort::text
