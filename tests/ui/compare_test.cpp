// The Compare page on a synthetic study: models, linked selection, keyboard, saving.
#include <QtTest>

#include <QAbstractItemModelTester>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QTemporaryDir>

#include "ui/actions.h"
#include "ui/models/compare_model.h"
#include "ui/models/flips_model.h"
#include "ui/models/slices_model.h"
#include "ui/plots/stair_chart.h"
#include "ui/widgets/table.h"
#include "ui/models/measures.h"
#include "ui/pages/compare/compare_page.h"
#include "ui/plots/scatter_plot.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"

using namespace retort;
using namespace retort::ui;

namespace {

Evaluation answers(std::initializer_list<bool> right) {
  Evaluation evaluation;
  evaluation.task = "choice";
  for (const bool r : right) {
    Evaluation::Row row;
    row.index = static_cast<std::int64_t>(evaluation.rows.size());
    row.text = "question " + std::to_string(row.index);
    row.correct = r;
    row.score = r ? 1 : 0;
    row.answer = r ? "yes" : "no";
    evaluation.rows.push_back(row);
  }
  evaluation.n = static_cast<std::int64_t>(right.size());
  return evaluation;
}

CandidateInfo candidate(std::int64_t id, const char* name, std::uint64_t bytes, double kld, double decode) {
  CandidateInfo info;
  info.id = id;
  info.name = name;
  info.bytes = bytes;
  info.bytes_predicted = false;
  info.bits_per_weight = 8;
  info.state = CandidateState::kDone;
  Evaluation text;
  text.task = kld > 0 ? "kld" : "perplexity";
  text.n = 255;
  text.figures["perplexity"] = {20 + kld, 19 + kld, 21 + kld};
  if (kld > 0) {
    text.figures["kld_mean"] = {kld, kld * 0.9, kld * 1.1};
    text.figures["top1_agreement"] = {1 - kld, 0.99 - kld, 1};
  }
  Evaluation::Row piece;
  piece.text = "a piece of text";
  piece.score = 3;
  piece.kld = kld;
  text.rows.push_back(piece);
  info.evaluations["text"] = text;
  BenchResult bench;
  bench.decode_tokens_per_second = decode;
  bench.prefill_tokens_per_second = 10 * decode;
  bench.time_to_first_token_seconds = 1 / decode;
  bench.p50 = 1 / decode;
  bench.p95 = 1.2 / decode;
  bench.p99 = 1.5 / decode;
  bench.memory = {bytes, 1000000, 2000000};
  bench.peak_memory_bytes = bytes + 5000000;
  info.bench = bench;
  info.tensor_errors = {{"blk.0.attn_q.weight", kld}, {"blk.1.attn_q.weight", 2 * kld}, {"token_embd.weight", kld / 2}};
  info.tensor_types = {{"blk.0.attn_q.weight", "Q4_0"}};
  return info;
}

std::shared_ptr<const StudySnapshot> study() {
  auto snapshot = std::make_shared<StudySnapshot>();
  snapshot->name = "synthetic";
  snapshot->device = "a processor";
  snapshot->candidates = {candidate(1, "original", 270000000, 0, 60), candidate(2, "Q8_0", 145000000, 0.003, 180),
                          candidate(3, "Q4_0", 92000000, 0.26, 290), candidate(4, "worse", 100000000, 0.5, 100)};
  snapshot->candidates[0].is_original = true;
  snapshot->candidates[0].evaluations["prompts"] = answers({true, true, false, true});
  snapshot->candidates[2].evaluations["prompts"] = answers({true, false, true, true});
  return snapshot;
}

}  // namespace

class CompareTest : public QObject {
  Q_OBJECT
  CoreApi api_;
  StudyService study_{api_};
  ModelService model_{api_};
  QWidget window_;
  Selection selection_;
  ActionRegistry actions_{&window_};
  Services services_{study_, model_, selection_, actions_};

