#include "core/formats/sampled_reads.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace retort::formats {
namespace {

void advise(std::span<const std::byte> pages, int advice) noexcept {
  // Memory that isn't mapped in whole pages, or not from a file, takes the hint or refuses it: both are fine.
  if (!pages.empty()) ::madvise(const_cast<std::byte*>(pages.data()), pages.size(), advice);
}

}  // namespace

SampledReads::SampledReads(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return;
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto before = reinterpret_cast<std::uintptr_t>(bytes.data()) % page;
  pages_ = {bytes.data() - before, bytes.size() + before};
  advise(pages_, MADV_RANDOM);
}

SampledReads::~SampledReads() { advise(pages_, MADV_NORMAL); }

}  // namespace retort::formats
