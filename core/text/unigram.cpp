// Unigram: the segmentation with the highest sum of log probabilities, by Viterbi over the positions of a word
// (Kudo 2018; the tie rules are sentencepiece's: the first best path found stays).
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "core/text/hash.h"
#include "core/text/token_model.h"
#include "core/text/unicode.h"
#include "core/text/word_cache.h"

namespace retort::text {
namespace {

// A byte trie whose edges lie in one hash table.
class Trie {
 public:
  static constexpr std::uint32_t kRoot = 0, kNone = std::numeric_limits<std::uint32_t>::max();

  void insert(std::string_view key, TokenId id) {
    std::uint32_t node = kRoot;
    for (const char c : key) {
      std::uint32_t next = child(node, c);
      if (next == kNone) {
        next = static_cast<std::uint32_t>(ids_.size());
        ids_.push_back(-1);
        add_edge(node, c, next);
      }
      node = next;
    }
    ids_[node] = id;
  }

  std::uint32_t child(std::uint32_t node, char c) const noexcept {
    const std::uint32_t byte = static_cast<unsigned char>(c);
    for (std::size_t slot = hash_pair(node, byte) & (edges_.size() - 1);; slot = (slot + 1) & (edges_.size() - 1)) {
      const Edge& e = edges_[slot];
      if (e.to == kNone) return kNone;
      if (e.from == node && e.byte == byte) return e.to;
    }
  }

  TokenId id(std::uint32_t node) const noexcept { return ids_[node]; }  // −1: no piece ends here

 private:
  struct Edge {
    std::uint32_t from = 0, byte = 0, to = kNone;
  };

  void place(const Edge& edge) noexcept {
    std::size_t slot = hash_pair(edge.from, edge.byte) & (edges_.size() - 1);
    while (edges_[slot].to != kNone) slot = (slot + 1) & (edges_.size() - 1);
    edges_[slot] = edge;
  }

  void add_edge(std::uint32_t from, char c, std::uint32_t to) {
    if (ids_.size() * 2 > edges_.size()) {
      std::vector<Edge> old(edges_.size() * 2);
      old.swap(edges_);
      for (const Edge& e : old)
        if (e.to != kNone) place(e);
    }
    place({from, static_cast<unsigned char>(c), to});
  }

  std::vector<Edge> edges_ = std::vector<Edge>(64);
  std::vector<TokenId> ids_ = std::vector<TokenId>(1, -1);
};

class Unigram : public TokenModel {
 public:
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<TokenId> unknown, bool byte_fallback,
          const UnigramRules& rules)
      : TokenModel(std::move(vocabulary)), scores_(std::move(scores)) {
    unknown_ = unknown;
    byte_ids_.fill(-1);
    double lowest = std::numeric_limits<double>::infinity();
    for (const double s : scores_) lowest = std::min(lowest, s);
    unknown_score_ = rules.lowest_score.value_or(lowest) - kUnknownPenalty;
    const auto counts = [&rules](std::size_t id) { return rules.usable.empty() || (id < rules.usable.size() && rules.usable[id]); };
    for (std::size_t id = 0; id < vocabulary_.id_count(); ++id)
      if (const auto piece = vocabulary_.piece(static_cast<TokenId>(id)); !piece.empty() && counts(id))
        trie_.insert(piece, static_cast<TokenId>(id));  // of equal pieces the last counts
    for (unsigned b = 0; byte_fallback && b < 256; ++b) {
      static constexpr std::string_view kHex = "0123456789ABCDEF";
      const std::array<char, 6> name = {'<', '0', 'x', kHex[b / 16], kHex[b % 16], '>'};
      byte_ids_[b] = vocabulary_.find({name.data(), name.size()}).value_or(-1);
    }
  }

  std::string_view kind() const noexcept override { return "unigram"; }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const override {
    if (word.size() > WordCache::kLongestWord) return segment(word, out);
    const std::uint64_t hash = hash_bytes(word);
    if (cache_.find(word, hash, out)) return;
    const std::size_t before = out.size();
    segment(word, out);
    cache_.insert(word, hash, out.data() + before, out.size() - before);
  }

