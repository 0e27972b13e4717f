// Two tokenizations of one text: which tokens of both are the same piece at the same place, and which pieces of one
// vocabulary are pieces of the other. docs/decisions/0010-other-tokenizers.md says why soft targets are taken there only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/distill/kept_rows.h"
#include "core/text/tokenizer.h"

namespace retort::distill {

// The bytes of every piece of a tokenizer, and back. Tokens that end an answer are one piece, whatever they are called.
class PieceIndex {
 public:
  explicit PieceIndex(const Tokenizer& tokenizer);
  PieceIndex(PieceIndex&&) = default;   // the look-up views the strings, so it can't be copied
  PieceIndex& operator=(PieceIndex&&) = default;
  std::size_t size() const noexcept { return bytes_.size(); }
  std::string_view bytes(TokenId id) const noexcept { return id < 0 || static_cast<std::size_t>(id) >= bytes_.size() ? std::string_view() : bytes_[static_cast<std::size_t>(id)]; }
  std::vector<std::string_view> bytes(std::span<const TokenId> ids) const;
  TokenId find(std::string_view bytes) const noexcept;   // the lowest id; -1: no such piece

 private:
  std::vector<std::string> bytes_;
  std::unordered_map<std::string_view, TokenId> ids_;
};

// The same pieces under the same numbers: then both read each other's ids.
bool same_pieces(const Tokenizer& a, const Tokenizer& b);

// A stretch of the same text in the student's tokens and in the teacher's.
struct TextSpan {
  std::int32_t mine = 0, my_count = 0, theirs = 0, their_count = 0;
};

// A token of both that is the same piece at the same place of the text; numbers in their sequences.
struct AlignedToken {
  std::int32_t mine, theirs;
  bool operator==(const AlignedToken&) const = default;
};

// Pieces at the same bytes, as far as the texts are the same; a space that only one side begins with is passed over.
std::vector<AlignedToken> align(std::span<const std::string_view> mine, std::span<const std::string_view> theirs);

// Teacher's piece → student's, by equal bytes.
class PieceMap {
 public:
  PieceMap(const Tokenizer& student, std::int64_t student_classes, const Tokenizer& teacher);
  // Of tokens `span` of both, by number in the whole sequences.
  std::vector<AlignedToken> align(std::span<const TokenId> mine, std::span<const TokenId> theirs, const TextSpan& span) const;
  // The teacher's probabilities over its own pieces as probabilities over the student's; what it has no piece for is left out.
  void carry_over(std::span<const float> theirs, std::span<float> mine) const;
  double share() const noexcept;   // of the student's pieces that the teacher has too

 private:
  PieceIndex mine_, theirs_;
  std::vector<TokenId> map_;       // by the teacher's id; -1: none
  std::int64_t classes_;
};

}  // namespace retort::distill
