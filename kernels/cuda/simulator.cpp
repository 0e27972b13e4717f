// The library's check of long jumps doesn't know other stacks.
#undef _FORTIFY_SOURCE
#include "kernels/cuda/simulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace retort::cuda {
namespace {

constexpr std::size_t kStack = 128 * 1024;
ThreadOrder g_order = ThreadOrder::kForward;
std::mt19937 g_chance(1);

// 0 … count - 1 in the order that is set.
std::vector<std::size_t> ordered(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (g_order == ThreadOrder::kBackward) std::reverse(order.begin(), order.end());
  if (g_order == ThreadOrder::kShuffled) std::shuffle(order.begin(), order.end(), g_chance);
  return order;
}

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "simulated kernel: %s\n", why);
  std::abort();
}

// What one lane brings to an operation of its warp.
struct Deposit {
  std::uint32_t words[6] = {};
  const void* pointer = nullptr;
  int operation = 0;
};

}  // namespace

class SimulatedBlock {
 public:
  SimulatedBlock(Grid grid, int threads, std::size_t shared_bytes, const std::function<void(SimulatedThread&)>& body)
      : grid_(grid), body_(body), fibers_(static_cast<std::size_t>(threads)),
        warps_(static_cast<std::size_t>(threads / kWarp)), deposits_(2 * static_cast<std::size_t>(threads)), shared_bytes_(shared_bytes),
        stacks_(new char[kStack * static_cast<std::size_t>(threads)]) {
    for (Fiber& fiber : fibers_) getcontext(&fiber.context);
  }

  void run(int x, int y, int z) {
    x_ = x, y_ = y, z_ = z;
    shared_.reset(new Bytes16[(shared_bytes_ + 15) / 16]);
    for (std::size_t i = 0; i < (shared_bytes_ + 15) / 16; ++i)
      for (std::uint32_t& word : shared_[i].word) word = 0xffffffffu;
    for (std::size_t i = 0; i < fibers_.size(); ++i) start(i);
    left_ = fibers_.size();
    block_ = {};
    std::fill(warps_.begin(), warps_.end(), Gathering{});
    while (left_ > 0)
      if (!(g_order == ThreadOrder::kShuffled ? run_warps() : run_once(0, ordered(fibers_.size())))) give_up(why_nothing_moves());
  }

  int count() const { return static_cast<int>(fibers_.size()); }

  // Waits until every thread of the block has come as often.
  void barrier(int index) { wait(fibers_[static_cast<std::size_t>(index)], block_, fibers_.size()); }

  // Puts down what this lane brings and waits until the whole warp has; then deposits of the warp can be read until the
  // operation after the next.
  const Deposit* meet(int index, const Deposit& mine) {
    Fiber& fiber = fibers_[static_cast<std::size_t>(index)];
    const std::size_t half = fiber.meetings++ % 2 * fibers_.size();
    deposits_[half + static_cast<std::size_t>(index)] = mine;
    wait(fiber, warps_[static_cast<std::size_t>(index / kWarp)], kWarp);
    const Deposit* const warp = deposits_.data() + half + static_cast<std::size_t>(index / kWarp * kWarp);
    for (int lane = 0; lane < kWarp; ++lane)
      if (warp[lane].operation != mine.operation) give_up("lanes of a warp meet in different operations");
    return warp;
  }

  Grid grid_;
  int x_ = 0, y_ = 0, z_ = 0;
  std::unique_ptr<Bytes16[]> shared_;

 private:
  // Threads that wait for one another: how many have come, and how often all had.
  struct Gathering { std::size_t come = 0, times = 0; };

  // Fibers begin by their context and go on by jumps, which unlike contexts cost no call of the system. The address sanitizer
  // wants to be told of every switch of stacks, and knows contexts only.
  struct Fiber {
    ucontext_t context;
#if !defined(__SANITIZE_ADDRESS__)
    jmp_buf jump;
    bool begun = false;
#endif
    SimulatedBlock* block = nullptr;
    bool done = false;
    const Gathering* waits_for = nullptr;
    std::size_t until = 0;      // it has gathered so often
    long meetings = 0;
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
#endif
  };

