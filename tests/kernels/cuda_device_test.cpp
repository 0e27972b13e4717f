// The kernels of kernels/cuda on a real device, against the reference: the cases of the simulated one, and larger shapes.
#include <QtTest>

#ifdef RETORT_HAVE_CUDA
#include "cuda_test_rows.h"

using namespace retort::cuda;
#endif

class CudaDeviceTest : public QObject {
  Q_OBJECT
#ifdef RETORT_HAVE_CUDA
 private:
  std::vector<test::NamedCase> cases_;

 private slots:
  void kernels_data() {
    QTest::addColumn<int>("number");
    cases_ = test::all_cases(false);
    for (test::NamedCase& c : test::all_cases(true)) {
      c.name = "large: " + c.name;
      cases_.push_back(std::move(c));
    }
    for (std::size_t i = 0; i < cases_.size(); ++i) QTest::newRow(cases_[i].name.c_str()) << static_cast<int>(i);
  }
  void kernels() {
    int devices = 0;
    std::string driver, reason;
    QCOMPARE(count_devices(devices, driver, reason), RETORT_OK);
    if (devices == 0) QSKIP(("no device: " + reason).c_str());
    retort_device_info info{};
    QVERIFY2(describe_device(0, info) == RETORT_OK, last_failure().c_str());
    if (!info.usable) QSKIP((std::string(info.name) + ": " + info.reason).c_str());
    QVERIFY2(use_device(0) == RETORT_OK, last_failure().c_str());
    Stream stream;
    QVERIFY2(stream.open() == RETORT_OK, last_failure().c_str());
    QFETCH(int, number);
    const std::string wrong = cases_[static_cast<std::size_t>(number)].run(stream);
    QVERIFY2(wrong.empty(), wrong.c_str());
    QVERIFY2(stream.wait() == RETORT_OK, last_failure().c_str());
  }
#else
 private slots:
  void kernels() { QSKIP("built without nvcc"); }
#endif
};

QTEST_APPLESS_MAIN(CudaDeviceTest)
#include "cuda_device_test.moc"
