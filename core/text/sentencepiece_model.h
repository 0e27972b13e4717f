// What a SentencePiece model file says, field by field (sentencepiece_model.proto).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace retort::text {

inline constexpr std::string_view kSentencePieceFile = "tokenizer.model";

enum class PieceType : std::uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct SentencePieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  std::vector<Piece> pieces;
  bool bpe = false;                       // else Unigram
  bool byte_fallback = false;
  std::int32_t unknown = 0, bos = 1, eos = 2, padding = -1;   // ids; -1: none
  std::string charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Errors: kTruncated, kCorrupt, kUnsupported.
Result<SentencePieceModel> read_sentencepiece(std::string_view bytes);

}  // namespace retort::text
