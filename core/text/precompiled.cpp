// SentencePiece's compiled character map: a darts-clone double-array trie over UTF-8 with offsets into a string pool.
#include <cstring>

#include "core/text/normalizers.h"

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

class Precompiled : public Normalizer {
 public:
  Precompiled(std::vector<std::uint32_t> units, std::string pool) : units_(std::move(units)), pool_(std::move(pool)) {}

  // Whole graphemes below six bytes are looked up first, then single characters: what the models were trained with.
  void apply(NormalText& text) const override {
    std::string out;
    out.reserve(text.text.size());
    std::size_t origin = 0, begin = 0;
    for (const std::size_t end : grapheme_ends(text.text)) {
      const std::string_view grapheme = std::string_view(text.text).substr(begin, end - begin);
      const std::optional<std::string_view> whole = grapheme.size() < 6 ? find(grapheme) : std::nullopt;
      if (whole) {
        out += *whole;
        if (begin < text.origin) origin = out.size();
      } else {
        for (std::size_t i = 0; i < grapheme.size();) {
          const std::size_t length = code_point_at(grapheme, i).length;
          const std::string_view part = grapheme.substr(i, length);
          out += find(part).value_or(part);
          if (begin + i < text.origin) origin = out.size();
          i += length;
        }
      }
      begin = end;
    }
    text.text = std::move(out);
    text.origin = origin;
  }

 private:
  // The replacement of the shortest prefix of `key` in the map; the rest of the key is dropped with it.
  std::optional<std::string_view> find(std::string_view key) const {
    if (units_.empty()) return std::nullopt;
    std::size_t node = Unit{units_[0]}.offset();
    for (const char c : key) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      if (node >= units_.size() || Unit{units_[node]}.label() != byte) return std::nullopt;
      const Unit unit{units_[node]};
      node ^= unit.offset();
      if (node >= units_.size()) return std::nullopt;
      if (unit.has_leaf()) return string_at(Unit{units_[node]}.value());
    }
    return std::nullopt;
  }

  std::optional<std::string_view> string_at(std::size_t offset) const {
    if (offset >= pool_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(pool_).substr(offset);
    return rest.substr(0, rest.find('\0'));
  }

  std::vector<std::uint32_t> units_;
  std::string pool_;
};

}  // namespace

Result<NormalizerPtr> make_precompiled(std::string_view charsmap, std::string_view place) {
  const auto corrupt = [&](std::string expected) {
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = std::move(expected),
                 .found = std::to_string(charsmap.size()) + " bytes"};
  };
  std::vector<std::uint32_t> units;
  std::string pool;
  if (!charsmap.empty()) {
    std::uint32_t trie_bytes = 0;
    if (charsmap.size() < sizeof trie_bytes) return corrupt("a trie size");
    std::memcpy(&trie_bytes, charsmap.data(), sizeof trie_bytes);
    charsmap.remove_prefix(sizeof trie_bytes);
    if (trie_bytes % sizeof(std::uint32_t) != 0 || trie_bytes > charsmap.size())
      return corrupt("a trie of " + std::to_string(trie_bytes) + " bytes");
    units.resize(trie_bytes / sizeof(std::uint32_t));
    if (trie_bytes > 0) std::memcpy(units.data(), charsmap.data(), trie_bytes);
    pool = charsmap.substr(trie_bytes);
    if (!is_valid_utf8(pool)) return corrupt("UTF-8 replacements");
  }
  return NormalizerPtr(std::make_unique<Precompiled>(std::move(units), std::move(pool)));
}

}  // namespace retort::text
