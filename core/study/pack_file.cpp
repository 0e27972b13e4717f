#include "core/study/pack_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "core/base/checked.h"

namespace retort {
namespace {

constexpr std::array<char, 8> kPackMagic = {'R', 'T', 'T', 'E', 'N', 'S', '0', '1'};

std::uint64_t padded(std::uint64_t bytes) noexcept {
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

Digest header_check(const RecordHeader& header) {
  const auto bytes = std::as_bytes(std::span(&header, 1));
  return std::move(DigestBuilder().raw(bytes.first(offsetof(RecordHeader, check)))).finish();
}

Digest content_digest(std::span<const std::byte> data, std::span<const float> scales) {
  return std::move(DigestBuilder().raw(data).raw(std::as_bytes(scales))).finish();
}

Error damaged(const MappedFile& pack, std::uint64_t offset, ErrorCode code, std::string found) {
  return Error{.code = code, .file = pack.path().string(), .offset = offset, .found = std::move(found)};
}

// All of it, or an error: short writes are continued.
Result<void> write_all(int descriptor, std::span<const std::byte> bytes, std::uint64_t offset,
                       const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30),
                                     static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, path, ErrorCode::kWrite);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> write_parts(int descriptor, std::uint64_t offset, const RecordHeader& header,
                         std::span<const std::byte> data, std::span<const float> scales,
                         const std::filesystem::path& path) {
  static constexpr std::array<std::byte, kRecordAlignment> kZeros{};
  const auto part = [&](std::span<const std::byte> bytes) -> Result<void> {
    RETORT_CHECK(write_all(descriptor, bytes, offset, path));
    offset += bytes.size();
    return {};
  };
  const auto fill = [&](std::uint64_t bytes) { return part(std::span(kZeros).first(padded(bytes) - bytes)); };
  RETORT_CHECK(part(std::as_bytes(std::span(&header, 1))));
  RETORT_CHECK(part(data));
  RETORT_CHECK(fill(data.size()));
  RETORT_CHECK(part(std::as_bytes(scales)));
  RETORT_CHECK(fill(scales.size_bytes()));
  if (::fdatasync(descriptor) != 0) return system_error(errno, path, ErrorCode::kWrite);
  return {};
}

}  // namespace

std::uint64_t record_bytes(std::uint64_t data_bytes, std::uint64_t scale_bytes) noexcept {
  return sizeof(RecordHeader) + padded(data_bytes) + padded(scale_bytes);
}

RecordHeader make_header(const Digest& key, std::string_view name, kernels::TensorType type,
                         std::span<const std::byte> data, std::span<const float> scales, const QuantizeStats& stats) {
  RecordHeader header{};
  header.magic = kPackMagic;
  header.key = key.bytes;
  header.data_bytes = data.size();
  header.scale_bytes = scales.size_bytes();
  header.mean_squared_error = stats.mean_squared_error;
  header.relative_error = stats.relative_error;
  header.content = content_digest(data, scales).bytes;
  const std::string_view type_name = kernels::traits(type).name;
  type_name.copy(header.type.data(), header.type.size() - 1);
  name.copy(header.name.data(), header.name.size() - 1);
  header.check = header_check(header).bytes;
  return header;
}

Result<Record> read_record(const MappedFile& pack, std::uint64_t offset) {
  const auto bytes = pack.bytes();
  if (offset % kRecordAlignment != 0) return damaged(pack, offset, ErrorCode::kCorrupt, "an odd offset");
  const auto header_end = checked_add(offset, sizeof(RecordHeader));
  if (!header_end || *header_end > bytes.size()) return damaged(pack, offset, ErrorCode::kTruncated, "no whole header");
  Record record;
  record.header = reinterpret_cast<const RecordHeader*>(bytes.data() + offset);
  const RecordHeader& header = *record.header;
  if (header.magic != kPackMagic || header.check != header_check(header).bytes)
    return damaged(pack, offset, ErrorCode::kCorrupt, "not a record");
  const auto end = std::find(header.type.begin(), header.type.end(), '\0');
  const auto* type = kernels::find_type(std::string_view(header.type.data(), static_cast<std::size_t>(end - header.type.begin())));
  if (!type || header.scale_bytes % sizeof(float) != 0)
    return damaged(pack, offset, ErrorCode::kCorrupt, "an unknown tensor type");
  const std::uint64_t room = bytes.size() - *header_end;
  if (header.data_bytes > room || header.scale_bytes > room ||
      record_bytes(header.data_bytes, header.scale_bytes) - sizeof(RecordHeader) > room)
    return damaged(pack, offset, ErrorCode::kTruncated, "no whole tensor");
  record.type = type->type;
  record.data = bytes.subspan(*header_end, header.data_bytes);
  record.scales = {reinterpret_cast<const float*>(bytes.data() + *header_end + padded(header.data_bytes)),
                   header.scale_bytes / sizeof(float)};
  record.key.bytes = header.key;
  record.bytes = record_bytes(header.data_bytes, header.scale_bytes);
  return record;
}

bool content_matches(const Record& record) {
  return content_digest(record.data, record.scales).bytes == record.header->content;
}

Result<void> write_record(const std::filesystem::path& pack, std::uint64_t offset, const RecordHeader& header,
                          std::span<const std::byte> data, std::span<const float> scales) {
  const int descriptor = ::open(pack.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(errno, pack, ErrorCode::kWrite);
  Result<void> written = write_parts(descriptor, offset, header, data, scales, pack);
  ::close(descriptor);
  // A new file's name must be on the disk too before the index speaks of it.
  if (written && offset == 0) {
    const int folder = ::open(pack.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      ::fsync(folder);
      ::close(folder);
    }
  }
  return written;
}

std::uint64_t scan_pack(const MappedFile& pack, const std::function<void(std::uint64_t, const Record&)>& found) {
  std::uint64_t offset = 0;
  while (true) {
    const auto record = read_record(pack, offset);
    if (!record) return offset;
    if (content_matches(*record)) found(offset, *record);
    offset += record->bytes;
  }
}

}  // namespace retort
