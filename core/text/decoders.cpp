#include "core/text/decoders.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/text/byte_alphabet.h"
#include "core/text/unicode.h"

namespace retort::text {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  std::size_t at = text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  std::size_t begin = 0;
  for (; at != std::string::npos; at = text.find(from, begin)) {
    out.append(text, begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  out.append(text, begin);
  text = std::move(out);
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string out;
  out.reserve(std::accumulate(pieces.begin(), pieces.end(), std::size_t{0},
                              [](std::size_t n, const std::string& p) { return n + p.size(); }));
  for (const std::string& p : pieces) out += p;
  return out;
}

// The clean-up of WordPiece and CTC: the order of the replacements is part of it.
void clean_up(std::string& text) {
  struct Rule { std::string_view from, to; };
  static constexpr Rule kRules[] = {{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
                                    {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"},
                                    {" 're", "'re"}};
  for (const Rule& rule : kRules) replace_all(text, rule.from, rule.to);
}

class ByteLevelDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& pieces) const override {
    std::string bytes;
    for (const std::string& piece : pieces) bytes += from_byte_alphabet(piece).value_or(piece);
    pieces.assign(1, to_valid_utf8(bytes));
  }
  void apply_bytes(std::string& piece) const override {
    if (auto bytes = from_byte_alphabet(piece)) piece = std::move(*bytes);
  }
};

// <0x41> is byte 0x41. A run of bytes that isn't UTF-8 becomes one U+FFFD per byte.
class ByteFallbackDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& pieces) const override {
    std::vector<std::string> out;
    out.reserve(pieces.size());
    std::string run;
    const auto flush = [&] {
      if (run.empty()) return;
      if (is_valid_utf8(run)) out.push_back(run);
      else out.insert(out.end(), run.size(), "\xEF\xBF\xBD");
      run.clear();
    };
    for (std::string& piece : pieces) {
      if (const auto byte = byte_of(piece)) {
        run.push_back(static_cast<char>(*byte));
      } else {
        flush();
        out.push_back(std::move(piece));
      }
    }
    flush();
    pieces = std::move(out);
  }
  void apply_bytes(std::string& piece) const override {
    if (const auto byte = byte_of(piece)) piece.assign(1, static_cast<char>(*byte));
  }

 private:
  static std::optional<unsigned char> byte_of(const std::string& piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
    const auto digit = [](char c) -> int {
      if (c >= '0' && c <= '9') return c - '0';
      if (c >= 'a' && c <= 'f') return c - 'a' + 10;
      if (c >= 'A' && c <= 'F') return c - 'A' + 10;
      return -1;
    };
    const int high = digit(piece[3]), low = digit(piece[4]);
    if (low < 0 || (high < 0 && piece[3] != '+')) return std::nullopt;  // Rust's parser takes a leading plus
    return static_cast<unsigned char>((high < 0 ? 0 : high) * 16 + low);
  }
};

class FuseDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& pieces) const override { pieces.assign(1, joined(pieces)); }
  void apply_bytes(std::string&) const override {}
};

class MetaspaceDecoder : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, bool strip_first)
      : replacement_(std::move(replacement)), strip_first_(strip_first) {}
  void apply(std::vector<std::string>& pieces) const override {
    for (std::size_t i = 0; i < pieces.size(); ++i)
      replace_all(pieces[i], replacement_, i == 0 && strip_first_ ? "" : " ");
  }
  void apply_bytes(std::string& piece) const override { replace_all(piece, replacement_, " "); }

 private:
  std::string replacement_;
  bool strip_first_;
};