  // Each of the threads that may, up to where it waits next. Whether one did.
  bool run_once(std::size_t first, const std::vector<std::size_t>& order) {
    bool moved = false;
    for (const std::size_t i : order) {
      Fiber& fiber = fibers_[first + i];
      if (fiber.done || (fiber.waits_for && fiber.waits_for->times < fiber.until)) continue;
      fiber.waits_for = nullptr;
      moved = true;
      current_ = first + i;
      enter(fiber);
      if (fiber.done) --left_;
    }
    return moved;
  }

  bool run_warps() {
    bool moved = false;
    for (const std::size_t warp : ordered(warps_.size()))
      while (run_once(warp * kWarp, ordered(kWarp))) moved = true;
    return moved;
  }

  const char* why_nothing_moves() const {
    return left_ < fibers_.size() ? "a thread has returned that others wait for" : "threads wait for one another for ever";
  }

  void start(std::size_t i) {
    Fiber& fiber = fibers_[i];
    fiber.block = this;
    fiber.done = false;
    fiber.waits_for = nullptr;
    fiber.meetings = 0;
#if !defined(__SANITIZE_ADDRESS__)
    fiber.begun = false;
#endif
    fiber.context.uc_stack.ss_sp = stacks_.get() + i * kStack;
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    const auto at = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&SimulatedBlock::main), 2, static_cast<unsigned>(at >> 32),
                static_cast<unsigned>(at & 0xffffffffu));
  }

  static void main(unsigned high, unsigned low) {
    auto* const block = reinterpret_cast<SimulatedBlock*>(static_cast<std::uintptr_t>(high) << 32 | low);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &block->host_stack_, &block->host_stack_size_);
#endif
    const std::size_t me = block->current_;
    {
      SimulatedThread thread(*block, static_cast<int>(me));
      block->body_(thread);
    }
    Fiber& fiber = block->fibers_[me];
    fiber.done = true;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(nullptr, block->host_stack_, block->host_stack_size_);
    setcontext(&block->host_);
#else
    _longjmp(block->host_jump_, 1);
#endif
  }

  void enter(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fiber.context.uc_stack.ss_sp, kStack);
    swapcontext(&host_, &fiber.context);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    if (_setjmp(host_jump_) != 0) return;
    if (std::exchange(fiber.begun, true)) _longjmp(fiber.jump, 1);
    setcontext(&fiber.context);
#endif
  }

  void wait(Fiber& fiber, Gathering& gathering, std::size_t all) {
    fiber.waits_for = &gathering;
    fiber.until = gathering.times + 1;
    if (++gathering.come == all) {
      gathering.come = 0;
      ++gathering.times;
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&fiber.fake_stack, host_stack_, host_stack_size_);
    swapcontext(&fiber.context, &host_);
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &host_stack_, &host_stack_size_);
#else
    if (_setjmp(fiber.jump) == 0) _longjmp(host_jump_, 1);
#endif
  }

  const std::function<void(SimulatedThread&)>& body_;
  std::vector<Fiber> fibers_;
  std::size_t left_ = 0;                // that aren't done
  Gathering block_;
  std::vector<Gathering> warps_;
  std::vector<Deposit> deposits_;
  std::size_t shared_bytes_;
  std::unique_ptr<char[]> stacks_;
  std::size_t current_ = 0;
#if !defined(__SANITIZE_ADDRESS__)
  jmp_buf host_jump_;
#else
  ucontext_t host_;
  const void* host_stack_ = nullptr;
  std::size_t host_stack_size_ = 0;
#endif
};

int SimulatedThread::count() const { return block_.count(); }
int SimulatedThread::block_x() const { return block_.x_; }
int SimulatedThread::block_y() const { return block_.y_; }
int SimulatedThread::block_z() const { return block_.z_; }
int SimulatedThread::grid_x() const { return block_.grid_.x; }
unsigned char* SimulatedThread::shared() const { return reinterpret_cast<unsigned char*>(block_.shared_.get()); }
void SimulatedThread::sync() const { block_.barrier(index_); }
int SimulatedThread::add_shared(int* counter, int value) const {
  const int before = *counter;
  *counter += value;
  return before;
}

void SimulatedThread::add_shared(std::uint64_t* counter, std::uint64_t value) const { *counter += value; }

float SimulatedThread::exchange(float v, int mask) const {
  return bits_as<float>(static_cast<std::uint32_t>(exchange(std::uint64_t{bits_as<std::uint32_t>(v)}, mask)));
}
std::uint64_t SimulatedThread::exchange(std::uint64_t v, int mask) const {
  Deposit mine;
  mine.operation = 1000 + mask;
  memcpy(mine.words, &v, sizeof(v));
  memcpy(&v, block_.meet(index_, mine)[lane() ^ mask].words, sizeof(v));
  return v;
}

