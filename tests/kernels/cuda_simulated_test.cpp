// The kernels of kernels/cuda, run thread by thread on the CPU, against the reference. Every case runs three times, with blocks,
// warps and threads in another order between barriers: a missing barrier shows as a difference, of a single bit too.
#include <QtTest>

#include <array>

#include "cuda_test_rows.h"
#include "kernels/cuda/simulator.h"

using namespace retort::cuda;

namespace {

// Address sanitizers make a fiber's every switch dear: there one order, which looks for what they find. Other builds look for the rest.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::array kOrders = {ThreadOrder::kShuffled};
#else
constexpr std::array kOrders = {ThreadOrder::kForward, ThreadOrder::kBackward, ThreadOrder::kShuffled};
#endif

}  // namespace

class CudaSimulatedTest : public QObject {
  Q_OBJECT
 private:
  std::vector<test::NamedCase> cases_ = test::all_cases(false);

 private slots:
  void kernels_data() {
    QTest::addColumn<int>("number");
    for (std::size_t i = 0; i < cases_.size(); ++i) QTest::newRow(cases_[i].name.c_str()) << static_cast<int>(i);
  }
  void kernels() {
#if defined(__SANITIZE_THREAD__)
    QSKIP("the simulated device's fibers are unknown to the thread sanitizer");
#endif
    QFETCH(int, number);
    Stream stream;
    std::uint64_t first = 0;
    for (const ThreadOrder order : kOrders) {
      set_thread_order(order, static_cast<std::uint32_t>(number) + 1);
      static_cast<void>(results_so_far());
      const std::string wrong = cases_[static_cast<std::size_t>(number)].run(stream);
      QVERIFY2(wrong.empty(), wrong.c_str());
      const std::uint64_t results = results_so_far();
      if (order == kOrders.front()) first = results;
      QVERIFY2(results == first, "another order of threads, other bits");
    }
  }
};

QTEST_APPLESS_MAIN(CudaSimulatedTest)
#include "cuda_simulated_test.moc"
