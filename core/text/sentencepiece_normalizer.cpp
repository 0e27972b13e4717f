// SentencePiece's own normalization: the longest entry of the character map at each place, spaces collapsed and turned into
// ▁, one ▁ in front. User-defined symbols pass untouched.
#include "core/text/normalizers.h"

#include <algorithm>

#include "core/text/added_tokens.h"
#include "core/text/charsmap.h"

namespace retort::text {
namespace {

class SentencePieceNormalizer final : public Normalizer {
 public:
  SentencePieceNormalizer(Charsmap map, const std::vector<std::string>& symbols, const SentencePieceRules& rules)
      : map_(std::move(map)), rules_(rules), space_(rules.escape_whitespaces ? "\xE2\x96\x81" : " ") {
    for (std::size_t i = 0; i < symbols.size(); ++i) symbols_.add(symbols[i], i);
    symbols_.build();
  }

  void apply(NormalText& text) const override {
    std::vector<TokenMatcher::Hit> hits;
    if (!symbols_.empty()) symbols_.find_all(text.text, hits);
    Walk walk{text.text, hits};
    std::size_t origin = 0;
    std::string out;
    if (rules_.remove_extra_whitespaces)
      while (!walk.done() && next(walk).replacement == " ") walk.take(next(walk).length);
    // Nothing but spaces gives nothing, not even the prefix.
    const bool at_start = text.origin > 0 || !rules_.prefix_at_start_only;
    if (!walk.done() && rules_.add_dummy_prefix && at_start) {
      out += space_;
      if (walk.at < text.origin) origin = out.size();
    }
    bool after_space = rules_.remove_extra_whitespaces;
    while (!walk.done()) {
      const Charsmap::Match match = next(walk);
      std::string_view piece = match.replacement;
      while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
      for (const char c : piece)
        if (c == ' ') out += space_;
        else out += c;
      if (!piece.empty()) after_space = piece.ends_with(' ');
      if (!rules_.remove_extra_whitespaces) after_space = false;
      if (walk.at < text.origin) origin = out.size();
      walk.take(match.length);
    }
    if (rules_.remove_extra_whitespaces)
      while (out.ends_with(space_)) out.resize(out.size() - space_.size());
    text.text = std::move(out);
    text.origin = std::min(origin, text.text.size());
  }

 private:
  struct Walk {
    std::string_view text;
    const std::vector<TokenMatcher::Hit>& hits;   // of user-defined symbols
    std::size_t at = 0, hit = 0;
    bool done() const noexcept { return at >= text.size(); }
    void take(std::size_t length) {
      at += length;
      while (hit < hits.size() && hits[hit].begin < at) ++hit;
    }
  };

  Charsmap::Match next(const Walk& walk) const {
    const std::string_view rest = walk.text.substr(walk.at);
    if (walk.hit < walk.hits.size() && walk.hits[walk.hit].begin == walk.at) {
      const std::size_t length = walk.hits[walk.hit].end - walk.at;
      return {rest.substr(0, length), length};
    }
    if (const auto mapped = map_.longest_prefix(rest); mapped && mapped->length > 0) return *mapped;
    const std::size_t length = code_point_at(rest, 0).length;
    return {rest.substr(0, length), length};
  }

  Charsmap map_;
  SentencePieceRules rules_;
  std::string space_;
  TokenMatcher symbols_;
};

}  // namespace

Result<NormalizerPtr> make_sentencepiece_normalizer(std::string_view charsmap, const std::vector<std::string>& symbols,
                                                    const SentencePieceRules& rules, std::string_view place) {
  RETORT_TRY(Charsmap map, Charsmap::read(charsmap, place));
  return NormalizerPtr(std::make_unique<SentencePieceNormalizer>(std::move(map), symbols, rules));
}

}  // namespace retort::text