// Shared memory is read before the lanes go on, hence the second meeting: a lane may write there afterwards.
void SimulatedThread::load_matrices(std::uint32_t (&out)[4], const void* row) const {
  Deposit mine;
  mine.operation = 1;
  mine.pointer = row;
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) give_up("a matrix row doesn't lie on 16 bytes");
  const Deposit* const warp = block_.meet(index_, mine);
  for (int m = 0; m < 4; ++m)
    memcpy(&out[m], static_cast<const unsigned char*>(warp[8 * m + lane() / 4].pointer) + 4 * (lane() % 4), 4);
  mine.operation = 2;
  block_.meet(index_, mine);
}

void SimulatedThread::load_matrices_transposed(std::uint32_t (&out)[4], const void* row) const {
  Deposit mine;
  mine.operation = 3;
  mine.pointer = row;
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) give_up("a matrix row doesn't lie on 16 bytes");
  const Deposit* const warp = block_.meet(index_, mine);
  for (int m = 0; m < 4; ++m) {
    std::uint16_t pair[2];
    for (int i = 0; i < 2; ++i)
      memcpy(&pair[i], static_cast<const unsigned char*>(warp[8 * m + 2 * (lane() % 4) + i].pointer) + 2 * (lane() / 4), 2);
    out[m] = static_cast<std::uint32_t>(pair[0]) | static_cast<std::uint32_t>(pair[1]) << 16;
  }
  mine.operation = 4;
  block_.meet(index_, mine);
}

// Fragments of mma.m16n8k16 (PTX ISA 9.7.14): with g = lane / 4 and t = lane % 4, a[0], a[1], a[2], a[3] hold rows g, g + 8, g,
// g + 8 at columns 2t, 2t, 2t + 8, 2t + 8 (and the next); b0, b1 hold rows 2t, 2t + 8 (and the next) of column g; c holds
// (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
void SimulatedThread::multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) const {
  Deposit mine;
  mine.operation = 5;
  for (int i = 0; i < 4; ++i) mine.words[i] = a[i];
  mine.words[4] = b0;
  mine.words[5] = b1;
  const Deposit* const warp = block_.meet(index_, mine);
  const int g = lane() / 4, t = lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, column = 2 * t + i % 2;
    float sum = c[i];
    for (int k = 0; k < 16; ++k) {
      const std::uint32_t wa = warp[row % 8 * 4 + k % 8 / 2].words[row / 8 + k / 8 * 2];
      const std::uint32_t wb = warp[column * 4 + k % 8 / 2].words[4 + k / 8];
      sum += f16_to_float(static_cast<std::uint16_t>(wa >> 16 * (k % 2))) *
             f16_to_float(static_cast<std::uint16_t>(wb >> 16 * (k % 2)));
    }
    c[i] = sum;
  }
}

void SimulatedThread::copy16(void* to_shared, const void* from) const {
  if (reinterpret_cast<std::uintptr_t>(to_shared) % 16 != 0 || reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
    give_up("a copy of 16 bytes doesn't lie on 16 bytes");
  copies_.emplace_back(to_shared, from);
}
void SimulatedThread::wait_copies() const {
  for (const auto& [to, from] : copies_) memcpy(to, from, 16);
  copies_.clear();
}

void set_thread_order(ThreadOrder order, std::uint32_t seed) {
  g_order = order;
  g_chance.seed(seed);
}

void simulate(Grid grid, int threads, std::size_t shared_bytes, const std::function<void(SimulatedThread&)>& body) {
  if (threads % kWarp != 0 || threads > 1024) give_up("a block isn't made of whole warps, or of too many");
  if (shared_bytes > 48 * 1024) give_up("more shared memory than every device gives without asking");
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 || grid.z > 65535) give_up("a grid that no device starts");
  SimulatedBlock block(grid, threads, shared_bytes, body);
  const std::size_t across = static_cast<std::size_t>(grid.x), down = static_cast<std::size_t>(grid.y);
  for (const std::size_t i : ordered(across * down * static_cast<std::size_t>(grid.z)))
    block.run(static_cast<int>(i % across), static_cast<int>(i / across % down), static_cast<int>(i / across / down));
}

}  // namespace retort::cuda
