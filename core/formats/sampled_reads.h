// For reading a few values here and there of a mapped file: without it each of them makes the system read the megabytes
// around it, which for the samples of a 10 GB model took two seconds.
#pragma once

#include <cstddef>
#include <span>

namespace retort::formats {

// While it lives, pages of `bytes` are read one by one as they are touched. A hint: bytes in memory are as good. Any thread.
class SampledReads {
 public:
  explicit SampledReads(std::span<const std::byte> bytes) noexcept;
  ~SampledReads();
  SampledReads(const SampledReads&) = delete;
  SampledReads& operator=(const SampledReads&) = delete;

 private:
  std::span<const std::byte> pages_;   // whole pages that hold the bytes
};

}  // namespace retort::formats
