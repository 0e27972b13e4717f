// Byte-pair encoding. Short words are merged by scanning, long ones with a heap: O(n log n) for any input.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <queue>

#include "core/text/bpe_merges.h"
#include "core/text/byte_alphabet.h"
#include "core/text/token_model.h"
#include "core/text/unicode.h"
#include "core/text/word_cache.h"

namespace retort::text {
namespace {

using Symbols = std::vector<std::uint32_t>;

constexpr std::size_t kScanUpTo = 32;  // symbols; below this a scan per merge beats the heap

// Merges by scanning for the lowest rank: quadratic, for short words.
void merge_short(const MergeTable& merges, Symbols& symbols) {
  std::array<MergeTable::Result, kScanUpTo> pairs;
  std::size_t n = symbols.size();
  for (std::size_t i = 0; i + 1 < n; ++i) pairs[i] = merges.find(symbols[i], symbols[i + 1]);
  while (n > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < n; ++i)
      if (pairs[i].rank < pairs[best].rank) best = i;
    if (pairs[best].rank == MergeTable::kNone) break;
    symbols[best] = pairs[best].id;
    for (std::size_t i = best + 1; i + 1 < n; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i - 1] = pairs[i];
    }
    --n;
    if (best > 0) pairs[best - 1] = merges.find(symbols[best - 1], symbols[best]);
    if (best + 1 < n) pairs[best] = merges.find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(n);
}

// Merges with a heap of candidates over a linked list of symbols.
void merge_long(const MergeTable& merges, Symbols& symbols) {
  struct Candidate {
    std::uint32_t rank, position, left, right;
    bool operator<(const Candidate& o) const noexcept {  // the heap's top is the lowest rank, leftmost
      return rank != o.rank ? rank > o.rank : position > o.position;
    }
  };
  constexpr std::uint32_t kEnd = std::numeric_limits<std::uint32_t>::max();
  const auto n = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> next(n), previous(n);
  std::vector<bool> alive(n, true);
  for (std::uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? i + 1 : kEnd;
    previous[i] = i > 0 ? i - 1 : kEnd;
  }
  std::vector<Candidate> initial;
  for (std::uint32_t i = 0; i + 1 < n; ++i)
    if (const auto m = merges.find(symbols[i], symbols[i + 1]); m.rank != MergeTable::kNone)
      initial.push_back({m.rank, i, symbols[i], symbols[i + 1]});
  std::priority_queue<Candidate> heap(std::less<Candidate>(), std::move(initial));
  const auto consider = [&](std::uint32_t i) {
    const std::uint32_t j = next[i];
    if (j == kEnd) return;
    if (const auto m = merges.find(symbols[i], symbols[j]); m.rank != MergeTable::kNone)
      heap.push({m.rank, i, symbols[i], symbols[j]});
  };
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    const std::uint32_t i = top.position, j = alive[i] ? next[i] : kEnd;
    if (j == kEnd || symbols[i] != top.left || symbols[j] != top.right) continue;  // overtaken by another merge
    symbols[i] = merges.find(top.left, top.right).id;
    alive[j] = false;
    next[i] = next[j];
    if (next[i] != kEnd) previous[next[i]] = i;
    if (previous[i] != kEnd) consider(previous[i]);
    consider(i);
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i < n; ++i)
    if (alive[i]) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

class Bpe : public TokenModel {
 public:
  Bpe(Vocabulary vocabulary, MergeTable merges, const BpeOptions& options, ScoredCharacters extra)
      : TokenModel(std::move(vocabulary)), merges_(std::move(merges)), options_(options), extra_(std::move(extra)) {
    if (!options_.unknown_token.empty()) unknown_ = vocabulary_.find(options_.unknown_token);
    for (int b = 0; b < 256; ++b) {
      const auto byte = static_cast<unsigned char>(b);
      byte_ids_[byte] = id_or_none(options_.raw_bytes ? byte_character(byte) : std::string_view());
      static constexpr std::string_view kHex = "0123456789ABCDEF";
      const std::array<char, 6> name = {'<', '0', 'x', kHex[byte / 16u], kHex[byte % 16u], '>'};
      fallback_ids_[byte] = options_.byte_fallback ? id_or_none({name.data(), name.size()}) : kNone;
    }
    find_safe_cut();
  }

  std::string_view kind() const noexcept override { return "bpe"; }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const override {
    if (!cut_at_mark_) return encode_part(word, out);
    // No merge spans the place between another character and ▁, so the parts may be encoded one by one.
    std::size_t begin = 0;
    for (std::size_t at = word.find(kMark, 0); at != std::string_view::npos; at = word.find(kMark, at + kMark.size())) {
      if (at == begin || word.substr(begin, at - begin).ends_with(kMark)) continue;
      encode_part(word.substr(begin, at - begin), out);
      begin = at;
    }
    encode_part(word.substr(begin), out);
  }

 private:
  static constexpr std::string_view kMark = "\xE2\x96\x81";  // ▁
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t id_or_none(std::string_view piece) const {
    const auto id = vocabulary_.find(piece);
    return id ? static_cast<std::uint32_t>(*id) : kNone;
  }

  void find_safe_cut() {
    if (options_.raw_bytes || options_.ignore_merges || !options_.continuing_subword_prefix.empty() ||
        !options_.end_of_word_suffix.empty() || !vocabulary_.find(kMark))
      return;
    cut_at_mark_ = true;
    for (TokenId id = 0; static_cast<std::size_t>(id) < vocabulary_.id_count() && cut_at_mark_; ++id) {
      const std::string_view piece = vocabulary_.piece(id);
      for (std::size_t at = piece.find(kMark); at != std::string_view::npos; at = piece.find(kMark, at + 1))
        if (at > 0 && !piece.substr(0, at).ends_with(kMark)) cut_at_mark_ = false;
    }
  }

