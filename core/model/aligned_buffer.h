// Memory for values and caches: aligned for every kernel, not cleared, so that untouched pages cost nothing.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

#include "core/base/result.h"

namespace retort {

class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  AlignedBuffer() = default;
  // Errors: kOutOfMemory.
  static Result<AlignedBuffer> allocate(std::size_t bytes, std::string_view purpose) {
    AlignedBuffer buffer;
    const std::size_t rounded = rounded_size(bytes);
    if (rounded < bytes || rounded > (std::size_t{1} << 48)) return out_of_memory(bytes, purpose);
    buffer.data_.reset(std::aligned_alloc(kAlignment, rounded));
    if (!buffer.data_) return out_of_memory(bytes, purpose);
    buffer.size_ = rounded;
    return buffer;
  }
  static std::size_t rounded_size(std::size_t bytes) noexcept {
    return (bytes / kAlignment + (bytes % kAlignment != 0) + (bytes == 0)) * kAlignment;
  }

  template <class T>
  T* as() const noexcept { return static_cast<T*>(data_.get()); }
  std::size_t size() const noexcept { return size_; }

 private:
  static Error out_of_memory(std::size_t bytes, std::string_view purpose) {
    return Error{.code = ErrorCode::kOutOfMemory, .place = std::string(purpose),
                 .expected = std::to_string(bytes) + " bytes"};
  }
  struct Free {
    void operator()(void* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace retort
