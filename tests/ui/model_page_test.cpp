// The Model page on real files: what is shown at once and when, values of a tensor from a sample to the whole, outliers in
// the map, the configuration, an ONNX graph. RETORT_OPEN=PATH times another model (tests/bench/sparse_checkpoint.py makes
// one of 10 GB); RETORT_PICTURES=FOLDER keeps pictures of all views, of RETORT_OPEN's or of the small ones.
#include <QAbstractItemModelTester>
#include <QComboBox>
#include <QDir>
#include <QLabel>
#include <QLineEdit>
#include <QSettings>
#include <QSignalSpy>
#include <QTableWidget>
#include <QTemporaryDir>
#include <QtTest>
#include <random>

#include "core/formats/writers.h"
#include "own_settings.h"
#include "synthetic_study.h"
#include "ui/actions.h"
#include "ui/main_window.h"
#include "ui/models/config_model.h"
#include "ui/models/operator_model.h"
#include "ui/pages/model/compare_view.h"
#include "ui/pages/model/graph_map.h"
#include "ui/pages/model/layer_map.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/theme.h"
#include "ui/widgets/table.h"

using namespace retort;
using namespace retort::ui;

namespace {

QString dataFile(const char* name) { return QStringLiteral(RETORT_TEST_DATA "/") + QLatin1String(name); }

// The real functions for models, no studies.
struct Fixture {
  CoreApi api = [] {
    CoreApi real = coreApi();
    real.createStudy = nullptr;
    return real;
  }();
  StudyService study{api};
  ModelService model{api};
  MainWindow window{study, model};
  Fixture() {
    window.resize(1280, 800);
    window.show();
  }
  Selection& selection() { return *window.findChild<Selection*>(); }
  // Without a study, whose absence would end the preview.
  void open(const QString& path) {
    window.showPage(QStringLiteral("model"));
    ModelService::isGraph(path) ? model.showGraph(path) : model.preview(path);
  }
  template <class Widget>
  Widget* visible() {
    for (Widget* widget : window.page(QStringLiteral("model"))->findChildren<Widget*>())
      if (widget->isVisible()) return widget;
    return nullptr;
  }
  void picture(const QString& name) {
    const QString folder = qEnvironmentVariable("RETORT_PICTURES");
    if (folder.isEmpty()) return;
    QTest::qWait(400);
    window.grab().save(QDir(folder).filePath(name + (Theme::instance().isDark() ? QStringLiteral("-dark.png") : QStringLiteral("-light.png"))));
  }
};

TableView* tableNamed(QWidget* in, const QString& name) {
  for (TableView* table : in->findChildren<TableView*>())
    if (table->accessibleName() == name) return table;
  return nullptr;
}

}  // namespace

class ModelPageTest : public QObject {
  Q_OBJECT
  test::OwnSettings m_settings;

 private slots:
  void initTestCase() {
    Theme::instance().setMode(qEnvironmentVariable("RETORT_THEME") == QStringLiteral("dark") ? Theme::Mode::Dark : Theme::Mode::Light);
  }

