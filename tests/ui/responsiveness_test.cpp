// The window never stalls: while a run reports and other threads keep every core busy, no event takes more than 16 ms
// of the window thread's own processor time. Wall gaps between events are printed, not judged: the machine is shared.
#include <time.h>

#include <QApplication>
#include <QSettings>
#include <QTemporaryDir>
#include <QtTest>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "own_settings.h"
#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/main_window.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"

using namespace retort;
using namespace retort::ui;

// Measures every outermost event by the thread's own processor time.
class MeasuringApplication : public QApplication {
 public:
  using QApplication::QApplication;
  struct Slow {
    double milliseconds;
    QString what;
  };
  bool notify(QObject* receiver, QEvent* event) override {
    if (!m_on || m_depth > 0) return QApplication::notify(receiver, event);
    ++m_depth;
    const auto wall = std::chrono::steady_clock::now();
    if (m_last.time_since_epoch().count() > 0) m_gaps.push_back(std::chrono::duration<double, std::milli>(wall - m_last).count());
    // Once the event is over, its receiver may be gone.
    const QString inside = receiver->parent() ? QStringLiteral(" in %1").arg(QLatin1String(receiver->parent()->metaObject()->className())) : QString();
    const QString what = QStringLiteral("%1 to %2%3").arg(QMetaEnum::fromType<QEvent::Type>().valueToKey(event->type()), QLatin1String(receiver->metaObject()->className()), inside);
    const double before = cpu();
    const bool done = QApplication::notify(receiver, event);
    const double spent = cpu() - before;
    if (spent > m_worst.milliseconds) m_worst = {spent, what};
    m_byKind[what] = std::max(m_byKind[what], spent);
    ++m_events;
    m_last = std::chrono::steady_clock::now();
    --m_depth;
    return done;
  }
  void measure(bool on) {
    m_on = on;
    m_last = {};
  }
  void reset() {
    m_worst = {};
    m_byKind.clear();
    m_gaps.clear();
    m_events = 0;
  }
  const Slow& worst() const { return m_worst; }
  std::int64_t events() const { return m_events; }
  // The costliest of each kind, costliest first.
  std::vector<Slow> costliest(std::size_t count) const {
    std::vector<Slow> all;
    for (auto at = m_byKind.begin(); at != m_byKind.end(); ++at) all.push_back({at.value(), at.key()});
    std::sort(all.begin(), all.end(), [](const Slow& a, const Slow& b) { return a.milliseconds > b.milliseconds; });
    all.resize(std::min(all.size(), count));
    return all;
  }
  std::vector<double> gaps() const { return m_gaps; }

 private:
  static double cpu() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  }
  bool m_on = false;
  int m_depth = 0;
  Slow m_worst{};
  QHash<QString, double> m_byKind;
  std::vector<double> m_gaps;
  std::int64_t m_events = 0;
  std::chrono::steady_clock::time_point m_last{};
};

class ResponsivenessTest : public QObject {
  Q_OBJECT
  test::OwnSettings m_settings;

 private slots:
  // A host that takes a virtual machine's processor away for some ms is counted as the thread's own time by its clock. A stall of
  // the window's making comes back in every run, so only what does fails.
  void noEventStallsDuringARun() {
    constexpr int kRuns = 3;
    constexpr double kMost = 16;
    double worst = INFINITY;
    for (int run = 0; run < kRuns && worst > kMost; ++run) {
      double of_run = INFINITY;
      oneRun(of_run);
      if (QTest::currentTestFailed()) return;
      worst = std::min(worst, of_run);
    }
    QVERIFY2(worst <= kMost, qPrintable(static_cast<MeasuringApplication*>(qApp)->worst().what));
  }

 private:
  void oneRun(double& worst) {
    auto* app = static_cast<MeasuringApplication*>(qApp);
    auto data = std::make_shared<test::SyntheticStudy>();
    const CoreApi api = test::syntheticApi(data, 150);
    StudyService study(api);
    ModelService model(api);
    MainWindow window(study, model);
    window.resize(1280, 800);
    window.show();
    study.openStudy(QStringLiteral("/tmp/synthetic.retort"));
    QTRY_VERIFY(study.snapshot());
    for (const PageEntry& page : window.pages()) {
      window.showPage(page.id);
      QTest::qWait(20);
    }

    std::atomic<bool> stop{false};
    std::vector<std::thread> busy;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
      busy.emplace_back([&stop] {
        volatile double x = 1;
        while (!stop) x = x * 1.0000001;
      });
    app->reset();
    app->measure(true);
    study.run();
    int tick = 0;
    while (study.isRunning() && tick < 400) {
      const auto& pages = window.pages();
      const auto& page = pages[static_cast<std::size_t>(tick / 10) % pages.size()];
      if (tick % 10 == 0) window.actions().action(QStringLiteral("page.") + page.id)->trigger();
      if (tick % 7 == 0) window.selection().setCandidate(1 + tick / 7 % 4);
      QTest::qWait(20);
      ++tick;
    }
    app->measure(false);
    stop = true;
    for (std::thread& thread : busy) thread.join();

    std::vector<double> gaps = app->gaps();
    std::sort(gaps.begin(), gaps.end());
    QVERIFY(gaps.size() > 100);
    const auto at = [&](double q) { return gaps[static_cast<std::size_t>(q * static_cast<double>(gaps.size() - 1))]; };
    qInfo("%lld events; wall gaps between them: p50 %.2f ms, p99 %.2f ms, longest %.2f ms", static_cast<long long>(app->events()), at(0.5), at(0.99), gaps.back());
    for (const auto& slow : app->costliest(5)) qInfo("at most %.2f ms of the window thread: %s", slow.milliseconds, qPrintable(slow.what));
    worst = app->worst().milliseconds;
  }
};

int main(int argc, char** argv) {
  MeasuringApplication app(argc, argv);
  ResponsivenessTest test;
  return QTest::qExec(&test, argc, argv);
}
#include "responsiveness_test.moc"
