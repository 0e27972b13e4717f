// Students in the window: curves and staircases say what was measured; a study of a classifier shows nothing that it cannot have.
#include <QLineEdit>
#include <QTabWidget>
#include <QtTest>

#include "around_page.h"
#include "own_settings.h"
#include "ui/main_window.h"
#include "ui/models/stage_steps.h"
#include "ui/models/training_curve.h"
#include "ui/pages/compare/compare_page.h"
#include "ui/pages/recipes/proposal_bar.h"
#include "ui/pages/run/run_page.h"
#include "ui/plots/curve_chart.h"
#include "ui/widgets/block_strips.h"
#include "ui/widgets/figure_tiles.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

class StudentsTest : public QObject {
  Q_OBJECT
  test::OwnSettings m_settings;

 private slots:
  void aResumedCurveIsWhole() {
    RunRow row;
    row.total = 100;
    auto points = std::make_shared<std::vector<distill::CurvePoint>>(*test::lossCurve(60, 20));
    const auto again = test::lossCurve(80, 20);
    for (const distill::CurvePoint& point : *again)
      if (point.step > 40) points->push_back(point);   // went on from the state saved at step 40
    row.curve = points;
    row.state = JobState::kDone;
    const TrainingCurve curve = trainingCurve(row);
    QCOMPARE(curve.resumed, std::vector<std::int64_t>{41});
    QVERIFY(std::is_sorted(curve.samples.begin(), curve.samples.end(), [](const auto& a, const auto& b) { return a.step < b.step; }));
    QCOMPARE(curve.samples.size(), std::size_t(84));
    QVERIFY(curve.hasAccuracy && curve.hasDivergence);
    const QString said = curveSentence(curve, row);
    QVERIFY2(said.contains(QStringLiteral("stopped early")) && said.contains(QStringLiteral("resumed at step 41")), qPrintable(said));
    QCOMPARE(curve.best()->step, std::int64_t(80));
  }

  void theRunShowsItsCurve() {
    test::Around around;
    QTRY_VERIFY(around.study.snapshot());
    const auto shown = around.shown<RunPage>(900, 700);
    RunPage& page = *shown;
    auto* chart = page.findChild<CurveChart*>();
    QVERIFY(chart);
    QTRY_VERIFY(chart->isVisible());
    QCOMPARE(chart->order().size(), std::size_t(6));
    QTest::keyClick(chart, Qt::Key_Right);
    QVERIFY(chart->selected().has_value());
    QVERIFY(chart->table().rows.size() == 246);
    QVERIFY(!page.grab().isNull());
  }

  // Without a run in this session, curves are those that the study keeps of its stages.
  void aStudyOpenedLaterHasItsCurves() {
    test::Around around;
    QTRY_VERIFY(around.study.snapshot());
    StudySnapshot later = *around.study.snapshot();
    later.run.clear();
    later.running = false;
    later.candidates[3].stages[1].curve = test::lossCurve(120, 40);
    RunPage page(around.services, nullptr);
    page.resize(900, 700);
    page.show();
    page.setSnapshot(std::make_shared<const StudySnapshot>(later));
    auto* chart = page.findChild<CurveChart*>();
    QVERIFY(chart && chart->isVisible());
    QCOMPARE(chart->order().size(), std::size_t(3));
    QCOMPARE(chart->table().rows.size(), std::size_t(123));
  }

  void tenThousandStepsAreDrawnAtOnce() {
    RunRow row;
    row.total = 10000;
    row.curve = test::lossCurve(10000, 100);
    CurveChart chart;
    chart.resize(900, 300);
    chart.setCurve(trainingCurve(row));
    QImage image(900, 300, QImage::Format_RGB32);
    chart.render(&image);
    QElapsedTimer timer;
    timer.start();
    for (int i = 0; i < 10; ++i) chart.render(&image);
    qInfo("%.1f ms a picture", static_cast<double>(timer.elapsed()) / 10);   // printed, not judged
    QVERIFY(!image.isNull());
  }

  void stairsTellWhatEachStageKept() {
    const StudySnapshot study = test::classifierSnapshot();
    const StageSteps steps = stageSteps(study.candidates[3]);
    QCOMPARE(steps.treads.size(), std::size_t(4));
    QCOMPARE(steps.measure.scale, 100.0);
    QVERIFY(!steps.measure.logarithmic);
    QVERIFY(steps.treads[2].warns && !steps.treads[1].warns);
    QCOMPARE(steps.warnings.size(), 1);
    QVERIFY(steps.facts.contains(QStringLiteral("latency")));
    QVERIFY(stageSteps(study.candidates[0]).treads.empty());
  }