  // The time from opening to each view's first content, printed; the first of them within 300 ms on a quiet machine.
  void showsEachViewSoon() {
    const QString path = qEnvironmentVariable("RETORT_OPEN", dataFile("micro-llama.gguf"));
    Fixture f;
    const bool graph = ModelService::isGraph(path);
    QSignalSpy opened(&f.model, graph ? &ModelService::graphChanged : &ModelService::loadedChanged);
    QVERIFY(QTest::qWaitForWindowExposed(&f.window));
    f.window.showPage(QStringLiteral("model"));
    f.window.grab();   // the window stands before a model is opened in it
    QElapsedTimer clock;
    clock.start();
    f.open(path);
    const auto said = [&](const char* what, qint64 since = 0) { qInfo("%-32s %4lld ms", what, static_cast<long long>(clock.elapsed() - since)); };
    while (f.model.tensors().empty()) QVERIFY(opened.wait(20000));
    said("opened");
    f.window.grab();
    said("header, map of types, tensors");
    if (!graph) {
      auto* config = tableNamed(&f.window, QStringLiteral("Configuration"));
      QVERIFY(config && config->model()->rowCount() > 0);
      said("configuration");
    }
    const std::vector<TensorRow> rows = f.model.tensors();   // a copy, see newestTensorWins
    const auto largest = std::max_element(rows.begin(), rows.end(), [](const TensorRow& a, const TensorRow& b) { return a.bytes < b.bytes; });
    QSignalSpy values(&f.model, &ModelService::statisticsReady);
    qint64 asked = clock.elapsed();
    f.selection().setTensor(largest->name);
    QVERIFY(!values.isEmpty() || values.wait(20000));
    f.window.grab();
    said("values of the largest tensor: sample", asked);
    asked = clock.elapsed();
    QSignalSpy outliers(&f.model, &ModelService::outliersChanged);
    f.window.page(QStringLiteral("model"))->showPart(QStringLiteral("outliers"));
    QVERIFY(!outliers.isEmpty() || outliers.wait(20000));
    f.window.grab();
    said("outliers in the map: first", asked);
    QTRY_VERIFY_WITH_TIMEOUT(std::none_of(f.model.outliers().begin(), f.model.outliers().end(), [](const OutlierMark& mark) { return mark.farthest < 0; }) || graph, 60000);
    said("outliers in the map: all", asked);
    f.picture(QStringLiteral("outliers"));
    for (const char* part : {"map", "tensors", "configuration", "operators", "text"}) {
      f.window.page(QStringLiteral("model"))->showPart(QLatin1String(part));
      f.picture(QLatin1String(part));
    }
    if (!graph) {
      QTRY_VERIFY_WITH_TIMEOUT(!f.model.isLoading(), 60000);
      said("levels planned");
    }
  }

  void samplesFirstAndThenReadsAll() {
    // A tensor too large for one sample, with a value far out: the sample brackets the mean, the whole finds the value.
    QTemporaryDir folder;
    const std::string path = folder.filePath(QStringLiteral("m")).toStdString();
    constexpr std::int64_t kRows = 2000, kColumns = 600;
    std::vector<float> values(kRows * kColumns);
    std::mt19937 random(4);
    std::normal_distribution<float> normal(0.1f, 1.0f);
    for (float& value : values) value = normal(random);
    values[777 * kColumns + 5] = 250;
    values[3] = INFINITY;
    TensorEntry entry;
    entry.name = "w";
    entry.shape = {kRows, kColumns};
    entry.data = std::as_bytes(std::span(values));
    const TensorStatistics sample = sample_statistics(entry);
    QVERIFY(sample.is_sample() && sample.read > 200000 && sample.read <= 300000);
    QVERIFY(std::abs(sample.mean - 0.1) < 2 * sample.mean_error && sample.mean_error > 0 && sample.mean_error < 0.02);
    QVERIFY(std::abs(sample.deviation - 1) < 3 * sample.deviation_error + 0.3);
    QCOMPARE(sample.column_peaks.size(), TensorStatistics::kMostPeaks);
    QVERIFY(std::all_of(sample.column_peaks.begin(), sample.column_peaks.end(), [](float x) { return x > 2; }));
    JobContext job;
    int reports = 0;
    job.on_progress([&](const Progress& progress) { reports += progress.done <= progress.total; });
    const auto whole = tensor_statistics(entry, job);
    QVERIFY(whole.ok() && !whole->is_sample());
    QCOMPARE(whole->maximum, 250.0);
    QCOMPARE(whole->non_finite, std::int64_t{1});
    QCOMPARE(whole->row_peaks[777 * 256 / 2000], 250.0f);
    QCOMPARE(whole->column_peaks[5 * 256 / 600], 250.0f);
    QVERIFY(whole->outliers > 0 && whole->farthest() > 200);
    QCOMPARE(whole->mean_error, 0.0);
    QVERIFY(std::abs(whole->mean - sample.mean) < 2 * sample.mean_error);
    job.stop();
    QCOMPARE(tensor_statistics(entry, job).error().code, ErrorCode::kCanceled);
    // The same sample every time.
    QCOMPARE(sample_statistics(entry).mean, sample.mean);
  }

