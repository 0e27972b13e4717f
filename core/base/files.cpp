#include "core/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace retort {

Error system_error(int error_number, const std::filesystem::path& path, ErrorCode otherwise) {
  ErrorCode code = otherwise;
  switch (error_number) {
    case ENOENT: code = ErrorCode::kNotFound; break;
    case EACCES: case EPERM: case EROFS: code = ErrorCode::kPermission; break;
    case ENOSPC: case EDQUOT: case EFBIG: code = ErrorCode::kDiskFull; break;
    case ENOMEM: code = ErrorCode::kOutOfMemory; break;
    default: break;
  }
  Error error;
  error.code = code;
  error.file = path.string();
  error.found = std::strerror(error_number);
  return error;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);   // a pipe must not block
  if (descriptor < 0) return system_error(errno, path, ErrorCode::kRead);
  struct stat status {};
  const int failed = ::fstat(descriptor, &status) != 0 ? errno : 0;
  if (failed != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return system_error(failed != 0 ? failed : S_ISDIR(status.st_mode) ? EISDIR : EINVAL, path, ErrorCode::kRead);
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  file->size_ = static_cast<std::size_t>(status.st_size);
  if (file->size_ > 0) {
    void* data = ::mmap(nullptr, file->size_, PROT_READ, MAP_SHARED, descriptor, 0);
    if (data == MAP_FAILED) {
      const int error_number = errno;
      ::close(descriptor);
      return system_error(error_number, path, ErrorCode::kRead);
    }
    file->data_ = static_cast<const std::byte*>(data);
  }
  ::close(descriptor);
  return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

static void advise(const std::byte* data, std::size_t size, std::size_t offset, std::size_t length, int advice) noexcept {
  if (!data || offset >= size) return;
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = offset / page * page;
  const std::size_t end = length > size - offset ? size : offset + length;
  ::madvise(const_cast<std::byte*>(data) + begin, end - begin, advice);
}

void MappedFile::will_need(std::size_t offset, std::size_t length) const noexcept {
  advise(data_, size_, offset, length, MADV_WILLNEED);
}
void MappedFile::done_with(std::size_t offset, std::size_t length) const noexcept {
  advise(data_, size_, offset, length, MADV_DONTNEED);
}
void MappedFile::done_with(std::span<const std::byte> bytes) const noexcept {
  if (bytes.data() >= data_ && bytes.data() < data_ + size_) done_with(static_cast<std::size_t>(bytes.data() - data_), bytes.size());
}

static constexpr const char* kPart = ".part-";   // then the writer's process

// What writers of the same file left when they were killed; a writer that still runs keeps its own.
static void remove_left_parts(const std::filesystem::path& target) noexcept {
  try {
    std::error_code failed;
    const std::string begin = target.filename().string() + kPart;
    for (const auto& entry : std::filesystem::directory_iterator(target.has_parent_path() ? target.parent_path() : ".", failed)) {
      const std::string name = entry.path().filename().string();
      pid_t process = 0;
      if (!name.starts_with(begin) || std::from_chars(name.data() + begin.size(), name.data() + name.size(), process).ptr != name.data() + name.size()) continue;
      if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry.path(), failed);
    }
  } catch (const std::exception&) {   // no memory, an unreadable folder: what is left stays
  }
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& target) {
  remove_left_parts(target);
  AtomicFile file;
  file.target_ = target;
  file.beside_ = target;
  file.beside_ += kPart + std::to_string(::getpid());
  file.descriptor_ = ::open(file.beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file.descriptor_ < 0) return system_error(errno, target, ErrorCode::kWrite);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)), beside_(std::move(other.beside_)),
      descriptor_(std::exchange(other.descriptor_, -1)), position_(other.position_) {}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(beside_.c_str());
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kAtOnce = 8u << 20;
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min<std::size_t>(bytes.size(), kAtOnce));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(errno, target_, ErrorCode::kWrite);
    const std::uint64_t before = position_ / kAtOnce * kAtOnce;
    position_ += static_cast<std::uint64_t>(written);
    const std::uint64_t after = position_ / kAtOnce * kAtOnce;
    // The disk starts on what is complete while the next is computed, so that commit() has little left to wait for.
    if (after > before)
      ::sync_file_range(descriptor_, static_cast<off64_t>(before), static_cast<off64_t>(after - before), SYNC_FILE_RANGE_WRITE);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> AtomicFile::write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

Result<void> AtomicFile::reserve(std::uint64_t bytes) {
  // posix_fallocate returns the error; a file system without support is no failure.
  const int error_number = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes));
  if (error_number == ENOSPC || error_number == EFBIG) return system_error(error_number, target_, ErrorCode::kDiskFull);
  return {};
}

Result<void> AtomicFile::commit() {
  if (::ftruncate(descriptor_, static_cast<off_t>(position_)) != 0 || ::fsync(descriptor_) != 0)
    return system_error(errno, target_, ErrorCode::kWrite);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0 || ::rename(beside_.c_str(), target_.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(beside_.c_str());
    return system_error(error_number, target_, ErrorCode::kWrite);
  }
  // The rename itself must survive a power cut.
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  if (const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); handle >= 0) {
    ::fsync(handle);
    ::close(handle);
  }
  return {};
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  RETORT_TRY(auto file, MappedFile::open(path));
  const auto bytes = file->bytes();
  if (bytes.size() > max_bytes) {
    Error error;
    error.code = ErrorCode::kBadData;
    error.file = path.string();
    error.expected = "at most " + std::to_string(max_bytes) + " bytes";
    error.found = std::to_string(bytes.size());
    return error;
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<void> write_text_file(const std::filesystem::path& path, std::string_view text) {
  RETORT_TRY(auto file, AtomicFile::create(path));
  RETORT_CHECK(file.write(text));
  return file.commit();
}

static std::filesystem::path user_folder(const char* variable, const char* fallback) {
  if (const char* value = std::getenv(variable); value && *value) return std::filesystem::path(value) / "retort";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home && *home ? home : "/tmp") / fallback / "retort";
}
std::filesystem::path user_cache_folder() { return user_folder("XDG_CACHE_HOME", ".cache"); }
std::filesystem::path user_data_folder() { return user_folder("XDG_DATA_HOME", ".local/share"); }

std::uint64_t free_disk_bytes(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path place = std::filesystem::absolute(folder, ignored);
  while (!place.empty() && !std::filesystem::exists(place, ignored) && place != place.root_path()) place = place.parent_path();
  struct statvfs status {};
  if (::statvfs(place.c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace retort
