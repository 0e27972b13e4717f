// SentencePiece's compiled character map as the tokenizers library applies it.
#include "core/text/charsmap.h"
#include "core/text/normalizers.h"

namespace retort::text {
namespace {

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}

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
    const auto match = map_.shortest_prefix(key);
    return match ? std::optional(match->replacement) : std::nullopt;
  }

  Charsmap map_;
};

}  // namespace

Result<NormalizerPtr> make_precompiled(std::string_view charsmap, std::string_view place) {
  RETORT_TRY(Charsmap map, Charsmap::read(charsmap, place));
  return NormalizerPtr(std::make_unique<Precompiled>(std::move(map)));
}

}  // namespace retort::text
