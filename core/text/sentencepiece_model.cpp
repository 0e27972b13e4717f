#include "core/text/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/text/unicode.h"

namespace retort::text {
namespace {

constexpr std::string_view kPlace = "tokenizer.model";

Error broken(ErrorCode code, std::string expected, std::string found) {
  return Error{.code = code, .place = std::string(kPlace), .expected = std::move(expected), .found = std::move(found)};
}

// One field of a protobuf message: a number (varint or fixed) or a view of bytes.
struct Field {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;       // 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32
  std::uint64_t value = 0;
  std::string_view bytes{};
  bool flag() const noexcept { return value != 0; }
  std::int32_t id() const noexcept { return static_cast<std::int32_t>(value); }
  float real() const noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(value)); }
};

class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  // nullopt at the end. Errors: kTruncated, kCorrupt.
  Result<std::optional<Field>> next() {
    if (rest_.empty()) return std::optional<Field>();
    RETORT_TRY(const std::uint64_t key, varint());
    Field field;
    field.number = static_cast<std::uint32_t>(key >> 3);
    field.wire = static_cast<std::uint32_t>(key & 7u);
    if (field.number == 0 || key >> 32 != 0) return broken(ErrorCode::kCorrupt, "a protobuf field", "number " + std::to_string(key >> 3));
    switch (field.wire) {
      case 0: {
        RETORT_TRY(field.value, varint());
        break;
      }
      case 1: RETORT_CHECK(fixed(8, field)); break;
      case 2: {
        RETORT_TRY(const std::uint64_t length, varint());
        if (length > rest_.size())
          return broken(ErrorCode::kTruncated, std::to_string(length) + " bytes", std::to_string(rest_.size()));
        field.bytes = rest_.substr(0, length);
        rest_.remove_prefix(length);
        break;
      }
      case 5: RETORT_CHECK(fixed(4, field)); break;
      default: return broken(ErrorCode::kCorrupt, "a protobuf wire type", std::to_string(field.wire));
    }
    return std::optional(field);
  }

 private:
  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return broken(ErrorCode::kTruncated, "the rest of a number", "the end");
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
      if ((byte & 0x80u) == 0) return value;
    }
    return broken(ErrorCode::kCorrupt, "a number of at most 10 bytes", "a longer one");
  }
  Result<void> fixed(std::size_t count, Field& field) {
    if (rest_.size() < count) return broken(ErrorCode::kTruncated, std::to_string(count) + " bytes", std::to_string(rest_.size()));
    std::memcpy(&field.value, rest_.data(), count);
    rest_.remove_prefix(count);
    return {};
  }
  std::string_view rest_;
};

// Calls `each` for all fields; `each` returns Result<void>.
template <class Each>
Result<void> for_fields(std::string_view bytes, const Each& each) {
  Message message(bytes);
  for (;;) {
    RETORT_TRY(const std::optional<Field> field, message.next());
    if (!field) return {};
    RETORT_CHECK(each(*field));
  }
}

Result<void> read_piece(std::string_view bytes, SentencePieceModel& model) {
  SentencePieceModel::Piece piece;
  RETORT_CHECK(for_fields(bytes, [&](const Field& field) -> Result<void> {
    if (field.number == 1 && field.wire == 2) piece.text = field.bytes;
    if (field.number == 2 && field.wire == 5) piece.score = field.real();
    if (field.number == 3 && field.wire == 0) {
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
  return for_fields(bytes, [&](const Field& field) -> Result<void> {
    if (field.wire != 0) return {};
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
      case 40: model.unknown = field.id(); break;
      case 41: model.bos = field.id(); break;
      case 42: model.eos = field.id(); break;
      case 43: model.padding = field.id(); break;
      default: break;
    }
    return {};
  });
}

Result<void> read_normalizer(std::string_view bytes, SentencePieceModel& model) {
  return for_fields(bytes, [&](const Field& field) -> Result<void> {
    if (field.number == 2 && field.wire == 2) model.charsmap = field.bytes;
    if (field.wire != 0) return {};
    if (field.number == 3) model.add_dummy_prefix = field.flag();
    if (field.number == 4) model.remove_extra_whitespaces = field.flag();
    if (field.number == 5) model.escape_whitespaces = field.flag();
    return {};
  });
}

}  // namespace

Result<SentencePieceModel> read_sentencepiece(std::string_view bytes) {
  SentencePieceModel model;
  RETORT_CHECK(for_fields(bytes, [&](const Field& field) -> Result<void> {
    if (field.wire != 2) return {};
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
