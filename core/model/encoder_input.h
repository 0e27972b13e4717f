// From padded rows, as tokenizers and transformers have them, to what Session::encode takes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/backend.h"

namespace retort {

class EncoderInput {
 public:
  explicit EncoderInput(const ModelConfig& config) : config_(config) {}

  // One row. `mask` empty: all text; else as long as `ids`, and tokens where it is 0 are left out: nobody attends to them.
  // The others keep the positions that they have in the row. `types` empty: zeros. A row without text adds nothing.
  // Errors: kBadArgument (lengths differ).
  Result<void> add(std::span<const TokenId> ids, std::span<const std::int64_t> mask = {}, std::span<const std::int32_t> types = {});
  // Valid until the next call of add or clear.
  EncoderBatch batch() const noexcept { return {tokens_, types_, positions_, lengths_}; }
  std::int64_t tokens() const noexcept { return static_cast<std::int64_t>(tokens_.size()); }
  std::int64_t sequences() const noexcept { return static_cast<std::int64_t>(lengths_.size()); }
  void clear() noexcept;

 private:
  const ModelConfig& config_;
  std::vector<TokenId> tokens_;
  std::vector<std::int32_t> types_, positions_;
  std::vector<std::int64_t> lengths_;
};

}  // namespace retort
