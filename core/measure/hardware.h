// What this machine is and what it can do at most: figures are meaningless without it.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

struct Hardware {
  std::string processor;       // "AMD EPYC 7763 64-Core Processor"
  std::string features;        // "AVX2 FMA F16C"
  int cores = 0;               // that this process may use
  std::uint64_t memory_bytes = 0, free_memory_bytes = 0;   // cgroup limits respected
  std::string system;          // "Debian GNU/Linux 12 · Linux 6.1"
};
Hardware describe_hardware();

struct MachineLimits {
  double read_bytes_per_second = 0;      // best of several reads of a set larger than the caches
  double f32_operations_per_second = 0;  // best of several multiply-add loops, 2 operations each
};
// Takes about a second. threads 0: all cores.
MachineLimits measure_limits(int threads);

}  // namespace retort
