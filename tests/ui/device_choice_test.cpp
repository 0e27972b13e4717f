// GPUs in the window: Hardware lists what the worker says, its choice reaches the study, and figures of both devices stand side
// by side.
#include <QComboBox>
#include <QLabel>
#include <QSignalSpy>
#include <QTest>

#include "synthetic_study.h"
#include "ui/frame/hardware_popup.h"
#include "ui/models/measures.h"
#include "ui/widgets/facts.h"

using namespace retort;
using namespace retort::ui;

namespace {

DeviceList two_devices() {
  DeviceList list;
  list.devices.push_back({.backend = "cuda:0", .name = "Good card", .compute = "9.0", .multiprocessors = 1, .memory_bytes = 8'000'000'000, .free_memory_bytes = 0, .memory_bandwidth = 0, .reason = ""});
  list.devices.push_back({.backend = "cuda:1", .name = "Old card", .compute = "5.0", .multiprocessors = 1, .memory_bytes = 2'000'000'000, .free_memory_bytes = 0, .memory_bandwidth = 0, .reason = "too old"});
  return list;
}

}  // namespace

class DeviceChoiceTest : public QObject {
  Q_OBJECT

 private slots:
  void hardware_offers_the_usable_ones() {
    CoreApi api;
    api.listDevices = &two_devices;
    QWidget window;
    HardwarePopup popup(api, &window);
    popup.setStudy(std::make_shared<const StudySnapshot>(test::syntheticSnapshot()));
    popup.openBelow(&window);
    auto* choice = popup.findChild<QComboBox*>();
    QVERIFY(choice);
    QTRY_COMPARE(choice->count(), 2);   // the processor only, and the good card
    QVERIFY(choice->itemText(1).contains(QStringLiteral("Good card")));
    QCOMPARE(choice->currentIndex(), 0);
    QSignalSpy chosen(&popup, &HardwarePopup::deviceChosen);
    emit choice->activated(1);
    QCOMPARE(chosen.size(), 1);
    QCOMPARE(chosen.front().front().toString(), QStringLiteral("cuda:0"));
    StudySnapshot on = test::syntheticSnapshot();
    on.second_device = "cuda:0";
    popup.setStudy(std::make_shared<const StudySnapshot>(on));
    QCOMPARE(choice->currentIndex(), 1);
    bool listed = false;
    for (const FactGrid* facts : popup.findChildren<FactGrid*>()) listed = listed || facts->text().contains(QStringLiteral("Old card · not used: too old"));
    QVERIFY(listed);
  }

  void without_one_the_reason_is_shown() {
    CoreApi api;
    api.listDevices = [] {
      DeviceList list;
      list.reason = "no driver here";
      return list;
    };
    QWidget window;
    HardwarePopup popup(api, &window);
    popup.openBelow(&window);
    const auto says = [&] {
      for (const QLabel* label : popup.findChildren<QLabel*>())
        if (label->text().contains(QStringLiteral("no driver here"))) return true;
      return false;
    };
    QTRY_VERIFY(says());
    QVERIFY(!popup.findChild<QComboBox*>()->isVisible());
  }

  void both_devices_figures() {
    StudySnapshot study = test::syntheticSnapshot();
    QVERIFY(!isMeasured(study, measure(QStringLiteral("gpu-decode"))));
    BenchResult bench;
    bench.backend = "cuda:0";
    bench.decode_tokens_per_second = 500;
    bench.p50 = 0.002;
    bench.memory = {100'000'000, 20'000'000, 3'000'000};
    bench.joules_per_token = 0.25;
    CandidateInfo& candidate = study.candidates[1];
    candidate.device_bench = bench;
    QVERIFY(isMeasured(study, measure(QStringLiteral("gpu-decode"))));
    QCOMPARE(measure(QStringLiteral("gpu-decode")).figure(candidate)->value, 500.0);
    QCOMPARE(measure(QStringLiteral("gpu-memory")).figure(candidate)->value, 123'000'000.0);
    QCOMPARE(measureText(measure(QStringLiteral("gpu-energy")), candidate), QStringLiteral("250"));
    QVERIFY(measure(QStringLiteral("decode")).figure(candidate)->value != 500.0);
  }
};

QTEST_MAIN(DeviceChoiceTest)
#include "device_choice_test.moc"