class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& pieces) const override {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (i > 0) attach(pieces[i]);
      if (cleanup_) clean_up(pieces[i]);
    }
  }
  void apply_bytes(std::string& piece) const override {
    attach(piece);
    if (cleanup_) clean_up(piece);
  }

 private:
  void attach(std::string& piece) const {
    if (piece.starts_with(prefix_)) piece.erase(0, prefix_.size());
    else piece.insert(0, " ");
  }
  std::string prefix_;
  bool cleanup_;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(Regex pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::vector<std::string>& pieces) const override {
    for (std::string& piece : pieces) apply_bytes(piece);
  }
  void apply_bytes(std::string& piece) const override {
    if (!is_valid_utf8(piece)) return;  // a lone byte of an unfinished character
    std::vector<Match> matches;
    pattern_.find_all(piece, matches);
    if (matches.empty()) return;
    std::string out;
    std::size_t from = 0;
    for (const Match& m : matches) {
      out.append(piece, from, m.begin - from);
      out += content_;
      from = m.end;
    }
    out.append(piece, from);
    piece = std::move(out);
  }

 private:
  Regex pattern_;
  std::string content_;
};

class StripDecoder : public Decoder {
 public:
  StripDecoder(char32_t content, std::size_t start, std::size_t stop) : start_(start), stop_(stop) {
    append_utf8(content_, content);
  }
  void apply(std::vector<std::string>& pieces) const override {
    for (std::string& piece : pieces) {
      std::size_t begin = 0, end = piece.size();
      const std::string_view all = piece;
      for (std::size_t i = 0; i < start_ && all.substr(begin).starts_with(content_); ++i) begin += content_.size();
      for (std::size_t i = 0; i < stop_ && end > begin && all.substr(begin, end - begin).ends_with(content_); ++i)
        end -= content_.size();
      piece = piece.substr(begin, end - begin);
    }
  }
  // It acts on the edges of a text (behind Fuse), not on the pieces in its middle.
  void apply_bytes(std::string&) const override {}

 private:
  std::string content_;
  std::size_t start_, stop_;
};

class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  void apply(std::vector<std::string>& pieces) const override {
    for (std::size_t i = 0; i < pieces.size(); ++i) replace_all(pieces[i], suffix_, i + 1 == pieces.size() ? "" : " ");
  }
  void apply_bytes(std::string& piece) const override { replace_all(piece, suffix_, " "); }

 private:
  std::string suffix_;
};

class CtcDecoder : public Decoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& pieces) const override {
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (std::string& piece : pieces) apply_bytes(piece);
    std::erase_if(pieces, [](const std::string& piece) { return piece.empty(); });
  }
  void apply_bytes(std::string& piece) const override {
    replace_all(piece, pad_, "");
    if (!cleanup_) return;
    clean_up(piece);
    replace_all(piece, delimiter_, " ");
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(std::vector<DecoderPtr> steps) : steps_(std::move(steps)) {}
  void apply(std::vector<std::string>& pieces) const override {
    for (const DecoderPtr& step : steps_) step->apply(pieces);
  }
  void apply_bytes(std::string& piece) const override {
    for (const DecoderPtr& step : steps_) step->apply_bytes(piece);
  }

 private:
  std::vector<DecoderPtr> steps_;
};

}  // namespace

DecoderPtr make_byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }
DecoderPtr make_byte_fallback_decoder() { return std::make_unique<ByteFallbackDecoder>(); }
DecoderPtr make_fuse_decoder() { return std::make_unique<FuseDecoder>(); }
DecoderPtr make_metaspace_decoder(std::string replacement, bool strip_first) {
  return std::make_unique<MetaspaceDecoder>(std::move(replacement), strip_first);
}
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), cleanup);
}
DecoderPtr make_replace_decoder(Regex pattern, std::string content) {
  return std::make_unique<ReplaceDecoder>(std::move(pattern), std::move(content));
}
DecoderPtr make_strip_decoder(char32_t content, std::size_t start, std::size_t stop) {
  return std::make_unique<StripDecoder>(content, start, stop);
}
DecoderPtr make_bpe_decoder(std::string suffix) { return std::make_unique<BpeDecoder>(std::move(suffix)); }
DecoderPtr make_ctc_decoder(std::string pad, std::string delimiter, bool cleanup) {
  return std::make_unique<CtcDecoder>(std::move(pad), std::move(delimiter), cleanup);
}
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps) {
  return std::make_unique<DecoderSequence>(std::move(steps));
}

}  // namespace retort::text
