// The table models under Qt's own model tester, with rows that come, change and go; the numbers as people read them.
#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QtTest>

#include "synthetic_study.h"
#include "ui/format.h"
#include "ui/models/candidate_model.h"
#include "ui/models/data_model.h"
#include "ui/models/preset_model.h"
#include "ui/models/run_model.h"
#include "ui/models/tensor_model.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

class ModelsTest : public QObject {
  Q_OBJECT

  template <class Model, class Rows>
  void exercise(const Rows& rows) {
    Model model;
    const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
    model.setRows(rows);
    QCOMPARE(model.rowCount(), static_cast<int>(rows.size()));
    QCOMPARE(resets.count(), 1);
    model.setRows(rows);   // the same things with newer values: no reset, so selections stay
    QCOMPARE(resets.count(), 1);
    for (int r = 0; r < model.rowCount(); ++r)
      for (int c = 0; c < model.columnCount(); ++c)
        for (const int role : {int(Qt::DisplayRole), int(Qt::ToolTipRole), int(kUnitRole), int(kSortRole), int(kToneRole), int(kHistogramRole)})
          model.data(model.index(r, c), role);
    for (int c = 0; c < model.columnCount(); ++c) QVERIFY(!model.headerData(c, Qt::Horizontal, Qt::DisplayRole).toString().isEmpty());
    auto fewer = rows;
    fewer.pop_back();
    model.setRows(fewer);
    QCOMPARE(resets.count(), 2);
    model.setRows({});
    QCOMPARE(model.rowCount(), 0);
  }

 private slots:
  void runRows() { exercise<RunModel>(test::syntheticSnapshot().run); }
  void dataSets() { exercise<DataModel>(test::syntheticSnapshot().data); }
  void candidates() { exercise<CandidateModel>(test::syntheticSnapshot().candidates); }
  void presets() {
    std::vector<PresetRow> rows;
    for (const Recipe& recipe : preset_recipes()) rows.push_back({.recipe = recipe, .plain = QStringLiteral("plain"), .code = QString::fromStdString(recipe.name), .explanation = {}, .bytes = 1000, .memory = 0, .bits = 4.5, .fallbacks = 2, .problem = {}, .present = false});
    exercise<PresetModel>(rows);
  }
  void tensors() {
    std::vector<TensorRow> rows(3);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].name = QStringLiteral("blk.%1.attn_q.weight").arg(i);
    exercise<TensorModel>(rows);
  }

  // A hundred thousand rows: what one screen of them takes is printed, not judged.
  void manyRows() {
    TensorModel model;
    std::vector<TensorRow> rows(100000);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].name = QString::number(i);
    model.setRows(std::move(rows));
    QElapsedTimer clock;
    clock.start();
    for (int r = 50000; r < 50040; ++r)
      for (int c = 0; c < model.columnCount(); ++c) QVERIFY(c > 0 || !model.data(model.index(r, c), Qt::DisplayRole).toString().isEmpty());
    qInfo("%lld ms a screen", static_cast<long long>(clock.elapsed()));
  }

  void checkingAsksForAChange() {
    CandidateModel model;
    model.setRows(test::syntheticSnapshot().candidates);
    QSignalSpy wanted(&model, &CandidateModel::chosenWanted);
    QVERIFY(model.setData(model.index(2, CandidateModel::Name), Qt::Unchecked, Qt::CheckStateRole));
    QCOMPARE(wanted.count(), 1);
    QCOMPARE(wanted[0][0].toLongLong(), 3);
    QCOMPARE(wanted[0][1].toBool(), false);
    QCOMPARE(model.row(2).chosen, true);   // unchanged until the study says so
  }

  void numbers_data() {
    QTest::addColumn<QString>("shown");
    QTest::addColumn<QString>("expected");
    const QString thin(QChar(0x202f));
    QTest::newRow("MB") << bytesQuantity(98'362'432).text() << "98.4" + thin + "MB";
    QTest::newRow("999.9 kB rounds up") << bytesQuantity(999'950).text() << "1.00" + thin + "MB";
    QTest::newRow("bytes") << bytesQuantity(512).text() << "512" + thin + "B";
    QTest::newRow("count") << countQuantity(134'515'008).text() << "135" + thin + "M";
    QTest::newRow("ms") << secondsQuantity(0.72).text() << "720" + thin + "ms";
    QTest::newRow("minutes") << secondsQuantity(100).text() << "1 min 40" + thin + "s";
    QTest::newRow("hours") << secondsQuantity(3700).text() << "1 h 01" + thin + "min";
    QTest::newRow("unknown time") << secondsQuantity(-1).text() << QStringLiteral("–");
    QTest::newRow("grouped") << integer(1234567) << "1" + thin + "234" + thin + "567";
    QTest::newRow("significant") << significant(294.31, 3) << "294";
    QTest::newRow("significant small") << significant(0.03412, 3) << "0.0341";
    QTest::newRow("significant large") << significant(12345, 3) << "12300";
    QTest::newRow("figure follows its interval") << figureText({0.03412, 0.0329, 0.0353}) << QStringLiteral("0.0341 ± 0.0012");
    QTest::newRow("figure in percent") << figureText({0.889, 0.868, 0.910}, 100) << QStringLiteral("88.9 ± 2.1");
  }
  void numbers() {
    QFETCH(QString, shown);
    QFETCH(QString, expected);
    QCOMPARE(shown, expected);
  }
};

QTEST_MAIN(ModelsTest)
#include "models_test.moc"