  void listsEveryKey() {
    for (const char* name : {"micro-llama.gguf", "micro-llama-hf"}) {
      const auto checkpoint = open_checkpoint(std::filesystem::path(RETORT_TEST_DATA) / name);
      QVERIFY(checkpoint.ok());
      ConfigModel model;
      const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
      model.setRows(config_entries(**checkpoint));
      QVERIFY(model.rowCount() >= static_cast<int>((*checkpoint)->metadata.entries().size()));
      bool layers = false;
      for (const ConfigEntry& entry : model.rows()) layers = layers || ((entry.key == "llama.block_count" || entry.key == "num_hidden_layers") && !entry.value.empty());
      QVERIFY(layers);
    }
    Checkpoint nested;
    nested.config_json = R"({"rope_scaling": {"factor": 8.0, "deep": {"a": [1, 2]}}, "text": "two\nlines", "none": null, "empty": {}})";
    nested.generation_config_json = "[1";
    const auto entries = config_entries(nested);
    QStringList lines;
    for (const ConfigEntry& entry : entries) lines << QString::fromStdString(entry.source + " " + entry.key + " = " + entry.value);
    QCOMPARE(lines, (QStringList{"config.json rope_scaling.factor = 8.0", "config.json rope_scaling.deep.a = [1, 2]", "config.json text = two\\nlines",
                                 "config.json none = null", "config.json empty = {}", "generation_config.json  = not a JSON object"}));
  }

  void searchesTheConfiguration() {
    Fixture f;
    f.open(dataFile("micro-llama.gguf"));
    QTRY_VERIFY(f.model.loaded());
    f.window.page(QStringLiteral("model"))->showPart(QStringLiteral("configuration"));
    auto* table = tableNamed(&f.window, QStringLiteral("Configuration"));
    const int all = table->model()->rowCount();
    for (QLineEdit* search : f.window.findChildren<QLineEdit*>())
      if (search->accessibleName() == QStringLiteral("Search the configuration")) search->setText(QStringLiteral("block_count"));
    QCOMPARE(table->model()->rowCount(), 1);
    QVERIFY(all > 10);
  }

  void colours_outliers() {
    Fixture f;
    f.open(dataFile("micro-llama.gguf"));
    QTRY_VERIFY(f.model.loaded());
    auto* map = f.visible<LayerMap>();
    QVERIFY(map);
    const QImage types = map->grab().toImage();
    f.window.page(QStringLiteral("model"))->showPart(QStringLiteral("outliers"));
    QTRY_VERIFY(!f.model.outliers().empty() && std::none_of(f.model.outliers().begin(), f.model.outliers().end(), [](const OutlierMark& mark) { return mark.farthest < 0; }));
    QVERIFY(map->grab().toImage() != types);
  }

  void newestTensorWins() {
    Fixture f;
    f.open(dataFile("micro-llama.gguf"));
    QTRY_VERIFY(f.model.loaded());
    QSignalSpy values(&f.model, &ModelService::statisticsReady);
    const std::vector<TensorRow> rows = f.model.tensors();   // a copy: planning the levels replaces the model's own
    f.model.requestStatistics(rows[0].name);
    f.model.requestStatistics(rows[1].name);
    QTRY_VERIFY(!values.isEmpty());
    QTest::qWait(50);
    for (const auto& arguments : values) QCOMPARE(QString::fromStdString(arguments[0].value<TensorStatisticsPtr>()->name), rows[1].name);
    values.clear();
    f.model.requestStatistics(rows[1].name);   // known already: at once
    QCOMPARE(values.size(), 1);
  }

  void opensAnOnnxGraph() {
    Fixture f;
    f.window.openPath(dataFile("onnx/cases/net-cnn.onnx"));
    QCOMPARE(f.window.currentPage(), QStringLiteral("model"));
    QTRY_VERIFY(f.model.graph());
    auto* map = f.visible<GraphMap>();
    QVERIFY(map);
    QTest::keyClick(map, Qt::Key_Right);
    const QString chosen = f.selection().tensor();
    QVERIFY(!chosen.isEmpty());
    QSignalSpy values(&f.model, &ModelService::statisticsReady);
    f.model.requestStatistics(chosen);
    QTRY_VERIFY(!values.isEmpty());
    const auto rows = operatorRows(f.model.graph()->summary);
    QVERIFY(!rows.empty() && rows.front().refused == 0);
    QVERIFY(std::any_of(rows.begin(), rows.end(), [](const OperatorRow& row) { return row.name == QStringLiteral("Conv") && row.bytes > 0; }));
    f.model.closeGraph();
    QVERIFY(!f.model.graph() && !f.visible<GraphMap>());
  }

