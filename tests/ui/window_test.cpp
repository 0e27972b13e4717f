// The real main window, offscreen, on a synthetic study: pages, keys, selection, edits, undo, errors, a run from start
// to stop, accessible names.
#include <QAccessible>
#include <QDockWidget>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QtTest>

#include "own_settings.h"
#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/frame/command_palette.h"
#include "ui/frame/rail.h"
#include "ui/main_window.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/theme.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

class WindowTest : public QObject {
  Q_OBJECT

  struct Fixture {
    std::shared_ptr<test::SyntheticStudy> data = std::make_shared<test::SyntheticStudy>();
    CoreApi api;
    StudyService study;
    ModelService model;
    MainWindow window;
    explicit Fixture(int steps = 50, bool open = true)
        : api(test::syntheticApi(data, steps)), study(api), model(api), window(study, model) {
      window.show();
      window.activateWindow();
      (void)QTest::qWaitForWindowActive(&window);   // shortcuts belong to the active window
      if (!open) return;
      study.openStudy(QStringLiteral("/tmp/synthetic.retort"));
      if (!QTest::qWaitFor([this] { return study.snapshot() != nullptr; })) QFAIL("the study did not open");
    }
  };

  test::OwnSettings m_settings;

 private slots:
  void startsOnTheStartPage() {
    QElapsedTimer clock;
    clock.start();
    Fixture f(50, false);
    QVERIFY(QTest::qWaitForWindowExposed(&f.window));
    qInfo("window made and exposed in %lld ms", static_cast<long long>(clock.elapsed()));
    QVERIFY(f.window.currentPage().isEmpty());
    QVERIFY(!f.window.actions().action(QStringLiteral("run.start"))->isEnabled());
  }

  void everyActionHasItsOwnKeyAndName() {
    Fixture f;
    for (const PageEntry& page : f.window.pages()) f.window.showPage(page.id);
    QCOMPARE(f.window.actions().conflicts(), QStringList());
    for (const QAction* action : f.window.actions().actions()) {
      QVERIFY(!action->text().isEmpty());
      QVERIFY(!ActionRegistry::group(action).isEmpty());
    }
  }

  void keysSwitchPages() {
    Fixture f;
    for (std::size_t i = 0; i < f.window.pages().size(); ++i) {
      QTest::keyClick(&f.window, static_cast<Qt::Key>(Qt::Key_1 + static_cast<int>(i)), Qt::ControlModifier);
      QTRY_COMPARE(f.window.currentPage(), f.window.pages()[i].id);
    }
    // The second visit is what a person feels.
    for (const PageEntry& page : f.window.pages()) {
      QElapsedTimer clock;
      clock.start();
      f.window.showPage(page.id);
      f.window.grab();
      qInfo("%s shown and painted in %lld ms", qPrintable(page.id), static_cast<long long>(clock.elapsed()));
    }
  }

  // Whatever takes the keyboard says what it is.
  void everythingHasAnAccessibleName() {
    Fixture f;
    for (const PageEntry& page : f.window.pages()) f.window.showPage(page.id);
    QStringList nameless;
    for (QWidget* widget : f.window.findChildren<QWidget*>()) {
      // Lists of combo boxes speak through their box; a notice's button has no text until it is shown.
      if (widget->inherits("QComboBoxListView") || !widget->isVisibleTo(widget->parentWidget())) continue;
      if (widget->focusPolicy() == Qt::NoFocus || widget->inherits("QLabel") || widget->inherits("QTabBar") || widget->inherits("QScrollArea")) continue;
      if (widget->objectName().startsWith(QStringLiteral("qt_")) || widget->inherits("QAbstractScrollArea") == false) {
        if (!widget->inherits("QAbstractButton") && !widget->inherits("QLineEdit") && !widget->inherits("QComboBox") && !widget->inherits("QSlider")) continue;
      }
      if (widget->objectName().startsWith(QStringLiteral("qt_"))) continue;
      if (widget->parentWidget() && (widget->parentWidget()->inherits("QTabBar") || widget->parentWidget()->inherits("QLineEdit") || widget->parentWidget()->inherits("QDockWidget") || widget->parentWidget()->inherits("QTableView") || widget->parentWidget()->inherits("QComboBox"))) continue;
      const QAccessibleInterface* reader = QAccessible::queryAccessibleInterface(widget);
      const QString name = reader ? reader->text(QAccessible::Name) : widget->accessibleName();
      if (name.isEmpty()) nameless << QString::fromLatin1(widget->metaObject()->className()) + QLatin1Char(' ') + widget->objectName();
    }
    QVERIFY2(nameless.isEmpty(), qPrintable(nameless.join(QStringLiteral(", "))));
  }

