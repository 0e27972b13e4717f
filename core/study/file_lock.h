// An advisory lock on a file, held while the object lives. It ends with the process however that ends, so kill -9 leaves
// nothing to clean up.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "core/base/files.h"
#include "core/base/job.h"
#include "core/base/result.h"

namespace retort {

class FileLock {
 public:
  // Waits for it. Errors: kPermission, kWrite.
  static Result<FileLock> take(const std::filesystem::path& path) { return open(path, O_RDWR | O_CREAT, LOCK_EX); }
  // kConflict when somebody else holds it. The file must exist.
  static Result<FileLock> try_existing(const std::filesystem::path& path) {
    return open(path, O_RDWR, LOCK_EX | LOCK_NB);
  }
  // Waits, but not longer than the job. Errors: kCanceled.
  static Result<FileLock> take(const std::filesystem::path& path, bool shared, const JobContext& job) {
    while (true) {
      auto lock = open(path, O_RDWR | O_CREAT, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
      if (lock || lock.error().code != ErrorCode::kConflict) return lock;
      RETORT_CHECK(job.check(path.filename().string()));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  static Result<FileLock> open(const std::filesystem::path& path, int flags, int operation) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (descriptor < 0) return system_error(errno, path, ErrorCode::kWrite);
    int result;
    do {
      result = ::flock(descriptor, operation);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return FileLock(descriptor);
    const int error_number = errno;
    ::close(descriptor);
    if (error_number != EWOULDBLOCK) return system_error(error_number, path, ErrorCode::kWrite);
    return Error{.code = ErrorCode::kConflict, .file = path.string(), .found = "another process is using it"};
  }
  int descriptor_ = -1;
};

}  // namespace retort