  void aClassifierShowsWhatItHas() {
    test::Around around;
    QTRY_VERIFY(around.study.snapshot());
    const auto shown = around.shown<ComparePage>(1000, 760);
    ComparePage& page = *shown;
    QTRY_VERIFY(page.isSettled());
    auto* table = page.findChild<QTableView*>(QStringLiteral("candidates"));
    QStringList titles;
    for (int column = 0; column < table->model()->columnCount(); ++column) titles << table->model()->headerData(column, Qt::Horizontal).toString().section(QLatin1Char('\n'), 0, 0);
    QVERIFY2(titles.contains(QStringLiteral("Right")) && titles.contains(QStringLiteral("Macro F1")) && titles.contains(QStringLiteral("p50")), qPrintable(titles.join(QLatin1Char(' '))));
    QVERIFY2(!titles.contains(QStringLiteral("Perplexity")) && !titles.contains(QStringLiteral("Decode")) && !titles.contains(QStringLiteral("First")), qPrintable(titles.join(QLatin1Char(' '))));
    auto* tabs = page.findChild<QTabWidget*>(QStringLiteral("lossTabs"));
    around.selection.setCandidate(4);
    for (const char* part : {"stairs", "stages", "layers", "difficulty", "slices", "flips", "table"}) {
      page.showPart(QString::fromLatin1(part));
      QVERIFY2(!page.grab().isNull(), part);
    }
    page.showPart(QStringLiteral("stages"));
    QCOMPARE(tabs->tabText(tabs->currentIndex()), QStringLiteral("Stages"));
  }

  // The whole window on a study of a real classifier; with RETORT_PICTURES its pages are saved there, to be looked at.
  void theWindowShowsAStudent() {
    const QString shared = qEnvironmentVariable("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED is not set");
    StudySnapshot snapshot = test::classifierSnapshot();
    snapshot.source->path = (shared + QStringLiteral("/models/minilm-sst2")).toStdString();
    snapshot.candidates[3].recipe.student = R"({"student": {"layers": 3, "trim_vocabulary": true, "most_pieces": 8000}, "data": {"max_tokens": 64},
      "loss": {"cross_entropy": 0.2, "forward_kl": 0.8, "temperature": 2}, "training": {"steps": 2000, "batch": 32, "rate": 1.5e-4},
      "stages": [{"kind": "distill"}, {"kind": "quantize", "level": "INT8"}, {"kind": "repair", "steps": 200}]})";
    auto data = std::make_shared<test::SyntheticStudy>(snapshot);
    CoreApi api = test::syntheticApi(data);
    const CoreApi real = coreApi();
    api.openModel = real.openModel;
    api.planLevel = real.planLevel;
    api.predictStudent = real.predictStudent;
    api.proposeStudents = real.proposeStudents;
    StudyService study(api);
    ModelService model(api);
    MainWindow window(study, model);
    window.resize(1280, 800);
    window.show();
    study.openStudy(QStringLiteral("/tmp/classifier.retort"));
    QTRY_VERIFY_WITH_TIMEOUT(model.loaded(), 20000);
    window.showPage(QStringLiteral("recipes"));
    window.selection().setCandidate(4);
    auto* blocks = window.findChild<BlockStrips*>();
    QVERIFY(blocks);
    QTRY_COMPARE(blocks->rows().size(), std::size_t(4));
    auto* figures = window.findChild<FigureTiles*>();
    QTRY_COMPARE_WITH_TIMEOUT(figures->tiles().size(), std::size_t(4), 5000);
    auto* bar = window.findChild<ProposalBar*>();
    bar->findChild<QLineEdit*>()->setText(QStringLiteral("8"));
    bar->findChild<QPushButton*>()->click();
    QTRY_VERIFY_WITH_TIMEOUT(bar->findChildren<QPushButton*>().size() > 2, 20000);
    bar->findChildren<QPushButton*>()[1]->click();
    QTRY_VERIFY_WITH_TIMEOUT(figures->tiles().size() == 4 && figures->tiles()[1].figure.unit == QStringLiteral("MB") && figures->tiles()[1].figure.value.toDouble() <= 8, 5000);
    const QString folder = qEnvironmentVariable("RETORT_PICTURES");
    const std::pair<const char*, std::vector<const char*>> shots[] = {{"recipes", {"", "teachers", "loss", "training", "data", "stages", "json"}}, {"run", {""}}, {"compare", {"table", "stages", "stairs", "slices", "flips", "difficulty"}}, {"try", {""}}, {"export", {""}}, {"data", {""}}};
    for (const auto mode : {Theme::Mode::Light, Theme::Mode::Dark}) {
      Theme::instance().setMode(mode);
      for (const auto& [id, parts] : shots)
        for (const char* part : parts) {
          window.showPage(QLatin1String(id));
          window.page(QLatin1String(id))->showPart(QLatin1String(part));
          QTest::qWait(folder.isEmpty() ? 20 : 400);
          const QPixmap picture = window.grab();
          QVERIFY(!picture.isNull());
          // Between the cards stands the ground, in the theme's colour at once.
          QCOMPARE(picture.toImage().pixelColor(145, 120).name(), color(Role::Surface).name());
          if (!folder.isEmpty()) picture.save(QStringLiteral("%1/%2-%3%4.png").arg(folder, QLatin1String(id), QLatin1String(*part ? part : "page"), mode == Theme::Mode::Dark ? QStringLiteral("-dark") : QString()));
        }
    }
    Theme::instance().setMode(Theme::Mode::System);
  }
};

QTEST_MAIN(StudentsTest)
#include "students_test.moc"
