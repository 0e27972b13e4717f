// WriteBehind: bytes handed over are written by a thread of its own, so that the next are computed while the disk takes the last.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "core/base/files.h"
#include "core/base/job.h"

namespace retort {

struct TensorToWrite;

// A ring of buffers that are used again: what is computed is computed into them, and no page of memory is touched for the first
// time but once. Small pieces are collected into one write.
class WriteBehind {
 public:
  explicit WriteBehind(AtomicFile& file);
  ~WriteBehind();   // what is still waiting is dropped
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // The next `bytes` of the file, to be filled before the next call; waits for a free buffer. Errors: those of earlier writes,
  // kOutOfMemory.
  Result<std::span<std::byte>> room(std::size_t bytes);
  // Copies. Errors: those of room().
  Result<void> write(std::span<const std::byte> bytes);
  // Everything is with the file. Errors: those of the writes.
  Result<void> finish();

  static constexpr std::size_t kPiece = 4u << 20;   // what a buffer holds, and the best size to ask for
  static constexpr std::size_t kBuffers = 6;

 private:
  struct Buffer {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t capacity = 0, used = 0;
  };

  void run();
  void hand_over(std::unique_lock<std::mutex>& lock);

  AtomicFile& file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Buffer, kBuffers> ring_;
  std::size_t filled_ = 0, written_ = 0;   // buffers handed over and done with, ever; ring_[filled_ % kBuffers] is being filled
  std::optional<Error> error_;
  bool stop_ = false;
  std::thread thread_;
};

// A tensor's data, rows as they are made or the whole of it, `bytes` long; a stop is honoured within a large tensor.
// Errors: kBadShape (data of another size), kCanceled, those of the tensor's own functions and of the writes.
Result<void> write_tensor(WriteBehind& file, const std::filesystem::path& path, const TensorToWrite& tensor, std::uint64_t bytes,
                          const JobContext& job);

}  // namespace retort
