// An input of the fuzzer as a file without a disk: readers take paths, and map what they open.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "fuzz_target.h"

namespace retort::fuzz {

class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    while (size > 0) {
      const ssize_t written = ::write(descriptor_, data, size);
      if (written <= 0) std::abort();
      data += written;
      size -= static_cast<std::size_t>(written);
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// Reads all that an opened checkpoint promises, so that a wrong view is found by the sanitizers.
inline unsigned touch(const Checkpoint& checkpoint) {
  unsigned sum = 0;
  for (const TensorEntry& tensor : checkpoint.tensors) {
    for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    if (!tensor.coded) continue;
    static_cast<void>(tensor.coded->check().ok());
    // Rows at both ends: a shape may promise more values than a fuzzer has time for.
    std::vector<float> row(static_cast<std::size_t>(std::min<std::int64_t>(tensor.columns(), 4096)));
    const auto columns = static_cast<std::int64_t>(row.size());
    for (const std::int64_t r : {std::int64_t{0}, tensor.rows() - 1})
      for (const std::int64_t c : {std::int64_t{0}, tensor.columns() - columns}) {
        tensor.coded->decode(r, 1, c, columns, row.data());
        sum += row[0] > 0 ? 1u : 0u;
      }
  }
  return sum;
}

}  // namespace retort::fuzz
