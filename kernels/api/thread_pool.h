// The one thread pool of the program: it spins briefly, then blocks, so that short parallel steps start at once and an
// idle program costs nothing. Work is cut into tiles by the caller, never by the number of threads, so results do
// not depend on it.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace retort::kernels {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 0 means all cores of this process.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const noexcept;

  // Calls body(context, tile, worker) for tile 0 … tiles-1 and returns when all are done. Tiles are taken in order by
  // whoever is free; worker is 0 … threads()-1, 0 being the caller. Not re-entrant; one caller at a time.
  using Body = void (*)(void* context, std::size_t tile, int worker);
  void run(std::size_t tiles, Body body, void* context) noexcept;

  template <class F>
  void parallel_for(std::size_t tiles, F&& f) noexcept {
    run(tiles, [](void* context, std::size_t tile, int worker) { (*static_cast<std::remove_reference_t<F>*>(context))(tile, worker); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Cores that this process may use.
int available_threads() noexcept;

}  // namespace retort::kernels
