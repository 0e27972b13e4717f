#include "core/text/sentencepiece_model.h"

#include <cmath>

#include "core/formats/protobuf.h"
#include "core/text/unicode.h"

namespace retort::text {
namespace {

using formats::ProtoField;
using formats::Wire;

Error broken(ErrorCode code, std::string expected, std::string found) {
  return Error{.code = code, .place = std::string(kSentencePieceFile), .expected = std::move(expected), .found = std::move(found)};
}

template <class Each>
Result<void> for_fields(std::string_view bytes, const Each& each) {
  return formats::for_fields(bytes, kSentencePieceFile, each);
}

Result<void> read_piece(std::string_view bytes, SentencePieceModel& model) {
  SentencePieceModel::Piece piece;
  RETORT_CHECK(for_fields(bytes, [&](const ProtoField& field) -> Result<void> {
    if (field.is(1, Wire::kBytes)) piece.text = field.bytes;
    if (field.is(2, Wire::kFixed32)) piece.score = field.real();
    if (field.is(3, Wire::kVarint)) {
      if (field.value < 1 || field.value > 6) return broken(ErrorCode::kCorrupt, "a piece's type from 1 to 6", std::to_string(field.value));
      piece.type = static_cast<PieceType>(field.value);
    }
    return {};
  }));
  if (piece.text.empty() || !is_valid_utf8(piece.text) || !std::isfinite(piece.score))
    return broken(ErrorCode::kCorrupt, "a piece in UTF-8 with a finite score", "piece " + std::to_string(model.pieces.size()));
  model.pieces.push_back(std::move(piece));
  return {};
}

Result<void> read_trainer(std::string_view bytes, SentencePieceModel& model) {
  return for_fields(bytes, [&](const ProtoField& field) -> Result<void> {
    if (field.wire != Wire::kVarint) return {};
    switch (field.number) {
      case 3:
        if (field.value != 1 && field.value != 2)
          return broken(ErrorCode::kUnsupported, "a Unigram or BPE model", field.value == 3 ? "a word model" : "a character model");
        model.bpe = field.value == 2;
        break;
      case 24:
        if (field.flag()) return broken(ErrorCode::kUnsupported, "whitespace before words", "treat_whitespace_as_suffix");
        break;
      case 35: model.byte_fallback = field.flag(); break;
      case 40: model.unknown = field.small(); break;
      case 41: model.bos = field.small(); break;
      case 42: model.eos = field.small(); break;
      case 43: model.padding = field.small(); break;
      default: break;
    }
    return {};
  });
}

Result<void> read_normalizer(std::string_view bytes, SentencePieceModel& model) {
  return for_fields(bytes, [&](const ProtoField& field) -> Result<void> {
    if (field.is(2, Wire::kBytes)) model.charsmap = field.bytes;
    if (field.wire != Wire::kVarint) return {};
    if (field.number == 3) model.add_dummy_prefix = field.flag();
    if (field.number == 4) model.remove_extra_whitespaces = field.flag();
    if (field.number == 5) model.escape_whitespaces = field.flag();
    return {};
  });
}

}  // namespace

Result<SentencePieceModel> read_sentencepiece(std::string_view bytes) {
  SentencePieceModel model;
  RETORT_CHECK(for_fields(bytes, [&](const ProtoField& field) -> Result<void> {
    if (field.wire != Wire::kBytes) return {};
    switch (field.number) {
      case 1: return read_piece(field.bytes, model);
      case 2: return read_trainer(field.bytes, model);
      case 3: return read_normalizer(field.bytes, model);
      default: return {};
    }
  }));
  if (model.pieces.empty()) return broken(ErrorCode::kCorrupt, "pieces", "none");
  return model;
}

}  // namespace retort::text
