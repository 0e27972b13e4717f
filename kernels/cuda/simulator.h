// A block of threads on the CPU, for tests: every thread is a fiber that runs until it must wait for others. Which one
// goes first can be changed, so that a missing barrier shows as a different result. Shared memory starts as NaN
// patterns and is exactly as large as the launch says (the address sanitizer sees what lies beyond).
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "kernels/cuda/simt.h"

namespace retort::cuda {

struct Grid { int x = 1, y = 1, z = 1; };

class SimulatedBlock;

class SimulatedThread {
 public:
  SimulatedThread(SimulatedBlock& block, int index) : block_(block), index_(index) {}
  int index() const { return index_; }
  int count() const;
  int block_x() const;
  int block_y() const;
  int block_z() const;
  int grid_x() const;
  int lane() const { return index_ % kWarp; }
  int warp() const { return index_ / kWarp; }
  int warps() const { return count() / kWarp; }
  unsigned char* shared() const;
  void sync() const;
  float exchange(float v, int mask) const;
  std::uint64_t exchange(std::uint64_t v, int mask) const;
  int add_shared(int* counter, int value) const;
  void add_shared(std::uint64_t* counter, std::uint64_t value) const;
  void load_matrices(std::uint32_t (&out)[4], const void* row) const;
  void load_matrices_transposed(std::uint32_t (&out)[4], const void* row) const;
  void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) const;
  void copy16(void* to_shared, const void* from) const;
  void wait_copies() const;

 private:
  SimulatedBlock& block_;
  int index_;
  mutable std::vector<std::pair<void*, const void*>> copies_;   // done when waited for, and not before
};

// In which order the threads of a block run between two barriers, and the blocks of a grid. kShuffled: blocks, warps and
// threads by chance, each warp as far as it gets before another goes on.
enum class ThreadOrder : std::uint8_t { kForward, kBackward, kShuffled };
void set_thread_order(ThreadOrder order, std::uint32_t seed = 1);

// A number made of all that was copied out of device memory since the last call: equal when every bit was.
std::uint64_t results_so_far();

// Runs body(thread) for every thread of every block. Aborts with a message where threads wait for one another for ever,
// or the lanes of a warp meet in different operations: a bug of the body.
void simulate(Grid grid, int threads, std::size_t shared_bytes, const std::function<void(SimulatedThread&)>& body);

}  // namespace retort::cuda
