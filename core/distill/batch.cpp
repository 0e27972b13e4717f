#include "core/distill/batch.h"

#include <algorithm>

namespace retort::distill {

std::int64_t Batch::longest() const noexcept {
  std::int64_t most = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) most = std::max(most, starts[s + 1] - starts[s]);
  return most;
}

void Batch::add(std::span<const TokenId> sequence, std::span<const std::int32_t> sequence_types) {
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    ids.push_back(sequence[i]);
    positions.push_back(static_cast<std::int32_t>(i));
    types.push_back(sequence_types.empty() ? 0 : sequence_types[i]);
  }
  starts.push_back(tokens());
}

Batch Batch::from_padded(std::span<const TokenId> padded, std::span<const std::int32_t> mask, std::int64_t length) {
  Batch batch;
  for (std::size_t i = 0; i < padded.size(); ++i) {
    if (mask.empty() || mask[i] != 0) {
      batch.ids.push_back(padded[i]);
      batch.positions.push_back(static_cast<std::int32_t>(i % static_cast<std::size_t>(length)));
      batch.types.push_back(0);
    }
    if ((i + 1) % static_cast<std::size_t>(length) == 0) batch.starts.push_back(batch.tokens());
  }
  return batch;
}

}  // namespace retort::distill
