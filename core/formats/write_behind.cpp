#include "core/formats/write_behind.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/formats/byte_reader.h"
#include "core/formats/writers.h"
#include "kernels/api/tensor_type.h"

namespace retort {

WriteBehind::WriteBehind(AtomicFile& file) : file_(file), thread_([this] { run(); }) {}

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<std::span<std::byte>> WriteBehind::room(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  Buffer* buffer = &ring_[filled_ % kBuffers];
  // Only buffers that wait to be written are the thread's: the one in work is looked at here alone.
  if (buffer->used > 0 && buffer->used + bytes > buffer->capacity) {
    hand_over(lock);
    buffer = &ring_[filled_ % kBuffers];
  }
  if (error_) return Error(*error_);
  lock.unlock();
  if (buffer->capacity < bytes || !buffer->bytes) {
    const std::size_t capacity = std::max(bytes, kPiece);
    buffer->bytes.reset(new (std::nothrow) std::byte[capacity]);
    buffer->capacity = buffer->bytes ? capacity : 0;
    if (!buffer->bytes) return Error{.code = ErrorCode::kOutOfMemory, .expected = std::to_string(capacity) + " bytes"};
  }
  const std::span<std::byte> out(buffer->bytes.get() + buffer->used, bytes);
  buffer->used += bytes;
  return out;
}

Result<void> WriteBehind::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), kPiece));
    RETORT_TRY(const std::span<std::byte> out, room(piece.size()));
    std::memcpy(out.data(), piece.data(), piece.size());
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<void> WriteBehind::finish() {
  std::unique_lock lock(mutex_);
  if (ring_[filled_ % kBuffers].used > 0) hand_over(lock);
  changed_.wait(lock, [&] { return error_ || written_ == filled_; });
  if (error_) return Error(*error_);
  return {};
}

// The buffer in work to the thread; the next one is free afterwards, or an error is there.
void WriteBehind::hand_over(std::unique_lock<std::mutex>& lock) {
  ++filled_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return error_ || filled_ - written_ < kBuffers; });
}

void WriteBehind::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || written_ < filled_; });
    if (stop_) return;
    Buffer& buffer = ring_[written_ % kBuffers];
    lock.unlock();
    auto done = file_.write(std::span<const std::byte>(buffer.bytes.get(), buffer.used));
    lock.lock();
    buffer.used = 0;
    ++written_;
    if (!done.ok()) error_ = std::move(done).error();
    changed_.notify_all();
    if (error_) return;
  }
}

Result<void> write_tensor(WriteBehind& file, const std::filesystem::path& path, const TensorToWrite& tensor, std::uint64_t bytes,
                          const JobContext& job) {
  if (!tensor.rows) {
    RETORT_TRY(const auto data, tensor.data());
    if (data.size() != bytes)
      return Error{.code = ErrorCode::kBadShape, .file = path.string(), .place = "tensor " + formats::printable(tensor.name),
                   .expected = std::to_string(bytes) + " bytes", .found = std::to_string(data.size())};
    for (std::size_t at = 0; at < data.size(); at += WriteBehind::kPiece) {
      RETORT_CHECK(job.check(tensor.name));
      RETORT_CHECK(file.write(data.subspan(at, std::min(WriteBehind::kPiece, data.size() - at))));
    }
    return {};
  }
  const std::uint64_t row_bytes = kernels::row_bytes(tensor.type, static_cast<std::size_t>(tensor.shape.back()));
  const std::uint64_t rows = bytes / row_bytes, step = std::max<std::uint64_t>(1, WriteBehind::kPiece / row_bytes);
  for (std::uint64_t row = 0; row < rows; row += step) {
    RETORT_CHECK(job.check(tensor.name));
    RETORT_TRY(const auto out, file.room(static_cast<std::size_t>(std::min(step, rows - row) * row_bytes)));
    RETORT_CHECK(tensor.rows(static_cast<std::int64_t>(row), out));
  }
  return {};
}

}  // namespace retort
