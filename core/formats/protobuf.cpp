#include "core/formats/protobuf.h"

#include <cstring>

namespace retort::formats {

Error ProtoMessage::broken(ErrorCode code, std::string expected, std::string found) const {
  return Error{.code = code, .place = std::string(place_), .expected = std::move(expected), .found = std::move(found)};
}

Result<std::optional<ProtoField>> ProtoMessage::next() {
  if (rest_.empty()) return std::optional<ProtoField>();
  const std::string_view before = rest_;
  RETORT_TRY(const std::uint64_t key, varint());
  if (key >> 32 != 0 || key >> 3 == 0) return broken(ErrorCode::kCorrupt, "a protobuf field", "number " + std::to_string(key >> 3));
  ProtoField field;
  field.number = static_cast<std::uint32_t>(key >> 3);
  field.wire = static_cast<Wire>(key & 7u);
  switch (field.wire) {
    case Wire::kVarint: {
      RETORT_TRY(field.value, varint());
      break;
    }
    case Wire::kFixed64: RETORT_CHECK(fixed(8, field)); break;
    case Wire::kBytes: {
      RETORT_TRY(const std::uint64_t length, varint());
      if (length > rest_.size()) return broken(ErrorCode::kTruncated, std::to_string(length) + " bytes", std::to_string(rest_.size()));
      field.bytes = rest_.substr(0, length);
      rest_.remove_prefix(length);
      break;
    }
    case Wire::kFixed32: RETORT_CHECK(fixed(4, field)); break;
    default: return broken(ErrorCode::kCorrupt, "a protobuf wire type", std::to_string(key & 7u));
  }
  field.raw = before.substr(0, before.size() - rest_.size());
  return std::optional(field);
}

Result<std::uint64_t> ProtoMessage::varint() {
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

Result<void> ProtoMessage::fixed(std::size_t count, ProtoField& field) {
  if (rest_.size() < count) return broken(ErrorCode::kTruncated, std::to_string(count) + " bytes", std::to_string(rest_.size()));
  std::memcpy(&field.value, rest_.data(), count);
  rest_.remove_prefix(count);
  return {};
}

Result<void> append_numbers(const ProtoField& field, std::string_view place, std::vector<std::int64_t>& out) {
  if (field.wire == Wire::kVarint) {
    out.push_back(field.whole());
    return {};
  }
  if (field.wire != Wire::kBytes)
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = "whole numbers", .found = "another wire type"};
  ProtoMessage packed(field.bytes, place);
  while (!packed.at_end()) {
    RETORT_TRY(const std::uint64_t value, packed.varint());
    out.push_back(static_cast<std::int64_t>(value));
  }
  return {};
}

Result<void> append_reals(const ProtoField& field, std::string_view place, std::vector<float>& out) {
  if (field.wire == Wire::kFixed32) {
    out.push_back(field.real());
    return {};
  }
  if (field.wire != Wire::kBytes || field.bytes.size() % sizeof(float) != 0)
    return Error{.code = ErrorCode::kCorrupt, .place = std::string(place), .expected = "packed floats",
                 .found = std::to_string(field.bytes.size()) + " bytes"};
  const std::size_t before = out.size();
  out.resize(before + field.bytes.size() / sizeof(float));
  if (!field.bytes.empty()) std::memcpy(out.data() + before, field.bytes.data(), field.bytes.size());
  return {};
}

}  // namespace retort::formats
