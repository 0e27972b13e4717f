#include "core/text/charsmap.h"

#include <cstring>

#include "core/text/unicode.h"

namespace retort::text {
namespace {

// One unit of the double array, as darts-clone packs it.
struct Unit {
  std::uint32_t bits;
  bool has_leaf() const noexcept { return (bits >> 8) & 1; }
  std::uint32_t value() const noexcept { return bits & 0x7FFFFFFFu; }
  std::uint32_t label() const noexcept { return bits & 0x800000FFu; }
  std::uint32_t offset() const noexcept { return (bits >> 10) << ((bits & (1u << 9)) >> 6); }
};

}  // namespace

template <bool Longest>
std::optional<Charsmap::Match> Charsmap::find(std::string_view text) const {
  if (units_.empty()) return std::nullopt;
  std::optional<Match> found;
  std::size_t node = Unit{units_[0]}.offset();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || Unit{units_[node]}.label() != byte) break;
    const Unit unit{units_[node]};
    node ^= unit.offset();
    if (node >= units_.size()) break;
    if (!unit.has_leaf()) continue;
    const auto replacement = string_at(Unit{units_[node]}.value());
    if (replacement) found = Match{*replacement, i + 1};
    if (!Longest) break;
  }
  return found;
}

std::optional<Charsmap::Match> Charsmap::shortest_prefix(std::string_view text) const { return find<false>(text); }
std::optional<Charsmap::Match> Charsmap::longest_prefix(std::string_view text) const { return find<true>(text); }

std::optional<std::string_view> Charsmap::string_at(std::size_t offset) const {
  if (offset >= pool_.size()) return std::nullopt;
  const std::string_view rest = std::string_view(pool_).substr(offset);
  return rest.substr(0, rest.find('\0'));
}

Result<Charsmap> Charsmap::read(std::string_view bytes, std::string_view place) {
  const auto corrupt = [&](std::string expected) {
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = std::move(expected),
                 .found = std::to_string(bytes.size()) + " bytes"};
  };
  Charsmap out;
  if (bytes.empty()) return out;
  std::uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof trie_bytes) return corrupt("a trie size");
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  bytes.remove_prefix(sizeof trie_bytes);
  if (trie_bytes % sizeof(std::uint32_t) != 0 || trie_bytes > bytes.size())
    return corrupt("a trie of " + std::to_string(trie_bytes) + " bytes");
  out.units_.resize(trie_bytes / sizeof(std::uint32_t));
  if (trie_bytes > 0) std::memcpy(out.units_.data(), bytes.data(), trie_bytes);
  out.pool_ = bytes.substr(trie_bytes);
  if (!is_valid_utf8(out.pool_)) return corrupt("UTF-8 replacements");
  return out;
}

}  // namespace retort::text