  // f32, INT8 and what stays in f32 side by side, from inputs that the user names.
  void comparesAGraphWithItsInt8() {
    QTemporaryDir folder;
    const auto all = open_safetensors(dataFile("onnx/cases.safetensors").toStdString());
    QVERIFY(all.ok());
    const TensorEntry* x = (*all)->find("net-cnn/in/x");
    QVERIFY(x);
    const std::vector<TensorToWrite> sets = {{"0/x", x->shape, x->type, [x]() -> Result<std::span<const std::byte>> { return x->data; }}};
    const QString inputs = folder.filePath(QStringLiteral("inputs.safetensors"));
    QVERIFY(write_safetensors(inputs.toStdString(), sets, {}).ok());
    Fixture f;
    f.open(dataFile("onnx/cases/net-cnn.onnx"));
    QTRY_VERIFY(f.model.graph());
    f.window.page(QStringLiteral("model"))->showPart(QStringLiteral("compare"));
    auto* view = f.visible<CompareView>();
    QVERIFY(view);
    view->start();   // nothing to calibrate on: nothing happens
    QVERIFY(!view->isRunning());
    view->setInputs(inputs, {});
    QSignalSpy finished(view, &CompareView::finished);
    view->start();
    QVERIFY(view->isRunning() && (!finished.isEmpty() || finished.wait(60000)));
    auto* table = f.visible<QTableWidget>();
    QVERIFY(table && table->accessibleName().startsWith(QStringLiteral("The graph")));
    QVERIFY(table->columnCount() >= 3 && table->rowCount() >= 8);
    QCOMPARE(table->horizontalHeaderItem(1)->text(), QStringLiteral("f32"));
    QCOMPARE(table->horizontalHeaderItem(2)->text(), QStringLiteral("INT8"));
    QVERIFY(table->item(0, 2)->text() != table->item(0, 1)->text());
    f.picture(QStringLiteral("compare"));
    // Inputs that are none of the graph's: the reason, and no table of before.
    view->setInputs(dataFile("onnx/cases.safetensors"), {});
    view->start();
    QVERIFY(finished.wait(60000));
    QVERIFY(!view->isRunning());
    f.model.closeGraph();
  }

  void saysWhatAGraphLacks() {
    Fixture f;
    f.open(dataFile("onnx/bad/unknown-operator.onnx"));
    QTRY_VERIFY(f.model.graph());
    const auto rows = operatorRows(f.model.graph()->summary);
    QVERIFY(!rows.empty() && rows.front().refused == 1 && rows.front().name == QStringLiteral("Einsum"));
    OperatorModel model;
    const QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    model.setRows(rows);
    f.model.showGraph(dataFile("onnx/cases.safetensors"));
    QTRY_VERIFY(f.model.graphFailure());
  }

  void mapsByArea() {
    const std::vector<double> weights = {6, 6, 4, 3, 2, 2, 1};
    const auto cells = squarified(weights, QRectF(0, 0, 60, 40));
    double total = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const double area = cells[i].width() * cells[i].height();
      QVERIFY(std::abs(area - weights[i] * 100) < 1e-6);
      total += area;
      QVERIFY(QRectF(-1e-9, -1e-9, 60 + 2e-9, 40 + 2e-9).contains(cells[i]));
      for (std::size_t k = 0; k < i; ++k) QVERIFY(!cells[i].adjusted(1e-6, 1e-6, -1e-6, -1e-6).intersects(cells[k]));
    }
    QVERIFY(std::abs(total - 2400) < 1e-6);
    QVERIFY(squarified({}, QRectF(0, 0, 1, 1)).empty());
  }
};

QTEST_MAIN(ModelPageTest)
#include "model_page_test.moc"
