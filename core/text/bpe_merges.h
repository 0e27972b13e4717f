// The merges of a BPE model as a table from pairs of symbols to rank and result. Built once, read by any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/text/hash.h"
#include "core/text/token_model.h"
#include "core/text/vocabulary.h"

namespace retort::text {

class MergeTable {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  struct Result {
    std::uint32_t rank = kNone, id = 0;  // lower ranks merge first; kNone: the pair doesn't merge
  };

  explicit MergeTable(std::size_t merges);
  // A pair that is already there takes the newer rank.
  void add(std::uint32_t left, std::uint32_t right, Result result);
  Result find(std::uint32_t left, std::uint32_t right) const noexcept {
    for (std::size_t slot = hash_pair(left, right) & mask_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.result.rank == kNone) return {};
      if (s.left == left && s.right == right) return s.result;
    }
  }

 private:
  struct Slot {
    std::uint32_t left = 0, right = 0;
    Result result;
  };
  std::vector<Slot> slots_;
  std::size_t mask_;
  std::size_t used_ = 0;
};

// Characters that occur inside pieces of a scored vocabulary without being pieces themselves. They get symbol
// numbers behind the ids, so that they can merge.
struct ScoredCharacters {
  std::vector<std::string> characters;
  std::unordered_map<std::string, std::uint32_t> index;
  std::optional<std::uint32_t> find(std::string_view character, std::size_t id_count) const {
    if (characters.empty()) return std::nullopt;
    const auto it = index.find(std::string(character));
    if (it == index.end()) return std::nullopt;
    return static_cast<std::uint32_t>(id_count) + it->second;
  }
};

Result<MergeTable> merge_table(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                               const BpeOptions& options, std::string_view place);
// Every split of a mergeable piece into two symbols is a merge; its rank is the place of the piece's score.
MergeTable scored_merge_table(const Vocabulary& vocabulary, const std::vector<float>& scores,
                              const std::vector<bool>& mergeable, ScoredCharacters& extra);

}  // namespace retort::text