 private slots:
  // Three candidates under a front, then a crowd: no name covers a line, a point or another name, and what has no room is
  // left out but for the one that is needed.
  void namesStandWhereNothingIsCovered() {
    LabelField field;
    field.area = QRectF(0, 0, 320, 140);
    std::vector<LabelWish> wishes;
    const auto at = [&](double x, double y, double width, bool needed = false) {
      field.marks.emplace_back(x - 6, y - 6, 12, 12);
      wishes.push_back({QPointF(x, y), {QSizeF(width, 13), QSizeF(width / 2, 13)}, needed});
    };
    at(60, 20, 40);
    at(90, 120, 120, true);
    at(280, 124, 50);
    field.lines = {{60, 20, 90, 20}, {90, 20, 90, 120}, {90, 120, 280, 120}, {280, 120, 280, 124}};
    const auto check = [&](const std::vector<std::optional<LabelPlace>>& places) {
      for (std::size_t i = 0; i < places.size(); ++i) {
        if (!places[i]) continue;
        const QRectF box = places[i]->box;
        QCOMPARE(box.size(), wishes[i].sizes[places[i]->form]);
        QVERIFY(field.area.contains(box));
        for (const QRectF& mark : field.marks) QVERIFY(!mark.intersects(box));
        for (const QLineF& line : field.lines)
          for (double t = 0; t <= 1; t += 0.002) QVERIFY(!box.contains(line.pointAt(t)));
        for (std::size_t j = 0; j < i; ++j) QVERIFY(!places[j] || !places[j]->box.intersects(box));
      }
    };
    auto places = placeLabels(field, wishes);
    check(places);
    for (const auto& place : places) QVERIFY(place && place->form == 0);
    // Each is read as its own point's: near, or with a line to it.
    for (std::size_t i = 0; i < places.size(); ++i)
      if (const auto leader = labelLeader(wishes[i].point, places[i]->box)) QVERIFY(leader->length() < 100);
    for (int i = 0; i < 60; ++i) at(150 + i % 10, 60 + i / 10, 80);
    places = placeLabels(field, wishes);
    check(places);
    QVERIFY(places[1].has_value());
    QVERIFY(std::count_if(places.begin(), places.end(), [](const auto& place) { return !place; }) > 30);
  }

  void tableModelIsWellFormed() {
    CompareModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setSnapshot(study());
    QCOMPARE(model.rowCount(), 4);
    QCOMPARE(model.index(0, 0).data().toString(), QStringLiteral("original"));
    QCOMPARE(model.rowOf(3), 2);
    // Size in MB; the divergence carries its interval.
    QCOMPARE(model.index(1, 1).data().toString(), QStringLiteral("145.0"));
    QVERIFY(model.index(2, 3).data(kUnitRole).toString().contains(QChar(0x00b1)));
    // Decimal points stand under each other: shorter figures are filled up with figure spaces.
    QCOMPARE(model.index(1, 3).data().toString().size(), model.index(2, 3).data().toString().size());
    QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
    model.setSnapshot(study());   // the same candidates: selection and scroll position stay
    QCOMPARE(resets.count(), 0);
    model.setSnapshot(nullptr);
    QCOMPARE(model.rowCount(), 0);
  }

  void theOriginalHasNoDistanceToItself() {
    const auto snapshot = study();
    QCOMPARE(measure(QStringLiteral("kld")).figure(snapshot->candidates[0])->value, 0.0);
    QCOMPARE(measure(QStringLiteral("agreement")).figure(snapshot->candidates[0])->value, 1.0);
    QVERIFY(!measure(QStringLiteral("kld")).figure(CandidateInfo{}));
  }

