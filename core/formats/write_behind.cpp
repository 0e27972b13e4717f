#include "core/formats/write_behind.h"

#include <utility>

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

Result<void> WriteBehind::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return error_ || waiting_.empty() || waiting_bytes_ + copy.size() <= kMostWaiting; });
  if (error_) return Error(*error_);
  waiting_bytes_ += copy.size();
  waiting_.push_back(std::move(copy));
  changed_.notify_all();
  return {};
}

Result<void> WriteBehind::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return error_ || (waiting_.empty() && !writing_); });
  if (error_) return Error(*error_);
  return {};
}

void WriteBehind::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
    if (stop_) return;
    const std::vector<std::byte> bytes = std::move(waiting_.front());
    waiting_.pop_front();
    writing_ = true;
    lock.unlock();
    auto written = file_.write(bytes);
    lock.lock();
    writing_ = false;
    waiting_bytes_ -= bytes.size();
    if (!written.ok()) error_ = std::move(written).error();
    changed_.notify_all();
    if (error_) return;
  }
}

}  // namespace retort
