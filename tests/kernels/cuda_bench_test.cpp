// The device's benchmark at small shapes on the simulated device: every row runs and says something, so that it is there for the
// first who has a device. Its times mean nothing here.
#include <QtTest>

#include "bench/cuda_kernel_rows.h"
#include "bench/cuda_model_rows.h"

using namespace retort::cuda;

class CudaBenchTest : public QObject {
  Q_OBJECT
 private slots:
  void everyRowRuns() {
#if defined(__SANITIZE_THREAD__)
    QSKIP("the simulated device's fibers are unknown to the thread sanitizer");
#elif defined(__SANITIZE_ADDRESS__)
    QSKIP("minutes under this sanitizer, and the same kernels as in cuda_simulated_test");
#endif
    bench::Bench b{bench::Shape::small()};
    QVERIFY(b.open(0));
    QVERIFY(b.copy_limit > 0 && b.product_limit > 0);
    bench::kernel_rows(b);
    QVERIFY(!b.failed);
    const std::size_t kernels = b.figures.size();
    QCOMPARE(kernels, std::size_t{7 * 4 + 6 * 2 + 3 * 2 + 3 + 2 * 4 + 2 * 4});
    bench::model_rows(b);
    QVERIFY(!b.failed);
    QCOMPARE(b.figures.size() - kernels, std::size_t{3 * 4});
    for (const bench::Figure& f : b.figures) {
      QVERIFY2(f.seconds > 0 && f.seconds < INFINITY, f.name.c_str());
      QVERIFY2(f.bytes > 0 || f.operations > 0, f.name.c_str());
    }
  }

  // What the figures are reckoned with.
  void sevenBillionWeights() {
    const bench::LlamaPlan plan(bench::Shape{}, RETORT_TYPE_F16, Type::kF16, 1);
    QVERIFY(check_plan(plan.view()) == RETORT_OK);
    // Mistral 7B's products: 32 layers of 218,103,808 weights and the head.
    QCOMPARE(plan.linear_operations(), 2.0 * (32.0 * 218103808 + 32000.0 * 4096));
    QCOMPARE(plan.linear_bytes(), plan.linear_operations());
  }
};

QTEST_APPLESS_MAIN(CudaBenchTest)
#include "cuda_bench_test.moc"