  void paletteRunsAnAction() {
    Fixture f;
    f.window.actions().action(QStringLiteral("app.palette"))->trigger();
    auto* palette = f.window.findChild<CommandPalette*>();
    QVERIFY(palette && palette->isVisible());
    QTest::keyClicks(palette->input(), QStringLiteral("page recipes"));
    QTest::keyClick(palette->input(), Qt::Key_Return);
    QVERIFY(!palette->isVisible());
    QCOMPARE(f.window.currentPage(), QStringLiteral("recipes"));
  }

  void paletteFindsCandidates() {
    Fixture f;
    f.window.actions().action(QStringLiteral("app.palette"))->trigger();
    auto* palette = f.window.findChild<CommandPalette*>();
    QTest::keyClicks(palette->input(), QStringLiteral("candidate Q2_K"));
    QTest::keyClick(palette->input(), Qt::Key_Return);
    QCOMPARE(f.window.selection().candidate(), std::optional<std::int64_t>(4));
  }

  void railShowsWhereWorkStands() {
    Fixture f;
    auto* rail = f.window.findChild<Rail*>();
    QVERIFY(rail);
    QCOMPARE(rail->button(0)->status().state, PageState::Ready);
    f.data->progress([](StudySnapshot& s) { s.data[1].overlap_warning = "evaluation shares 3 % of its words with calibration"; });
    f.study.setContext(1024);   // any edit brings a new snapshot
    QTRY_COMPARE(rail->button(1)->status().state, PageState::Attention);
    QVERIFY(rail->button(1)->accessibleName().contains(QStringLiteral("attention")));
  }

  void editsAndUndo() {
    Fixture f;
    f.window.showPage(QStringLiteral("recipes"));
    Recipe recipe;
    recipe.name = "mine";
    recipe.stages.emplace_back().level = "Q6_K";
    f.study.addCandidate(recipe);
    QTRY_COMPARE(f.study.snapshot()->candidates.size(), std::size_t(5));
    QTRY_VERIFY(f.study.canUndo());
    QVERIFY(f.window.actions().action(QStringLiteral("edit.undo"))->isEnabled());
    f.window.actions().action(QStringLiteral("edit.undo"))->trigger();
    QTRY_COMPARE(f.study.snapshot()->candidates.size(), std::size_t(4));
    f.study.removeCandidate(99);   // the synthetic study takes it; one that is not there changes nothing
    QTRY_COMPARE(f.study.snapshot()->candidates.size(), std::size_t(4));
  }

  // Many edits quickly: order is kept, and the last snapshot is the last state.
  void editsKeepTheirOrder() {
    Fixture f;
    for (int i = 1; i <= 100; ++i) f.study.setContext(i);
    QTRY_COMPARE(f.study.snapshot()->context, std::int64_t(100));
  }

  void errorsStandInTheWindow() {
    Fixture f;
    QSignalSpy failed(&f.study, &StudyService::failed);
    f.study.setChosen(99, true);
    QTRY_COMPARE(failed.count(), 1);
    const auto failure = failed[0][0].value<Failure>();
    QVERIFY(failure.text.contains(QStringLiteral("does not exist")));
    QVERIFY(!failure.remedy.isEmpty());
    f.study.openStudy(QStringLiteral("/tmp/missing.retort"));
    QTRY_COMPARE(failed.count(), 2);
    QVERIFY(f.study.snapshot());   // the open study stays
  }

  // Of two requests to open, the newest wins, whichever is ready first.
  void theNewestOpenWins() {
    auto first = std::make_shared<test::SyntheticStudy>();
    auto second = std::make_shared<test::SyntheticStudy>();
    second->progress([](StudySnapshot& s) { s.name = "second"; });
    CoreApi api = test::syntheticApi(first);
    api.openStudy = [=](const std::filesystem::path& path) -> Result<std::shared_ptr<Study>> {
      if (path.filename() == "slow.retort") {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return std::shared_ptr<Study>(first);
      }
      return std::shared_ptr<Study>(second);
    };
    StudyService study(api);
    study.openStudy(QStringLiteral("/tmp/slow.retort"));
    study.openStudy(QStringLiteral("/tmp/fast.retort"));
    QTRY_VERIFY(study.snapshot());
    QTest::qWait(400);
    QCOMPARE(study.snapshot()->name, std::string("second"));
  }

