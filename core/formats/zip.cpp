#include "core/formats/zip.h"

#include <algorithm>
#include <optional>

#include "core/base/checked.h"
#include "core/formats/byte_reader.h"

namespace retort::formats {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50, kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22, kLocatorBytes = 20, kCentralBytes = 46, kLocalBytes = 30, kMostComment = 65535;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kIn64 = 0xffffffffu;

struct Directory {
  std::uint64_t entries = 0, offset = 0, size = 0;
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  Result<std::unordered_map<std::string, ZipEntry>> read() {
    RETORT_TRY(const Directory directory, find_directory());
    if (directory.offset > bytes_.size() || directory.size > bytes_.size() - directory.offset)
      return error(ErrorCode::kTruncated, directory.offset, "the archive's directory", "the end of the file");
    if (directory.entries > directory.size / kCentralBytes)
      return error(ErrorCode::kCorrupt, directory.offset, "as many entries as the directory has room for",
                   std::to_string(directory.entries));
    std::unordered_map<std::string, ZipEntry> entries;
    std::uint64_t at = directory.offset;
    for (std::uint64_t i = 0; i < directory.entries; ++i) RETORT_CHECK(read_entry(at, directory.offset + directory.size, entries));
    return entries;
  }

 private:
  Error error(ErrorCode code, std::uint64_t offset, std::string expected, std::string found) const {
    return Error{.code = code, .file = file_, .place = "zip archive", .offset = offset, .expected = std::move(expected),
                 .found = std::move(found)};
  }

  template <class T>
  T number(std::uint64_t at) const noexcept {   // the caller has checked
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }
  bool has(std::uint64_t at, std::uint64_t count) const noexcept { return at <= bytes_.size() && count <= bytes_.size() - at; }

  Result<Directory> find_directory() const {
    if (bytes_.size() < kEndBytes) return error(ErrorCode::kTruncated, 0, "an archive's end record", "too few bytes");
    const std::uint64_t last = bytes_.size() - kEndBytes;
    const std::uint64_t first = last > kMostComment ? last - kMostComment : 0;
    std::uint64_t at = last;
    while (number<std::uint32_t>(at) != kEndSignature) {
      if (at == first) return error(ErrorCode::kTruncated, last, "an archive's end record", "none: the file was cut or is no archive");
      --at;
    }
    if (number<std::uint16_t>(at + 4) != 0 && number<std::uint16_t>(at + 4) != 0xffff)
      return error(ErrorCode::kUnsupported, at, "an archive in one file", "one of several");
    Directory directory{number<std::uint16_t>(at + 10), number<std::uint32_t>(at + 16), number<std::uint32_t>(at + 12)};
    const bool is64 = directory.entries == 0xffff || directory.offset == kIn64 || directory.size == kIn64;
    if (!is64 || at < kLocatorBytes || number<std::uint32_t>(at - kLocatorBytes) != kLocator64Signature) return directory;
    const auto end64 = number<std::uint64_t>(at - kLocatorBytes + 8);
    if (!has(end64, 56) || number<std::uint32_t>(end64) != kEnd64Signature)
      return error(ErrorCode::kCorrupt, at - kLocatorBytes, "the place of a zip64 end record", std::to_string(end64));
    return Directory{number<std::uint64_t>(end64 + 32), number<std::uint64_t>(end64 + 48), number<std::uint64_t>(end64 + 40)};
  }

  // Sizes of 32 bits that did not fit stand in the zip64 extra field, in this order, each only if needed.
  Result<void> read_zip64(std::uint64_t at, std::uint64_t end, std::initializer_list<std::uint64_t*> values) const {
    while (end - at >= 4) {
      const auto id = number<std::uint16_t>(at);
      const std::uint64_t size = number<std::uint16_t>(at + 2), data = at + 4;
      if (size > end - data) break;
      if (id == kZip64Extra) {
        std::uint64_t next = data;
        for (std::uint64_t* value : values) {
          if (*value != kIn64) continue;
          if (data + size - next < 8) break;
          *value = number<std::uint64_t>(next);
          next += 8;
        }
        return {};
      }
      at = data + size;
    }
    for (const std::uint64_t* value : values)
      if (*value == kIn64) return error(ErrorCode::kCorrupt, at, "a zip64 field", "none");
    return {};
  }

  Result<void> read_entry(std::uint64_t& at, std::uint64_t end, std::unordered_map<std::string, ZipEntry>& entries) const {
    if (end - at < kCentralBytes || number<std::uint32_t>(at) != kCentralSignature)
      return error(ErrorCode::kCorrupt, at, "an entry of the directory", "other bytes");
    const auto flags = number<std::uint16_t>(at + 8), method = number<std::uint16_t>(at + 10);
    std::uint64_t packed = number<std::uint32_t>(at + 20), size = number<std::uint32_t>(at + 24), local = number<std::uint32_t>(at + 42);
    const std::uint64_t name_bytes = number<std::uint16_t>(at + 28), extra = number<std::uint16_t>(at + 30), comment = number<std::uint16_t>(at + 32);
    if (name_bytes + extra + comment > end - at - kCentralBytes)
      return error(ErrorCode::kCorrupt, at, "an entry within the directory", "one that reaches beyond it");
    std::string name(reinterpret_cast<const char*>(bytes_.data() + at + kCentralBytes), name_bytes);
    const std::uint64_t extra_at = at + kCentralBytes + name_bytes;
    RETORT_CHECK(read_zip64(extra_at, extra_at + extra, {&size, &packed, &local}));
    at = extra_at + extra + comment;
    if ((flags & 1u) != 0 || method != 0 || packed != size)
      return Error{.code = ErrorCode::kUnsupported, .file = file_, .place = "entry " + printable(name), .offset = local,
                   .expected = "an entry stored as it is", .found = (flags & 1u) != 0 ? "an encrypted one" : "a compressed one",
                   .next_step = "save the model again with torch.save or as safetensors"};
    if (!has(local, kLocalBytes) || number<std::uint32_t>(local) != kLocalSignature)
      return error(ErrorCode::kCorrupt, local, "the header of entry " + printable(name), "other bytes");
    const std::uint64_t data = local + kLocalBytes + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
    if (!has(data, size)) return error(ErrorCode::kTruncated, data, std::to_string(size) + " bytes of entry " + printable(name), "fewer");
    if (!entries.emplace(std::move(name), ZipEntry{bytes_.subspan(data, size), data}).second)
      return error(ErrorCode::kCorrupt, local, "each entry once", "the same name again");
    return {};
  }

  std::span<const std::byte> bytes_;
  const std::string& file_;
};

}  // namespace

Result<std::unordered_map<std::string, ZipEntry>> read_zip(std::span<const std::byte> bytes, const std::string& file) {
  return ZipReader(bytes, file).read();
}

}  // namespace retort::formats
