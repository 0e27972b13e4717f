#include "core/text/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/text/unicode.h"

namespace retort::text {

MergeTable::MergeTable(std::size_t merges)
    : slots_(std::bit_ceil(std::max<std::size_t>(16, merges * 2 + 2))), mask_(slots_.size() - 1) {}

void MergeTable::add(std::uint32_t left, std::uint32_t right, Result result) {
  if ((used_ + 1) * 2 > slots_.size()) {
    MergeTable larger(slots_.size());
    for (const Slot& s : slots_)
      if (s.result.rank != kNone) larger.add(s.left, s.right, s.result);
    *this = std::move(larger);
  }
  std::size_t slot = hash_pair(left, right) & mask_;
  while (slots_[slot].result.rank != kNone && (slots_[slot].left != left || slots_[slot].right != right))
    slot = (slot + 1) & mask_;
  if (slots_[slot].result.rank == kNone) ++used_;
  slots_[slot] = {left, right, result};
}

Result<MergeTable> merge_table(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                               const BpeOptions& options, std::string_view place) {
  MergeTable table(merges.size());
  const std::string& prefix = options.continuing_subword_prefix;
  std::string joined;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const auto a = vocabulary.find(left);
    const auto b = vocabulary.find(right);
    joined = left;
    joined.append(right, std::min(prefix.size(), right.size()));
    const auto result = vocabulary.find(joined);
    if (!a || !b || !result) {
      if (options.skip_unknown_merges) continue;
      return Error{.code = ErrorCode::kCorrupt, .place = std::string(place) + "[" + std::to_string(i) + "]",
                   .expected = "pieces of the vocabulary", .found = !a ? left : !b ? right : joined};
    }
    table.add(static_cast<std::uint32_t>(*a), static_cast<std::uint32_t>(*b),
              {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(*result)});
  }
  return table;
}

// All splits of a piece are looked up, so a hostile piece of megabytes would take for ever. Real ones have up to 48.
constexpr std::size_t kLongestMerged = 1024;

MergeTable scored_merge_table(const Vocabulary& vocabulary, const std::vector<float>& scores,
                              const std::vector<bool>& mergeable, ScoredCharacters& extra) {
  const auto score = [&](TokenId id) { return scores[static_cast<std::size_t>(id)]; };
  std::vector<TokenId> order;
  for (std::size_t id = 0; id < vocabulary.id_count(); ++id)
    if (id < scores.size() && id < mergeable.size() && mergeable[id] && !std::isnan(scores[id]) &&
        vocabulary.find(vocabulary.piece(static_cast<TokenId>(id))) == static_cast<TokenId>(id))
      order.push_back(static_cast<TokenId>(id));
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return score(a) > score(b); });

  const auto symbol_of = [&](std::string_view part, bool single) -> std::optional<std::uint32_t> {
    if (const auto id = vocabulary.find(part)) return static_cast<std::uint32_t>(*id);
    if (!single) return std::nullopt;
    const auto [it, added] = extra.index.emplace(std::string(part), static_cast<std::uint32_t>(extra.characters.size()));
    if (added) extra.characters.emplace_back(part);
    return static_cast<std::uint32_t>(vocabulary.id_count()) + it->second;
  };
  MergeTable table(order.size() * 4);
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) != score(order[i - 1])) rank = static_cast<std::uint32_t>(i);  // equals share a rank
    const std::string_view piece = vocabulary.piece(order[i]);
    if (piece.size() > kLongestMerged) continue;
    const std::size_t first = piece.empty() ? 0 : code_point_at(piece, 0).length;
    for (std::size_t cut = first; cut < piece.size(); cut += code_point_at(piece, cut).length) {
      const bool single_right = cut + code_point_at(piece, cut).length == piece.size();
      const auto left = symbol_of(piece.substr(0, cut), cut == first);
      const auto right = symbol_of(piece.substr(cut), single_right);
      if (left && right) table.add(*left, *right, {rank, static_cast<std::uint32_t>(order[i])});
    }
  }
  return table;
}

}  // namespace retort::text
