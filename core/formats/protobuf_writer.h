// Protobuf messages as strings: small ones are made first, then put into larger ones.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace retort::formats {

class ProtoWriter {
 public:
  ProtoWriter& number(std::uint32_t field, std::uint64_t value) {
    varint(std::uint64_t{field} << 3);
    varint(value);
    return *this;
  }
  ProtoWriter& bytes(std::uint32_t field, std::string_view value) {
    varint(std::uint64_t{field} << 3 | 2);
    varint(value.size());
    text_ += value;
    return *this;
  }
  // A field as it lies in another message, key included.
  ProtoWriter& raw(std::string_view field) {
    text_ += field;
    return *this;
  }
  const std::string& text() const noexcept { return text_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>((value & 0x7f) | 0x80);
    text_ += static_cast<char>(value);
  }
  std::string text_;
};

}  // namespace retort::formats
