// The simulated device finds what it is there to find: kernels with one mistake each give other bits in another order of threads,
// the same kernels without it don't.
#include <QtTest>
#include <set>

#include "kernels/cuda/launch.h"

using namespace retort::cuda;

namespace {

constexpr int kCount = 128, kBlocks = 5;

struct SwapArgs { std::int32_t* out; };   // [kBlocks, kCount]

// Every thread reads what the thread at the other end has put down: of its block, or of its warp.
template <bool kWhole, bool kWaits>
struct Swap {
  using Args = SwapArgs;
  static constexpr int kThreads = kCount;
  static constexpr std::size_t kShared = kCount * sizeof(std::int32_t);
  template <class Thread>
  static void run(const Thread& t, const Args& a) {
    auto* const room = reinterpret_cast<std::int32_t*>(t.shared());
    room[t.index()] = t.index();
    if (kWaits && kWhole) t.sync();
    if (kWaits && !kWhole) static_cast<void>(t.exchange(0.0f, 1));
    a.out[t.block_x() * kCount + t.index()] = room[kWhole ? kCount - 1 - t.index() : t.index() ^ (kWarp - 1)];
  }
};

// Shared memory is used again: for the sum of the lanes, then of the next ones.
template <bool kWaits>
struct Reuse {
  using Args = SwapArgs;
  static constexpr int kThreads = kCount;
  static constexpr std::size_t kShared = kCount / kWarp * sizeof(std::int32_t);
  template <class Thread>
  static void run(const Thread& t, const Args& a) {
    auto* const room = reinterpret_cast<std::int32_t*>(t.shared());
    std::int32_t sum = 0;
    for (int round = 1; round <= 2; ++round) {
      if (t.lane() == 0) room[t.warp()] = round * (t.warp() + 1);
      t.sync();
      for (int w = 0; w < t.warps(); ++w) sum += room[w];
      if (kWaits) t.sync();
    }
    a.out[t.block_x() * kCount + t.index()] = sum;
  }
};

// Blocks that write to one place.
template <bool kApart>
struct Last {
  using Args = SwapArgs;
  static constexpr int kThreads = kWarp;
  static constexpr std::size_t kShared = 0;
  template <class Thread>
  static void run(const Thread& t, const Args& a) {
    if (t.index() == 0) a.out[kApart ? t.block_x() : 0] = t.block_x();
  }
};

// Different results that three orders make.
template <class Body>
std::size_t different() {
  Stream stream;
  std::set<std::uint64_t> results;
  for (const ThreadOrder order : {ThreadOrder::kForward, ThreadOrder::kBackward, ThreadOrder::kShuffled}) {
    set_thread_order(order, 3);
    Memory memory;
    if (memory.allocate(kBlocks * kCount * sizeof(std::int32_t), "a test") != RETORT_OK || stream.clear(memory.data(), memory.bytes()) != RETORT_OK) return 0;
    launch<Body>(stream, {kBlocks}, {memory.as<std::int32_t>()});
    std::vector<std::int32_t> out(kBlocks * kCount);
    static_cast<void>(results_so_far());
    if (stream.copy_out(out.data(), memory.data(), memory.bytes()) != RETORT_OK) return 0;
    results.insert(results_so_far());
  }
  set_thread_order(ThreadOrder::kForward);
  return results.size();
}

}  // namespace

class CudaSimulatorTest : public QObject {
  Q_OBJECT
 private slots:
  void findsMistakes() {
#if defined(__SANITIZE_THREAD__)
    QSKIP("the simulated device's fibers are unknown to the thread sanitizer");
#endif
    QCOMPARE((different<Swap<true, true>>()), std::size_t{1});
    QVERIFY((different<Swap<true, false>>()) > 1);
    QCOMPARE((different<Swap<false, true>>()), std::size_t{1});
    QVERIFY((different<Swap<false, false>>()) > 1);
    QCOMPARE(different<Reuse<true>>(), std::size_t{1});
    QVERIFY(different<Reuse<false>>() > 1);
    QCOMPARE(different<Last<true>>(), std::size_t{1});
    QVERIFY(different<Last<false>>() > 1);
  }
};

QTEST_APPLESS_MAIN(CudaSimulatorTest)
#include "cuda_simulator_test.moc"
