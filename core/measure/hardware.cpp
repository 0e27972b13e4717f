#include "core/measure/hardware.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "kernels/api/thread_pool.h"
#include "kernels/dispatch/ops.h"

namespace retort {
namespace {

std::string value_after(const char* path, std::string_view key, char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find(separator);
    if (at == std::string::npos) continue;
    const auto begin = line.find_first_not_of(" \t\"", at + 1);
    if (begin == std::string::npos) return {};
    return line.substr(begin, line.find_last_not_of(" \t\"") - begin + 1);
  }
  return {};
}

std::uint64_t meminfo(std::string_view key) {
  std::istringstream text(value_after("/proc/meminfo", key, ':'));
  std::uint64_t kilobytes = 0;
  text >> kilobytes;
  return kilobytes * 1024;
}

// A container's own limit, when it is below the machine's memory.
std::optional<std::uint64_t> read_number(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

template <class Body>
double best_rate(double work, int repeats, const Body& body) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, work / seconds);
  }
  return best;
}

}  // namespace

Hardware describe_hardware() {
  Hardware hardware;
  hardware.processor = value_after("/proc/cpuinfo", "model name", ':');
  hardware.features = kernels::cpu_features();
  hardware.cores = kernels::available_threads();
  hardware.memory_bytes = meminfo("MemTotal");
  hardware.free_memory_bytes = meminfo("MemAvailable");
  if (const auto limit = read_number("/sys/fs/cgroup/memory.max")) {
    const std::uint64_t used = read_number("/sys/fs/cgroup/memory.current").value_or(0);
    hardware.memory_bytes = std::min(hardware.memory_bytes, *limit);
    hardware.free_memory_bytes = std::min(hardware.free_memory_bytes, *limit > used ? *limit - used : 0);
  }
  utsname name{};
  ::uname(&name);
  hardware.system = value_after("/etc/os-release", "PRETTY_NAME", '=') + " · Linux " + name.release;
  return hardware;
}

MachineLimits measure_limits(int threads) {
  kernels::ThreadPool pool(threads);
  MachineLimits limits;
  // 512 MB is beyond any cache that one guest gets for itself; each tile is read once.
  constexpr std::size_t kTileFloats = 1u << 20;
  constexpr std::size_t kTiles = 128;
  std::vector<float> data(kTileFloats * kTiles, 1.0f);
  std::vector<float> sums(kTiles);
  limits.read_bytes_per_second = best_rate(static_cast<double>(data.size() * sizeof(float)), 4, [&] {
    pool.parallel_for(kTiles, [&](std::size_t tile, int) { sums[tile] = kernels::sum_floats(data.data() + tile * kTileFloats, kTileFloats); });
  });
  constexpr double kOperations = 4e8;
  const auto count = static_cast<std::size_t>(pool.threads());
  limits.f32_operations_per_second = best_rate(kOperations * static_cast<double>(count), 4, [&] {
    pool.parallel_for(count, [&](std::size_t tile, int) { sums[tile] = kernels::multiply_add_loop(kOperations); });
  });
  return limits;
}

}  // namespace retort
