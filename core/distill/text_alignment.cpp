#include "core/distill/text_alignment.h"

#include <algorithm>

namespace retort::distill {
namespace {

constexpr std::string_view kEndOfAnswer = "\xff<end of answer>";   // no text has these bytes

std::string joined(std::span<const std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

// How far two texts are the same.
std::size_t common(std::string_view a, std::string_view b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t n = 0;
  while (n < most && a[n] == b[n]) ++n;
  return n;
}

}  // namespace

PieceIndex::PieceIndex(const Tokenizer& tokenizer) : bytes_(tokenizer.size()) {
  const auto& ends = tokenizer.end_of_generation;
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    bytes_[i] = std::find(ends.begin(), ends.end(), id) != ends.end() ? std::string(kEndOfAnswer) : tokenizer.piece_bytes(id);
  }
  for (std::size_t i = 0; i < bytes_.size(); ++i)
    if (!bytes_[i].empty()) ids_.emplace(bytes_[i], static_cast<TokenId>(i));   // the first stays
  // Of several that end an answer, the one that the chat ends with.
  if (tokenizer.eos && !bytes_.empty() && bytes(*tokenizer.eos) == kEndOfAnswer) ids_.insert_or_assign(bytes(*tokenizer.eos), *tokenizer.eos);
}

std::vector<std::string_view> PieceIndex::bytes(std::span<const TokenId> ids) const {
  std::vector<std::string_view> out;
  for (const TokenId id : ids) out.push_back(bytes(id));
  return out;
}

TokenId PieceIndex::find(std::string_view bytes) const noexcept {
  const auto found = ids_.find(bytes);
  return found == ids_.end() ? -1 : found->second;
}

bool same_pieces(const Tokenizer& a, const Tokenizer& b) {
  if (&a == &b) return true;
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a.piece(static_cast<TokenId>(i)) != b.piece(static_cast<TokenId>(i))) return false;
  return true;
}

std::vector<AlignedToken> align(std::span<const std::string_view> mine, std::span<const std::string_view> theirs) {
  const std::string a = joined(mine), b = joined(theirs);
  std::vector<AlignedToken> out;
  // Where each side's next token begins in the text that both have.
  std::ptrdiff_t at_mine = 0, at_theirs = 0;
  std::size_t same_text = common(a, b);
  if (same_text == 0 && !a.empty() && a.front() == ' ') {
    at_mine = -1;
    same_text = common(std::string_view(a).substr(1), b);
  } else if (same_text == 0 && !b.empty() && b.front() == ' ') {
    at_theirs = -1;
    same_text = common(a, std::string_view(b).substr(1));
  }
  for (std::size_t i = 0, j = 0; i < mine.size() && j < theirs.size();) {
    const auto end_mine = at_mine + static_cast<std::ptrdiff_t>(mine[i].size()), end_theirs = at_theirs + static_cast<std::ptrdiff_t>(theirs[j].size());
    if (std::max(end_mine, end_theirs) > static_cast<std::ptrdiff_t>(same_text)) break;
    const bool same = at_mine == at_theirs && end_mine == end_theirs && end_mine > at_mine;
    if (same) out.push_back({static_cast<std::int32_t>(i), static_cast<std::int32_t>(j)});
    const bool mine_next = same || end_mine <= end_theirs, theirs_next = same || end_theirs <= end_mine;
    if (mine_next) {
      at_mine = end_mine;
      ++i;
    }
    if (theirs_next) {
      at_theirs = end_theirs;
      ++j;
    }
  }
  return out;
}

PieceMap::PieceMap(const Tokenizer& student, std::int64_t student_classes, const Tokenizer& teacher)
    : mine_(student), theirs_(teacher), map_(teacher.size(), -1), classes_(student_classes) {
  for (std::size_t i = 0; i < map_.size(); ++i) {
    const TokenId id = mine_.find(theirs_.bytes(static_cast<TokenId>(i)));
    if (id < classes_) map_[i] = id;
  }
}

std::vector<AlignedToken> PieceMap::align(std::span<const TokenId> mine, std::span<const TokenId> theirs, const TextSpan& span) const {
  const auto part = [](std::span<const TokenId> ids, std::int32_t first, std::int32_t count) {
    return ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  };
  auto out = distill::align(mine_.bytes(part(mine, span.mine, span.my_count)), theirs_.bytes(part(theirs, span.theirs, span.their_count)));
  for (AlignedToken& token : out) {
    token.mine += span.mine;
    token.theirs += span.theirs;
  }
  return out;
}

void PieceMap::carry_over(std::span<const float> theirs, std::span<float> mine) const {
  std::fill(mine.begin(), mine.end(), 0.0f);
  for (std::size_t i = 0; i < std::min(theirs.size(), map_.size()); ++i)
    if (map_[i] >= 0) mine[static_cast<std::size_t>(map_[i])] += theirs[i];
}

double PieceMap::share() const noexcept {
  std::vector<TokenId> found;
  for (const TokenId id : map_)
    if (id >= 0) found.push_back(id);
  std::sort(found.begin(), found.end());
  const auto last = std::unique(found.begin(), found.end());
  return mine_.size() == 0 ? 0 : static_cast<double>(last - found.begin()) / static_cast<double>(mine_.size());
}

}  // namespace retort::distill
