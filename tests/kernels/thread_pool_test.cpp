// The pool runs every tile exactly once, whatever the number of threads, again and again, and wakes from sleep.
#include <QtTest>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kernels/api/thread_pool.h"

using retort::kernels::ThreadPool;

class ThreadPoolTest : public QObject {
  Q_OBJECT

 private slots:
  void every_tile_once() {
    for (const int threads : {1, 2, 3, 8}) {
      ThreadPool pool(threads);
      QCOMPARE(pool.threads(), threads);
      for (const std::size_t tiles : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1000}, std::size_t{70000}}) {
        std::vector<std::atomic<int>> runs(tiles);
        std::atomic<bool> bad_worker{false};
        pool.parallel_for(tiles, [&](std::size_t tile, int worker) {
          runs[tile].fetch_add(1, std::memory_order_relaxed);
          if (worker < 0 || worker >= threads) bad_worker = true;
        });
        QVERIFY(!bad_worker);
        for (const auto& count : runs) QCOMPARE(count.load(), 1);
      }
    }
  }

  // What a tile wrote is seen by the caller without further synchronisation, over many short steps.
  void many_short_steps() {
    ThreadPool pool(4);
    std::vector<long> sums(64, 0);
    for (int step = 0; step < 20000; ++step)
      pool.parallel_for(sums.size(), [&](std::size_t tile, int) { sums[tile] += step; });
    for (const long sum : sums) QCOMPARE(sum, 20000L * 19999 / 2);
  }

  void wakes_from_sleep() {
    ThreadPool pool(2);
    for (int round = 0; round < 5; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      std::atomic<int> count{0};
      pool.parallel_for(100, [&](std::size_t, int) { count.fetch_add(1); });
      QCOMPARE(count.load(), 100);
    }
  }
};

QTEST_APPLESS_MAIN(ThreadPoolTest)
#include "thread_pool_test.moc"
