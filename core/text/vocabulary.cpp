#include "core/text/vocabulary.h"

#include <algorithm>
#include <bit>

#include "core/text/hash.h"

namespace retort::text {

// A vocabulary with a stray huge id would cost memory for nothing; real ones have few gaps.
constexpr std::uint64_t kMaxId = 1u << 24;

Result<void> Vocabulary::add(std::string piece, std::uint64_t id, std::string_view place) {
  if (id >= kMaxId)
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place),
                 .expected = "ids below " + std::to_string(kMaxId), .found = std::to_string(id)};
  if (id >= pieces_.size()) {
    if (id >= pieces_.capacity()) {
      pieces_.reserve(std::max<std::size_t>(id + 1, pieces_.capacity() * 2));
      present_.reserve(pieces_.capacity());
    }
    pieces_.resize(id + 1);
    present_.resize(id + 1, false);
  }
  longest_ = std::max(longest_, piece.size());
  const bool known = find(piece).has_value();
  pieces_[id] = std::move(piece);
  present_[id] = true;
  if (!known) {
    if ((used_ + 1) * 2 > slots_.size()) rehash(std::max<std::size_t>(64, slots_.size() * 2));
    insert(static_cast<TokenId>(id));
    ++used_;
  }
  return {};
}

void Vocabulary::reserve(std::size_t pieces) {
  pieces_.reserve(pieces);
  present_.reserve(pieces);
  if (pieces * 2 > slots_.size()) rehash(std::bit_ceil(pieces * 2 + 1));
}

void Vocabulary::rehash(std::size_t slots) {
  std::vector<TokenId> old = std::move(slots_);
  slots_.assign(slots, -1);
  for (const TokenId id : old)
    if (id >= 0) insert(id);
}

void Vocabulary::insert(TokenId id) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash_bytes(pieces_[static_cast<std::size_t>(id)]) & mask;
  while (slots_[slot] >= 0) slot = (slot + 1) & mask;
  slots_[slot] = id;
}

std::optional<TokenId> Vocabulary::find(std::string_view piece) const noexcept {
  if (slots_.empty()) return std::nullopt;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash_bytes(piece) & mask; slots_[slot] >= 0; slot = (slot + 1) & mask)
    if (pieces_[static_cast<std::size_t>(slots_[slot])] == piece) return slots_[slot];
  return std::nullopt;
}

}  // namespace retort::text
