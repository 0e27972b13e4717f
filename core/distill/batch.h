// Batch: sequences back to back, without padding: row r of every value is token r. What a padding mask hides is simply not
// there, so no time is spent on it and nothing can leak from it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/text/tokenizer.h"

namespace retort::distill {

struct Batch {
  std::vector<TokenId> ids;
  std::vector<std::int32_t> positions;   // of each token in its sequence, from 0
  std::vector<std::int32_t> types;       // token types; 0 where a model has none
  std::vector<std::int64_t> starts{0};   // sequence s is [starts[s], starts[s + 1])

  std::int64_t tokens() const noexcept { return static_cast<std::int64_t>(ids.size()); }
  std::int64_t sequences() const noexcept { return static_cast<std::int64_t>(starts.size()) - 1; }
  std::int64_t longest() const noexcept;

  // Appends one sequence; `types` empty: all 0.
  void add(std::span<const TokenId> sequence, std::span<const std::int32_t> sequence_types = {});
  // [sequences, length] with a mask of 0 and 1 (empty: all 1). Positions are those in the padded row.
  static Batch from_padded(std::span<const TokenId> ids, std::span<const std::int32_t> mask, std::int64_t length);
};

}  // namespace retort::distill
