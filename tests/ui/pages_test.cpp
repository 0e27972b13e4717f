// What the pages add of their own: blind trials, coverage of data, expectations of presets, order and log of a run,
// command lines, wrapped facts.
#include <QAbstractItemModelTester>
#include <QMimeData>
#include <QSettings>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QtTest>

#include "core/evaluate/data_set.h"
#include "own_settings.h"
#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/models/blind_tally.h"
#include "ui/models/candidate_model.h"
#include "ui/models/command_lines.h"
#include "ui/models/preset_model.h"
#include "ui/models/run_log.h"
#include "ui/models/run_model.h"
#include "ui/pages/data/data_coverage.h"
#include "ui/pages/run/run_page.h"
#include "ui/plots/axis.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/facts.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

class PagesTest : public QObject {
  Q_OBJECT
  test::OwnSettings m_settings;

 private slots:
  void votesCountPairByPair() {
    BlindTally tally;
    tally.vote({5, 1, 7}, 7);   // says nothing of 1 and 5
    tally.vote({1, 7}, 0);
    QCOMPARE(tally.between(1, 7).second, 1);
    QCOMPARE(tally.between(7, 1).first, 1);   // seen from the other side
    QCOMPARE(tally.between(1, 7).same, 1);
    QCOMPARE(tally.between(1, 5).trials(), 0);
    QCOMPARE(tally.between(5, 7).second, 1);
    const BlindTally back = BlindTally::fromMap(tally.toMap());
    QCOMPARE(back.toMap(), tally.toMap());
    // A settings file that somebody edited.
    QVERIFY(BlindTally::fromMap({{QStringLiteral("x"), 1}, {QStringLiteral("7:1"), QStringLiteral("1 1 1")}, {QStringLiteral("1:2"), QStringLiteral("1 1")}}).isEmpty());
    Settings::setTally(QStringLiteral("/a"), tally.toMap());
    QCOMPARE(Settings::tally(QStringLiteral("/a")), tally.toMap());
    QVERIFY(Settings::tally(QStringLiteral("/b")).isEmpty());
  }

  void theTallySaysWhenItIsSure() {
    const QString a = QStringLiteral("A"), b = QStringLiteral("B");
    QVERIFY(tallySentence({0, 0, 0}, a, b).contains(QStringLiteral("no trial")));
    QVERIFY(tallySentence({2, 1, 0}, a, b).contains(QStringLiteral("not sure")));
    QVERIFY(tallySentence({12, 1, 0}, a, b).contains(QStringLiteral("prefer A")));   // p = 0.0034
    QVERIFY(tallySentence({1, 12, 0}, a, b).contains(QStringLiteral("prefer B")));
    QVERIFY(tallySentence({8, 7, 10}, a, b).contains(QStringLiteral("can't tell")));
    QVERIFY(qFuzzyCompare(BlindTally::Pair({5, 5, 3}).p(), 1.0));
  }