  void runPauseStop() {
    Fixture f(500);
    f.window.showPage(QStringLiteral("run"));
    QSignalSpy finished(&f.study, &StudyService::runFinished);
    f.window.actions().action(QStringLiteral("run.start"))->trigger();
    QVERIFY(f.study.isRunning());
    QTRY_VERIFY(f.study.snapshot()->running);
    f.study.pause(true);
    QVERIFY(f.study.isPaused());
    QTest::qWait(100);
    f.study.run();   // run goes on when paused
    QVERIFY(!f.study.isPaused());
    QElapsedTimer clock;
    clock.start();
    f.window.actions().action(QStringLiteral("run.stop"))->trigger();
    QTRY_COMPARE(finished.count(), 1);
    QVERIFY2(clock.elapsed() < 500, "stop is honoured within half a second");
    QCOMPARE(finished[0][0].toBool(), false);
    QVERIFY(!f.study.isRunning());
  }

  // Closing in the middle of a run: no crash, no wait beyond the stop.
  void closingDuringARun() {
    auto f = std::make_unique<Fixture>(5000);
    f->study.run();
    QTRY_VERIFY(f->study.snapshot()->running);
    QElapsedTimer clock;
    clock.start();
    f.reset();
    QVERIFY(clock.elapsed() < 1000);
  }

  void selectionFollowsAndForgets() {
    Fixture f;
    f.window.showPage(QStringLiteral("recipes"));
    f.window.selection().setCandidate(3);
    f.window.selection().togglePin(3);
    QCOMPARE(f.window.selection().pinned(), QList<std::int64_t>{3});
    f.study.removeCandidate(3);
    QTRY_VERIFY(f.window.selection().pinned().isEmpty());
    QVERIFY(f.window.selection().candidate() != std::optional<std::int64_t>(3));
  }

  void themeFollowsThePalette() {
    Fixture f;
    Theme& theme = Theme::instance();
    const QPalette before = QApplication::palette();
    QPalette dark;
    dark.setColor(QPalette::Window, QColor(30, 30, 30));
    dark.setColor(QPalette::WindowText, Qt::white);
    QSignalSpy changed(&theme, &Theme::changed);
    QApplication::setPalette(dark);
    QTRY_VERIFY(changed.count() > 0);
    QVERIFY(theme.isDark());
    QVERIFY(f.window.palette().color(QPalette::Base).lightnessF() < 0.3f);
    QApplication::setPalette(before);
    QTRY_VERIFY(!theme.isDark());
  }

  // Text and its muted form are readable on every surface: WCAG AA.
  void contrast() {
    const auto luminance = [](const QColor& c) {
      const auto channel = [](double v) { return v <= 0.03928 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
      return 0.2126 * channel(c.redF()) + 0.7152 * channel(c.greenF()) + 0.0722 * channel(c.blueF());
    };
    for (const Theme::Mode mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
      Theme::instance().setMode(mode);
      for (const Role back : {Role::Surface, Role::Window, Role::Raised})
        for (const Role ink : {Role::Text, Role::Muted, Role::Accent, Role::Good, Role::Warn, Role::Bad}) {
          const double a = luminance(color(ink)), b = luminance(color(back));
          const double ratio = (std::max(a, b) + 0.05) / (std::min(a, b) + 0.05);
          QVERIFY2(ratio >= (ink == Role::Text ? 7.0 : 4.2), qPrintable(QStringLiteral("mode %1 role %2 on %3: %4").arg(int(mode)).arg(int(ink)).arg(int(back)).arg(ratio)));
        }
    }
    Theme::instance().setMode(Theme::Mode::System);
  }

  void settingsTableIsComplete() {
    QCOMPARE(settingTable().size(), static_cast<qsizetype>(Setting::Count));
    QSet<QString> keys;
    for (qsizetype i = 0; i < settingTable().size(); ++i) {
      QCOMPARE(static_cast<qsizetype>(settingTable()[i].setting), i);
      keys << QString::fromLatin1(settingTable()[i].key);
    }
    QCOMPARE(keys.size(), settingTable().size());
  }

  void layoutComesBack() {
    Fixture f;
    auto* dock = f.window.findChild<QDockWidget*>(QStringLiteral("inspector"));
    QVERIFY(dock && dock->isVisible());
    f.window.actions().action(QStringLiteral("view.inspector"))->trigger();
    QVERIFY(!dock->isVisible());
    f.window.actions().action(QStringLiteral("view.default_layout"))->trigger();
    QVERIFY(dock->isVisible());
  }
};

QTEST_MAIN(WindowTest)
#include "window_test.moc"
