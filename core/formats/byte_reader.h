// ByteReader: a cursor over untrusted bytes. Nothing is read, and no size believed, before it was checked against what
// is left. Every error names the file, the place and the byte. Used by the readers of binary formats only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/result.h"

namespace retort::formats {

static_assert(std::endian::native == std::endian::little, "readers copy little-endian numbers as they lie");

// A name out of a file, made fit for a message: control and non-ASCII bytes escaped, cut at 80 characters.
std::string printable(std::string_view text);
// True for well-formed UTF-8 without NUL: what names and keys must be.
bool is_clean_utf8(std::string_view text) noexcept;
// ceil(value / alignment) · alignment; alignment is a power of two. nullopt on overflow.
std::optional<std::uint64_t> align_up(std::uint64_t value, std::uint64_t alignment) noexcept;

class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t remaining() const noexcept { return bytes_.size() - position_; }
  const std::string& file() const noexcept { return file_; }

  template <class T>
  Result<T> number(std::string_view place) {
    static_assert(std::is_arithmetic_v<T>);
    if (remaining() < sizeof(T)) return truncated(place, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  // `count` bytes in place. Errors: kTruncated.
  Result<std::string_view> take(std::uint64_t count, std::string_view place);
  // u64 length, then that many bytes. Errors: kTruncated, kCorrupt (longer than `limit`).
  Result<std::string_view> string(std::string_view place, std::uint64_t limit);
  // Checks that `count` items of at least `item_bytes` can still follow, before anything is allocated for them.
  Result<void> expect_items(std::uint64_t count, std::uint64_t item_bytes, std::string_view place) const;

  Error truncated(std::string_view place, std::uint64_t wanted) const;
  Error error(ErrorCode code, std::string_view place, std::uint64_t offset, std::string expected, std::string found,
              std::string next_step = {}) const;

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
  std::uint64_t position_ = 0;
};

}  // namespace retort::formats