  void marksWhatCannotBeToldApart() {
    const auto snapshot = study();
    const CompareFigures figures = compareFigures(*snapshot, 1, [] { return false; });
    // One prompt lost and one won of four: no test can tell these apart.
    const auto accuracy = figures.against.find({3, QStringLiteral("accuracy")});
    QVERIFY(accuracy != figures.against.end());
    QCOMPARE(accuracy->second.verdict, Verdict::kCannotTell);
    QVERIFY(accuracy->second.p);
    // Nothing was asked of the second candidate: nothing is said of it.
    QVERIFY(!figures.against.contains({2, QStringLiteral("accuracy")}));
    QVERIFY(!figures.against.contains({3, QStringLiteral("kld")}));   // the original's own divergence is none
    CompareModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setSnapshot(snapshot);
    model.setFigures(figures);
    const int column = model.columnOf(QStringLiteral("accuracy"));
    QVERIFY(model.index(2, column).data(kUnitRole).toString().contains(QChar(u'≈')));
    QVERIFY(!model.index(1, column).data(kUnitRole).toString().contains(QChar(u'≈')));
    QVERIFY(model.index(2, column).data(Qt::ToolTipRole).toString().contains(QStringLiteral("McNemar")));
    model.setPinned({3});
    QVERIFY(model.index(2, 0).data(kIconRole).isValid());
  }

  void stairsGoFromLargeToSmall() {
    const CompareFigures figures = compareFigures(*study(), 1, [] { return false; });
    std::vector<std::int64_t> ids;
    for (const StairStep& step : figures.stairs) ids.push_back(step.id);
    QCOMPARE(ids, (std::vector<std::int64_t>{1, 2, 4, 3}));
    StairChart chart;
    std::vector<StairTread> treads;
    for (const StairStep& step : figures.stairs) treads.push_back({step.id, 0, QString::number(step.id), 1e8, {0.1, 0.09, 0.11}, step.loss});
    chart.setTreads(treads);
    QCOMPARE(chart.table().rows.size(), treads.size());
    QCOMPARE(chart.order(), ids);
    chart.resize(400, 200);
    QVERIFY(!chart.grab().isNull());
  }

  // Thirds by what the original finds hard, groups by the data's own field; a part says how many it rests on.
  void slicesCutTheData() {
    auto snapshot = std::make_shared<StudySnapshot>(*study());
    Evaluation base, worse;
    base.task = worse.task = "choice";
    for (int i = 0; i < 30; ++i) {
      Evaluation::Row row;
      row.index = i;
      row.group = i % 2 ? "code" : "general";
      row.margin = 30 - i;
      row.correct = true;
      base.rows.push_back(row);
      row.correct = i < 20;   // the last third, where the original is least sure, is lost
      worse.rows.push_back(row);
    }
    base.n = worse.n = 30;
    snapshot->candidates[0].evaluations["prompts"] = base;
    snapshot->candidates[2].evaluations["prompts"] = worse;
    const CompareFigures figures = compareFigures(*snapshot, 1, [] { return false; });
    std::vector<Slice> hard, groups;
    for (const Slice& slice : figures.slices) {
      if (slice.set != QStringLiteral("prompts")) continue;
      if (slice.cut == Slice::Cut::Difficulty) hard.push_back(slice);
      if (slice.cut == Slice::Cut::Group) groups.push_back(slice);
    }
    QCOMPARE(hard.size(), std::size_t(3));
    QCOMPARE(hard[0].cells.at(3).figure.value, 1.0);
    QCOMPARE(hard[2].cells.at(3).figure.value, 0.0);
    QCOMPARE(hard[2].cells.at(3).paired->verdict, Verdict::kWorse);
    QCOMPARE(groups.size(), std::size_t(2));
    QCOMPARE(groups[0].n, std::int64_t(15));
    SlicesModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setSlices(hard, {{1, QStringLiteral("original"), true}, {3, QStringLiteral("Q4_0"), false}});
    QCOMPARE(model.idAt(SlicesModel::kFirst + 1), std::int64_t(3));
    QVERIFY(model.index(2, SlicesModel::kFirst + 1).data(kHeatRole).toDouble() > 0.9);
    QVERIFY(model.index(2, SlicesModel::kFirst + 1).data(Qt::ToolTipRole).toString().contains(QStringLiteral("p = ")));
    model.setSlices({}, {});
  }