  void encode_part(std::string_view word, std::vector<TokenId>& out) const {
    if (word.empty()) return;
    if (word.size() > WordCache::kLongestWord) return merge_word(word, out);
    const std::uint64_t hash = hash_bytes(word);
    if (cache_.find(word, hash, out)) return;
    const std::size_t before = out.size();
    merge_word(word, out);
    cache_.insert(word, hash, out.data() + before, out.size() - before);
  }

  void merge_word(std::string_view word, std::vector<TokenId>& out) const {
    if (options_.ignore_merges) {
      const auto whole = options_.raw_bytes ? vocabulary_.find(to_byte_alphabet(word)) : vocabulary_.find(word);
      if (whole) {
        out.push_back(*whole);
        return;
      }
    }
    Symbols symbols;
    symbols.reserve(word.size());
    if (options_.raw_bytes) byte_symbols(word, symbols);
    else character_symbols(word, symbols);
    if (symbols.size() <= kScanUpTo) merge_short(merges_, symbols);
    else merge_long(merges_, symbols);
    for (const std::uint32_t symbol : symbols) {
      if (symbol < vocabulary_.id_count()) out.push_back(static_cast<TokenId>(symbol));
      else emit_extra(extra_.characters[symbol - vocabulary_.id_count()], out);
    }
  }

  // A character that only merges know: it stayed alone, so it is unknown after all.
  void emit_extra(std::string_view character, std::vector<TokenId>& out) const {
    for (const char c : character) {
      const std::uint32_t id = fallback_ids_[static_cast<unsigned char>(c)];
      if (id != kNone) out.push_back(static_cast<TokenId>(id));
      else if (unknown_) out.push_back(*unknown_);
    }
  }

  void byte_symbols(std::string_view word, Symbols& symbols) const {
    UnknownRun run;
    for (const char c : word) {
      const std::uint32_t id = byte_ids_[static_cast<unsigned char>(c)];
      if (id != kNone) {
        run.flush(symbols);
        symbols.push_back(id);
      } else {
        add_unknown(run, symbols);
      }
    }
    run.flush(symbols);
  }

  void character_symbols(std::string_view word, Symbols& symbols) const {
    UnknownRun run;
    std::string decorated;
    for (std::size_t i = 0; i < word.size();) {
      const std::size_t length = code_point_at(word, i).length;
      std::string_view s = word.substr(i, length);
      const bool first = i == 0;
      i += length;
      const bool last = i >= word.size();
      if ((!first && !options_.continuing_subword_prefix.empty()) || (last && !options_.end_of_word_suffix.empty())) {
        decorated = first ? "" : options_.continuing_subword_prefix;
        decorated += s;
        if (last) decorated += options_.end_of_word_suffix;
        s = decorated;
      }
      std::uint32_t id = id_or_none(s);
      if (id == kNone) id = extra_.find(s, vocabulary_.id_count()).value_or(kNone);
      if (id != kNone) {
        run.flush(symbols);
        symbols.push_back(id);
      } else if (!add_bytes(s, symbols)) {
        add_unknown(run, symbols);
      }
    }
    run.flush(symbols);
  }

  // The unknown symbol waits until the next known one, so that neighbours can fuse.
  struct UnknownRun {
    std::uint32_t pending = kNone;
    void flush(Symbols& symbols) {
      if (pending != kNone) symbols.push_back(pending);
      pending = kNone;
    }
  };

  void add_unknown(UnknownRun& run, Symbols& symbols) const {
    if (!unknown_) return;
    if (!options_.fuse_unknown) run.flush(symbols);
    run.pending = static_cast<std::uint32_t>(*unknown_);
  }

  bool add_bytes(std::string_view s, Symbols& symbols) const {
    if (!options_.byte_fallback) return false;
    const auto known = [this](char c) { return fallback_ids_[static_cast<unsigned char>(c)] != kNone; };
    if (!std::all_of(s.begin(), s.end(), known)) return false;
    for (const char c : s) symbols.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
    return true;
  }

  MergeTable merges_;
  BpeOptions options_;
  ScoredCharacters extra_;
  std::array<std::uint32_t, 256> byte_ids_{}, fallback_ids_{};
  bool cut_at_mark_ = false;
  WordCache cache_;
};

}  // namespace

Result<TokenModelPtr> make_bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, const BpeOptions& options,
                               std::string_view place) {
  RETORT_TRY(MergeTable table, merge_table(vocabulary, merges, options, place));
  if (!options.unknown_token.empty() && !vocabulary.find(options.unknown_token) && !options.skip_unknown_merges)
    return Error{.code = ErrorCode::kCorrupt, .place = "model.unk_token", .expected = "a token of the vocabulary",
                 .found = options.unknown_token};
  return TokenModelPtr(std::make_unique<Bpe>(std::move(vocabulary), std::move(table), options, ScoredCharacters{}));
}

Result<TokenModelPtr> make_scored_bpe(Vocabulary vocabulary, const std::vector<float>& scores,
                                      const std::vector<bool>& mergeable, const BpeOptions& options) {
  ScoredCharacters extra;
  MergeTable table = scored_merge_table(vocabulary, scores, mergeable, extra);
  return TokenModelPtr(std::make_unique<Bpe>(std::move(vocabulary), std::move(table), options, std::move(extra)));
}

}  // namespace retort::text
