#include "core/formats/byte_reader.h"

#include "core/base/checked.h"

namespace retort::formats {

std::string printable(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  constexpr std::size_t kLongest = 80;
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  if (text.size() > kLongest) out += "...";
  return out;
}

bool is_clean_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned char lead = at(i);
    if (lead == 0) return false;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i < length) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    // Overlong forms, surrogates and what lies above U+10FFFF.
    if (lead == 0xe0 && at(i + 1) < 0xa0) return false;
    if (lead == 0xed && at(i + 1) > 0x9f) return false;
    if (lead == 0xf0 && at(i + 1) < 0x90) return false;
    if (lead == 0xf4 && at(i + 1) > 0x8f) return false;
    i += length;
  }
  return true;
}

std::optional<std::uint64_t> align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  const auto sum = checked_add(value, alignment - 1);
  return sum ? std::optional(*sum & ~(alignment - 1)) : std::nullopt;
}

Result<std::string_view> ByteReader::take(std::uint64_t count, std::string_view place) {
  if (remaining() < count) return truncated(place, count);
  const std::string_view view(reinterpret_cast<const char*>(bytes_.data()) + position_, count);
  position_ += count;
  return view;
}

Result<std::string_view> ByteReader::string(std::string_view place, std::uint64_t limit) {
  const std::uint64_t start = position_;
  RETORT_TRY(const auto length, number<std::uint64_t>(place));
  if (length > limit)
    return error(ErrorCode::kCorrupt, place, start, "a string of at most " + std::to_string(limit) + " bytes",
                 std::to_string(length));
  return take(length, place);
}

Result<void> ByteReader::expect_items(std::uint64_t count, std::uint64_t item_bytes, std::string_view place) const {
  if (count <= remaining() / item_bytes) return {};
  return error(ErrorCode::kTruncated, place, position_,
               std::to_string(count) + " entries of at least " + std::to_string(item_bytes) + " bytes",
               std::to_string(remaining()) + " bytes left in the file");
}

Error ByteReader::truncated(std::string_view place, std::uint64_t wanted) const {
  return error(ErrorCode::kTruncated, place, position_, std::to_string(wanted) + " more bytes",
               std::to_string(remaining()));
}

Error ByteReader::error(ErrorCode code, std::string_view place, std::uint64_t offset, std::string expected,
                        std::string found, std::string next_step) const {
  return Error{.code = code,
               .file = file_,
               .place = std::string(place),
               .offset = offset,
               .expected = std::move(expected),
               .found = std::move(found),
               .next_step = std::move(next_step)};
}

}  // namespace retort::formats