  void theViewsFillFromTheStudy() {
    ComparePage page(services_, nullptr);
    page.resize(1100, 760);
    page.show();
    page.setSnapshot(study());
    QTRY_VERIFY(page.isSettled());
    for (const char* part : {"stairs", "layers", "difficulty", "slices", "flips", "table"}) {
      page.showPart(QString::fromLatin1(part));
      QVERIFY2(!page.grab().isNull(), part);
    }
    auto* stairs = page.findChild<StairChart*>(QStringLiteral("stairs"));
    QVERIFY(stairs);
    QCOMPARE(stairs->order(), (std::vector<std::int64_t>{2, 4, 3}));   // the original has no loss to show
    // An equal snapshot does nothing: no step is left to do.
    page.setSnapshot(study());
    QVERIFY(page.isSettled());
  }

  void flipsAreFoundAndSorted() {
    FlipsModel model;
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    const auto snapshot = study();
    model.setCandidates(&snapshot->candidates[0], &snapshot->candidates[2]);
    QVERIFY(model.rowCount() >= 3);   // one lost, one won, one piece of text
    QVERIFY(model.rows()[0].worse);
    QVERIFY(!model.rows()[1].worse);
    QVERIFY(model.summary().contains(QStringLiteral("2")));
  }

  void selectingAnywhereSelectsEverywhere() {
    ComparePage page(services_, nullptr);
    page.resize(1100, 760);
    page.show();
    page.setSnapshot(study());
    QTRY_VERIFY(page.isSettled());
    auto* scatter = page.findChild<ScatterPlot*>();
    auto* table = page.findChild<QTableView*>(QStringLiteral("candidates"));
    QVERIFY(scatter && table);
    selection_.setCandidate(3);
    QCOMPARE(scatter->selected(), std::optional<std::int64_t>(3));
    QCOMPARE(table->currentIndex().row(), 2);
    table->selectRow(1);
    QCOMPARE(selection_.candidate(), std::optional<std::int64_t>(2));
    // Arrow keys walk the points by size: 3 (92 MB), 4, 2, 1.
    QTest::keyClick(scatter, Qt::Key_Right);
    QCOMPARE(selection_.candidate(), std::optional<std::int64_t>(1));
    QTest::keyClick(scatter, Qt::Key_Left);
    QTest::keyClick(scatter, Qt::Key_Left);
    QCOMPARE(selection_.candidate(), std::optional<std::int64_t>(4));
  }

  void chartsSaveInThreeForms() {
    ComparePage page(services_, nullptr);
    page.resize(1100, 760);
    page.setSnapshot(study());
    const QTemporaryDir folder;
    QCOMPARE(page.saveCharts(folder.path()), QStringList());
    for (const char* name : {"quality-size.png", "quality-size.svg", "quality-size.csv", "speed.svg", "memory.png"})
      QVERIFY2(QFileInfo(folder.filePath(QString::fromLatin1(name))).size() > 100, name);
    QFile csv(folder.filePath(QStringLiteral("quality-size.csv")));
    QVERIFY(csv.open(QIODevice::ReadOnly));
    const QString text = QString::fromUtf8(csv.readAll());
    QVERIFY(text.contains(QStringLiteral("Q4_0")) && text.contains(QStringLiteral("# synthetic")));
    QVERIFY(!page.saveCharts(QStringLiteral("/proc/nowhere")).isEmpty());
  }

  void anEmptyStudyOffersTheNextAction() {
    ComparePage page(services_, nullptr);
    page.setSnapshot(std::make_shared<StudySnapshot>());
    QSignalSpy wanted(&page, &Page::pageWanted);
    auto* button = page.findChild<EmptyState*>()->findChild<QPushButton*>();
    QVERIFY(button);
    button->click();
    QCOMPARE(wanted.size(), 1);
  }
};

QTEST_MAIN(CompareTest)
#include "compare_test.moc"
