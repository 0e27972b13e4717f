// Files: read-only memory maps and writes that either happen whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/base/result.h"

namespace retort {

// A read-only map of a whole file; the view lives as long as the object. Thread-safe.
class MappedFile {
 public:
  // Errors: kNotFound, kPermission, kRead (a folder, an empty or special file).
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::filesystem::path& path() const noexcept { return path_; }
  // Tells the system that a range is wanted soon, or no longer.
  void will_need(std::size_t offset, std::size_t length) const noexcept;
  void done_with(std::size_t offset, std::size_t length) const noexcept;
  // The same for bytes of this mapping; others are left alone.
  void done_with(std::span<const std::byte> bytes) const noexcept;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Writes beside the target, syncs, renames. Dropped without commit(), nothing remains.
class AtomicFile {
 public:
  // Errors: kPermission, kWrite, kDiskFull.
  static Result<AtomicFile> create(const std::filesystem::path& target);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write(std::string_view text);
  // Reserves the room now, so that a full disk is known before the work. Errors: kDiskFull.
  Result<void> reserve(std::uint64_t bytes);
  std::uint64_t position() const noexcept { return position_; }
  // After this the target holds exactly what was written.
  Result<void> commit();

 private:
  AtomicFile() = default;
  std::filesystem::path target_, beside_;
  int descriptor_ = -1;
  std::uint64_t position_ = 0;
};

// An Error for errno: ENOSPC → kDiskFull, EACCES → kPermission, ENOENT → kNotFound, else `otherwise`.
Error system_error(int error_number, const std::filesystem::path& path, ErrorCode otherwise);

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes = 1ull << 30);
Result<void> write_text_file(const std::filesystem::path& path, std::string_view text);

// Per-user folders: $XDG_CACHE_HOME/retort and $XDG_DATA_HOME/retort, with the usual fallbacks.
std::filesystem::path user_cache_folder();
std::filesystem::path user_data_folder();
std::uint64_t free_disk_bytes(const std::filesystem::path& folder);

}  // namespace retort
