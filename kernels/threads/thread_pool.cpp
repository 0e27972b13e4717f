#include "kernels/api/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/onednn/prepare_thread.h"

namespace retort::kernels {
namespace {

// About 50 µs on current processors: longer than the serial gaps inside one token, shorter than anyone notices.
constexpr int kSpins = 1500;
constexpr std::size_t kMostTiles = 0xffff;

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// One step in a single word, so that a worker that comes late can never take a tile of a step that it has not read:
// generation (32 bits), number of tiles (16), next tile (16).
constexpr std::uint64_t make_ticket(std::uint32_t generation, std::size_t tiles) noexcept {
  return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint64_t>(tiles) << 16;
}
constexpr std::size_t tiles_of(std::uint64_t ticket) noexcept { return ticket >> 16 & 0xffff; }
constexpr std::size_t next_of(std::uint64_t ticket) noexcept { return ticket & 0xffff; }
constexpr bool has_work(std::uint64_t ticket) noexcept { return next_of(ticket) < tiles_of(ticket); }

}  // namespace

int available_threads() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

struct ThreadPool::State {
  alignas(64) std::atomic<std::uint64_t> ticket{0};
  alignas(64) std::atomic<std::size_t> done{0};
  alignas(64) std::atomic<int> sleepers{0};
  // The step's description; written only while no tile is open, so a worker that wins a tile has read the right one.
  std::atomic<Body> body{nullptr};
  std::atomic<void*> context{nullptr};
  std::atomic<std::size_t> first{0};
  std::uint32_t generation = 0;
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::thread> workers;

  // Takes tiles until none is left.
  void work(int worker) noexcept {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while (has_work(seen)) {
      const Body call = body.load(std::memory_order_relaxed);
      void* const with = context.load(std::memory_order_relaxed);
      const std::size_t base = first.load(std::memory_order_relaxed);
      if (!ticket.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      call(with, base + next_of(seen), worker);
      done.fetch_add(1, std::memory_order_release);
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  void worker_loop(int worker) noexcept {
    onednn::prepare_thread();
    while (!stop.load(std::memory_order_relaxed)) {
      work(worker);
      int spins = 0;
      while (spins < kSpins && !has_work(ticket.load(std::memory_order_relaxed)) &&
             !stop.load(std::memory_order_relaxed)) {
        pause();
        ++spins;
      }
      if (spins == kSpins) sleep();
    }
  }

  // Sequentially consistent on both sides: either the caller sees this sleeper, or the sleeper sees the new ticket.
  void sleep() noexcept {
    std::unique_lock lock(mutex);
    sleepers.fetch_add(1);
    wake.wait(lock, [this] { return stop.load() || has_work(ticket.load()); });
    sleepers.fetch_sub(1);
  }

  void run_some(std::size_t base, std::size_t tiles, Body call, void* with) noexcept {
    body.store(call, std::memory_order_relaxed);
    context.store(with, std::memory_order_relaxed);
    first.store(base, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
    ticket.store(make_ticket(++generation, tiles));
    if (sleepers.load() > 0) {
      const std::lock_guard lock(mutex);
      wake.notify_all();
    }
    work(0);
    for (int spins = 0; done.load(std::memory_order_acquire) != tiles; ++spins) {
      if (spins < kSpins) pause();
      else sched_yield();  // the last tile's worker may wait for this very core
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int count = threads > 0 ? threads : available_threads();
  for (int worker = 1; worker < count; ++worker)
    state_->workers.emplace_back([state = state_.get(), worker] { state->worker_loop(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop.store(true);
    state_->wake.notify_all();
  }
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const noexcept { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(std::size_t tiles, Body body, void* context) noexcept {
  thread_local const bool prepared = (onednn::prepare_thread(), true);
  static_cast<void>(prepared);
  if (tiles <= 1 || state_->workers.empty()) {
    for (std::size_t tile = 0; tile < tiles; ++tile) body(context, tile, 0);
    return;
  }
  for (std::size_t base = 0; base < tiles; base += kMostTiles)
    state_->run_some(base, std::min(kMostTiles, tiles - base), body, context);
}

}  // namespace retort::kernels