  void coverageReadsTheFile() {
    const QTemporaryDir folder;
    const QString path = folder.filePath(QStringLiteral("prompts.jsonl"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("{\"context\": \"2 + 2 =\", \"choices\": [\"4\", \"5\"], \"answer\": 0, \"kind\": \"sums\"}\n"
               "{\"context\": \"die Gr\u00f6\u00dfe\", \"choices\": [\"a\", \"b\"], \"answer\": 0, \"kind\": \"words\"}\n"
               "{\"context\": \"x\", \"choices\": [\"a\", \"b\"], \"answer\": 1, \"kind\": \"words\"}\n");
    file.close();
    DataInfo info;
    info.name = "prompts";
    info.path = path.toStdString();
    info.kind = DataKind::kChoice;
    CoreApi api;
    api.readData = [](const std::filesystem::path& p, const Columns& columns) { return read_data(p, columns); };
    const DataCoverage coverage = coverageOf(api, info, nullptr);
    QVERIFY2(!coverage.failure, coverage.failure ? qPrintable(coverage.failure->text) : "");
    QCOMPARE(coverage.examples.size(), std::size_t(3));
    QVERIFY(coverage.examples[0][1].startsWith(QLatin1Char('4')));
    QStringList said;
    for (const auto& line : coverage.lines) said << line.what + QLatin1Char('=') + line.value;
    QVERIFY2(said.contains(QStringLiteral("Groups=sums 1 · words 2")), qPrintable(said.join(QLatin1Char('|'))));
    QVERIFY2(said.contains(QStringLiteral("Right answer stands at=A 2 · B 1")), qPrintable(said.join(QLatin1Char('|'))));
    info.path = folder.filePath(QStringLiteral("gone.jsonl")).toStdString();
    QVERIFY(coverageOf(api, info, nullptr).failure);
  }

  void scriptsAreCounted() {
    const auto shares = scriptShares(QStringLiteral("abc где 12 ?!"));
    QCOMPARE(shares.size(), std::size_t(2));
    QVERIFY(qFuzzyCompare(shares[0].second, 0.5));
    QVERIFY(scriptShares(QStringLiteral("12 !")).empty());
  }

  // Nothing is invented: a loss is one that was measured, or it is not known.
  void presetsExpectWhatWasMeasured() {
    StudySnapshot study = test::syntheticSnapshot();
    PresetRow exact, twin, unknown;
    exact.recipe.stages.push_back({.level = "Q8_0", .overrides = {}});
    twin.recipe.stages.push_back({.level = "Q4_K_M", .importance = true, .overrides = {}});
    unknown.recipe.stages.push_back({.level = "Q5_K_M", .overrides = {}});
    for (PresetRow* row : {&exact, &twin, &unknown}) fillExpectations(*row, study);
    QVERIFY(exact.loss && !exact.lossOfTwin);
    QCOMPARE(exact.loss->value, 0.003);
    QVERIFY(twin.loss && twin.lossOfTwin);
    QVERIFY(!unknown.loss);
    PresetModel model;
    model.setRows({unknown});
    QCOMPARE(model.index(0, PresetModel::Loss).data().toString(), QStringLiteral("?"));
    QCOMPARE(model.index(0, PresetModel::Time).data().toString(), QStringLiteral("?"));   // no evaluation took any time here
    study.candidates[1].evaluations["evaluation"].seconds = 30;
    fillExpectations(unknown, study);
    QVERIFY(unknown.secondsOfOthers && unknown.seconds > 0);
  }

  void draggingAsksForAMove() {
    CandidateModel model;
    const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setRows(test::syntheticSnapshot().candidates);
    QVERIFY(!model.flags(model.index(0, 0)).testFlag(Qt::ItemIsDragEnabled));   // the original stays first
    QSignalSpy moves(&model, &CandidateModel::moveWanted);
    const std::unique_ptr<QMimeData> data(model.mimeData({model.index(3, 0)}));
    QVERIFY(!model.dropMimeData(data.get(), Qt::MoveAction, -1, -1, model.index(1, 0)));   // the study moves it, not the view
    QCOMPARE(moves.count(), 1);
    QCOMPARE(moves[0][0].toLongLong(), 4);
    QCOMPARE(moves[0][1].toInt(), 1);
    model.dropMimeData(data.get(), Qt::MoveAction, 0, 0, {});   // before the original: behind it
    QCOMPARE(moves[1][1].toInt(), 1);
    QMimeData foreign;
    QVERIFY(!model.dropMimeData(&foreign, Qt::MoveAction, 1, 0, {}));
    QCOMPARE(moves.count(), 2);
  }

  void runRowsAreOrderedByKeys() {
    auto data = std::make_shared<test::SyntheticStudy>();
    const CoreApi api = test::syntheticApi(data);
    StudyService study(api);
    ModelService model(api);
    QWidget window;
    Selection selection;
    ActionRegistry actions(&window);
    Services services{study, model, selection, actions};
    study.openStudy(QStringLiteral("/tmp/synthetic.retort"));
    QTRY_VERIFY(study.snapshot());
    RunPage page(services, nullptr);
    connect(&study, &StudyService::snapshotChanged, &page, &RunPage::setSnapshot);
    page.resize(900, 700);
    page.show();
    page.setSnapshot(study.snapshot());
    auto* table = page.findChild<TableView*>();
    QVERIFY(table);
    auto* rows = qobject_cast<RunModel*>(table->model());
    QVERIFY(rows);
    int at = 0;
    while (rows->row(at).candidate != 4) ++at;
    table->setCurrentIndex(rows->index(at, 0));
    QTest::keyClick(table, Qt::Key_Up, Qt::ControlModifier);
    QTRY_COMPARE(study.snapshot()->candidates[2].id, std::int64_t(4));
    QTest::keyClick(table, Qt::Key_Delete);
    QTRY_VERIFY(!study.snapshot()->candidates[2].chosen);
    study.undo();
    QTRY_VERIFY(study.snapshot()->candidates[2].chosen);
  }

  void theLogTellsWhatChanged() {
    RunLog log;
    StudySnapshot study = test::syntheticSnapshot();
    log.take(&study);
    QVERIFY(log.lines().isEmpty());   // what was done before is no news
    study.running = true;
    for (RunRow& row : study.run) row.state = JobState::kWaiting;
    study.run[0].state = JobState::kRunning;
    log.take(&study);
    study.run[0].state = JobState::kDone;
    study.run[1].state = JobState::kFailed;
    study.run[1].message = "the disk is full";
    log.take(&study);
    log.take(&study);   // nothing new
    study.running = false;
    log.take(&study);
    QCOMPARE(log.lines().size(), 5);
    QVERIFY(log.lines()[2].contains(QStringLiteral("done after")));
    QVERIFY(log.lines()[3].contains(QStringLiteral("the disk is full")));
    QSignalSpy cleared(&log, &RunLog::cleared);
    study.path = "/tmp/another.retort";
    log.take(&study);
    QCOMPARE(cleared.count(), 1);
  }

  void commandLinesAreForAShell() {
    QCOMPARE(shellWord(QStringLiteral("/a/b.gguf")), QStringLiteral("/a/b.gguf"));
    QCOMPARE(shellWord(QStringLiteral("it's $HOME")), QStringLiteral("'it'\\''s $HOME'"));
    StudySnapshot study = test::syntheticSnapshot();
    study.source->path = "/m/model one.gguf";
    const QString line = newStudyCommand(study);
    QVERIFY2(line.contains(QStringLiteral("--model '/m/model one.gguf'")), qPrintable(line));
    QVERIFY2(line.contains(QStringLiteral("--data c.txt:calibration")), qPrintable(line));
    QVERIFY2(line.contains(QStringLiteral("--levels Q8_0,Q4_K_M,Q2_K")), qPrintable(line));
    QVERIFY(dataCommand(study, study.data[2]).contains(QStringLiteral("--task choice")));
  }

  void factsKeepToOneLineWhereTheyFit() {
    FactGrid facts;
    facts.add(QStringLiteral("Size"), Quantity{QStringLiteral("98.4"), QStringLiteral("MB")});
    const int one = facts.heightForWidth(200);
    facts.add(QStringLiteral("p50"), QStringLiteral("a value that is far too long for a narrow column"));
    QVERIFY(facts.heightForWidth(200) > 2 * one);
    QVERIFY(facts.heightForWidth(900) <= 2 * one + 8);
    QCOMPARE(facts.valueOf(QStringLiteral("Size")), QStringLiteral("98.4") + QChar(0x202f) + QStringLiteral("MB"));
    QVERIFY(facts.accessibleDescription().contains(QStringLiteral("98.4")));
  }

  void axesHaveRoundTicks() {
    QCOMPARE(axisTicks(0, 1, false), (std::vector<double>{0, 0.5, 1}));
    QCOMPARE(axisTicks(0.001, 1, true).front(), 0.001);
    const std::vector<double> placed = spreadApart({10, 11, 12, 90}, 8, 0, 100);
    for (std::size_t i = 1; i < placed.size(); ++i) QVERIFY(placed[i] - placed[i - 1] >= 7.99);
    QVERIFY(placed.back() <= 100);
  }
};

QTEST_MAIN(PagesTest)
#include "pages_test.moc"
