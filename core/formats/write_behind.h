// WriteBehind: bytes handed over are written by a thread of its own, so that the next tensor is computed while the disk takes the last.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/base/files.h"

namespace retort {

class WriteBehind {
 public:
  explicit WriteBehind(AtomicFile& file);
  ~WriteBehind();   // what is still waiting is dropped
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Copies; waits while more than kMostWaiting bytes are on their way. Errors: those of an earlier write.
  Result<void> write(std::span<const std::byte> bytes);
  // Everything is with the file. Errors: those of the writes.
  Result<void> finish();

  static constexpr std::size_t kMostWaiting = 32u << 20;

 private:
  void run();

  AtomicFile& file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<std::byte>> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::optional<Error> error_;
  bool writing_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace retort
