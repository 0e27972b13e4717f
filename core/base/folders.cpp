#include "core/base/folders.h"

#include <algorithm>
#include <vector>

namespace retort {

namespace fs = std::filesystem;

namespace {

// 0 for a file that is gone by now.
std::uint64_t bytes_of(const fs::path& file) noexcept {
  std::error_code failed;
  const std::uint64_t bytes = fs::file_size(file, failed);
  return failed ? 0 : bytes;
}

}  // namespace

std::uint64_t folder_bytes(const fs::path& folder) {
  std::error_code failed;
  std::uint64_t sum = 0;
  for (const auto& part : fs::directory_iterator(folder, failed))
    if (part.is_regular_file(failed)) sum += bytes_of(part.path());
  return sum;
}

void make_room_in(const fs::path& folder, const fs::path& kept, std::uint64_t room, std::uint64_t most) {
  std::error_code failed;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (const auto& part : fs::directory_iterator(folder, failed))
    if (part.is_regular_file(failed) && part.path() != kept) files.emplace_back(part.last_write_time(failed), part.path());
  std::sort(files.begin(), files.end());
  std::uint64_t others = 0;
  for (const auto& [time, path] : files) others += bytes_of(path);
  for (const auto& [time, path] : files) {
    if (others + room <= most) return;
    others -= bytes_of(path);
    fs::remove(path, failed);
  }
}

}  // namespace retort
