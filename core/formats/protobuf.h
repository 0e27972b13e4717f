// A cursor over protobuf's wire format (protobuf.dev/programming-guides/encoding), for the readers of SentencePiece models
// and ONNX graphs: fields one after another, nothing copied, nothing believed before it was checked. Groups (deprecated
// wire types 3 and 4) are refused: neither format has any.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace retort::formats {

enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct ProtoField {
  std::uint32_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;      // of the three kinds of numbers
  std::string_view bytes{};     // kBytes: a view into the message
  std::string_view raw{};       // the whole field, key included

  bool is(std::uint32_t wanted, Wire kind) const noexcept { return number == wanted && wire == kind; }
  bool flag() const noexcept { return value != 0; }
  std::int32_t small() const noexcept { return static_cast<std::int32_t>(value); }
  std::int64_t whole() const noexcept { return static_cast<std::int64_t>(value); }
  float real() const noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(value)); }
};

class ProtoMessage {
 public:
  // `place` goes into errors.
  ProtoMessage(std::string_view bytes, std::string_view place) : rest_(bytes), place_(place) {}

  // nullopt at the end. Errors: kTruncated, kCorrupt.
  Result<std::optional<ProtoField>> next();
  // The next number of a packed list. Errors: kTruncated, kCorrupt.
  Result<std::uint64_t> varint();
  bool at_end() const noexcept { return rest_.empty(); }

 private:
  Result<void> fixed(std::size_t count, ProtoField& field);
  Error broken(ErrorCode code, std::string expected, std::string found) const;

  std::string_view rest_, place_;
};

// Calls `each` (ProtoField → Result<void>) for all fields of a message.
template <class Each>
Result<void> for_fields(std::string_view bytes, std::string_view place, const Each& each) {
  ProtoMessage message(bytes, place);
  for (;;) {
    RETORT_TRY(const std::optional<ProtoField> field, message.next());
    if (!field) return {};
    RETORT_CHECK(each(*field));
  }
}

// A repeated whole-number field, packed or not, appended to `out`: at most one number a byte.
Result<void> append_numbers(const ProtoField& field, std::string_view place, std::vector<std::int64_t>& out);
// A repeated float, packed or not.
Result<void> append_reals(const ProtoField& field, std::string_view place, std::vector<float>& out);

}  // namespace retort::formats