 private:
  static constexpr double kUnknownPenalty = 10.0;
  static constexpr std::size_t kUnreached = std::numeric_limits<std::size_t>::max();

  struct Node {  // the best path that ends at this byte
    double score = 0;
    std::size_t begin = kUnreached;
    TokenId id = -1;  // −1: unknown
  };

  static void offer(Node& node, double score, std::size_t begin, TokenId id) {
    if (node.begin == kUnreached || score > node.score) node = {score, begin, id};
  }

  std::vector<Node> best_paths(std::string_view word) const {
    std::vector<Node> nodes(word.size() + 1);
    for (std::size_t begin = 0; begin < word.size();) {
      const double so_far = nodes[begin].score;
      const std::size_t length = code_point_at(word, begin).length;
      bool has_single = false;
      std::uint32_t at = Trie::kRoot;
      for (std::size_t end = begin; end < word.size();) {
        at = trie_.child(at, word[end++]);
        if (at == Trie::kNone) break;
        const TokenId id = trie_.id(at);
        if (id < 0) continue;
        offer(nodes[end], so_far + scores_[static_cast<std::size_t>(id)], begin, id);
        has_single |= end - begin == length;
      }
      if (!has_single) offer(nodes[begin + length], so_far + unknown_score_, begin, unknown_.value_or(-1));
      begin += length;
    }
    return nodes;
  }

  void segment(std::string_view word, std::vector<TokenId>& out) const {
    const std::vector<Node> nodes = best_paths(word);
    struct Part {
      std::size_t begin, end;
      TokenId id;
    };
    std::vector<Part> parts;
    for (std::size_t end = word.size(); end > 0;) {
      const Node& node = nodes[end];
      const bool unknown = node.id < 0 || node.id == unknown_;
      if (unknown && !parts.empty() && parts.back().id < 0) parts.back().begin = node.begin;  // neighbours fuse
      else parts.push_back({node.begin, end, unknown ? -1 : node.id});
      end = node.begin;
    }
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (part->id >= 0) out.push_back(part->id);
      else emit_unknown(word.substr(part->begin, part->end - part->begin), out);
    }
  }

  void emit_unknown(std::string_view part, std::vector<TokenId>& out) const {
    if (const auto id = vocabulary_.find(part)) {  // fused unknowns can spell a piece
      out.push_back(*id);
      return;
    }
    const auto byte_id = [this](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (std::all_of(part.begin(), part.end(), [&](char c) { return byte_id(c) >= 0; }))
      for (const char c : part) out.push_back(byte_id(c));
    else if (unknown_)
      out.push_back(*unknown_);
  }

  std::vector<double> scores_;
  double unknown_score_ = 0;
  Trie trie_;
  std::array<TokenId, 256> byte_ids_{};
  WordCache cache_;
};

}  // namespace

Result<TokenModelPtr> make_unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::uint64_t> unknown_id,
                                   bool byte_fallback, const UnigramRules& rules) {
  const auto corrupt = [](std::string place, std::string expected, std::string found) {
    return Error{.code = ErrorCode::kCorrupt, .place = std::move(place), .expected = std::move(expected),
                 .found = std::move(found)};
  };
  if (unknown_id && *unknown_id >= vocabulary.id_count())
    return corrupt("model.unk_id", "an id below " + std::to_string(vocabulary.id_count()), std::to_string(*unknown_id));
  if (scores.size() < vocabulary.id_count())
    return corrupt("model.vocab", "a score for each piece", std::to_string(scores.size()));
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!std::isfinite(scores[i])) return corrupt("model.vocab[" + std::to_string(i) + "]", "a finite score", "another");
  std::optional<TokenId> unknown;
  if (unknown_id) unknown = static_cast<TokenId>(*unknown_id);
  return TokenModelPtr(std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), unknown, byte_fallback, rules));
}

}  // namespace retort::text
