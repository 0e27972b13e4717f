// Folders that are quantized already: every stored scheme as one tensor with exact values, and hostile ones refused.
#include <QTest>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

#include <nlohmann/json.hpp>

#include "core/formats/checkpoint.h"
#include "format_files.h"

using namespace retort;
using namespace retort::test;

namespace {

const char* const kShared[] = {"gptq-4bit-g32-desc_act-false", "gptq-4bit-g32-desc_act-true", "gptq-4bit-sym-v1", "gptq-8bit",
                               "awq-4bit-g32", "compressed-tensors-w4a16", "compressed-tensors-w4a16-asym",
                               "compressed-tensors-w8a8-int8", "compressed-tensors-fp8", "fp8-block", "bnb-nf4",
                               "bnb-nf4-double"};

// Compares every coded tensor with the reference's tensor of the same name, bit for bit (zeros of either sign are one
// value). Returns how many were compared, -1 at a difference.
int compare_all(const Checkpoint& checkpoint, const Checkpoint& reference, QString& problem) {
  int compared = 0;
  for (const TensorEntry& tensor : checkpoint.tensors) {
    if (!tensor.coded) continue;
    const TensorEntry* expected = reference.find(tensor.name);
    if (!expected || expected->shape != tensor.shape) {
      problem = QString::fromStdString(tensor.name + ": not in the reference, or of another shape");
      return -1;
    }
    std::vector<float> got(static_cast<std::size_t>(tensor.elements())), want(got.size()), part(5 * 7);
    tensor.decode_rows(0, tensor.rows(), got.data());
    expected->decode_rows(0, expected->rows(), want.data());
    for (std::size_t i = 0; i < got.size(); ++i)
      if (!(got[i] == want[i])) {
        problem = QString::fromStdString(tensor.name + " at " + std::to_string(i) + ": " + std::to_string(got[i]) + " for " + std::to_string(want[i]));
        return -1;
      }
    // A rectangle in the middle is what the whole has there.
    const std::int64_t columns = tensor.columns();
    tensor.coded->decode(3, 5, 11, 7, part.data());
    for (std::int64_t r = 0; r < 5; ++r)
      for (std::int64_t c = 0; c < 7; ++c)
        if (part[static_cast<std::size_t>(r * 7 + c)] != want[static_cast<std::size_t>((3 + r) * columns + 11 + c)]) {
          problem = QStringLiteral("a rectangle differs");
          return -1;
        }
    if (!tensor.coded->check().ok()) {
      problem = QStringLiteral("check() refuses it");
      return -1;
    }
    ++compared;
  }
  return compared;
}

}  // namespace

class QuantizedTest : public QObject {
  Q_OBJECT

 private slots:
  void shared_folders_data() {
    QTest::addColumn<QString>("folder");
    for (const char* name : kShared) QTest::newRow(name) << QString(name);
  }
  void shared_folders() {
    QFETCH(QString, folder);
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED does not name the shared references");
    const std::filesystem::path path = std::filesystem::path(shared.toStdString()) / "quantized" / folder.toStdString();
    const auto opened = open_checkpoint(path);
    QVERIFY2(opened.ok(), opened.ok() ? "" : error_text(opened.error()).c_str());
    QVERIFY(!(*opened)->quantization_problem);
    const auto reference = open_safetensors(path / "reference.safetensors");
    QVERIFY(reference.ok());
    QString problem;
    const int compared = compare_all(**opened, **reference, problem);
    QVERIFY2(compared > 0, qPrintable(problem));
    QCOMPARE(compared % 7, 0);   // seven linears a layer
    for (const TensorEntry& tensor : (*opened)->tensors)
      QVERIFY2(tensor.coded || !tensor.name.ends_with("scales"), tensor.name.c_str());
  }

  // Small tensors of every scheme, packed and decoded by code of its own (tests/peers/quantized_peer.py).
  void stored_folders_data() {
    QTest::addColumn<QString>("folder");
    for (const auto& entry : std::filesystem::directory_iterator(RETORT_TEST_DATA "/quantized"))
      QTest::newRow(entry.path().filename().c_str()) << QString::fromStdString(entry.path().string());
  }
  void stored_folders() {
    QFETCH(QString, folder);
    const std::filesystem::path path = folder.toStdString();
    const auto opened = open_checkpoint(path);
    QVERIFY2(opened.ok(), opened.ok() ? "" : error_text(opened.error()).c_str());
    QVERIFY2(!(*opened)->quantization_problem, qPrintable(folder));
    const auto reference = open_safetensors(path / "reference.safetensors");
    QVERIFY(reference.ok());
    QString problem;
    QVERIFY2(compare_all(**opened, **reference, problem) > 0, qPrintable(problem));
  }

  // Seeded mutations of headers, configurations and group numbers: an answer each time, and rows decode without reading
  // outside the parts (the sanitizers see it).
  void hostile_folders_data() { stored_folders_data(); }
  void hostile_folders() {
    QFETCH(QString, folder);
    const std::filesystem::path path = folder.toStdString();
    const std::string weights = get_file(path / "model.safetensors"), config = get_file(path / "config.json");
    const Scratch scratch;
    std::mt19937 random(3);
    int opened_count = 0;
    for (int round = 0; round < 400; ++round) {
      std::string bytes = weights, text = config;
      for (unsigned i = 0; i <= random() % 3; ++i) {
        std::string& changed = random() % 4 == 0 ? text : bytes;
        // The header lies at the front; a digit for a digit keeps it JSON more often than not.
        const std::size_t at = random() % (random() % 2 == 0 ? changed.size() : std::min<std::size_t>(changed.size(), 1500));
        const bool digit = changed[at] >= '0' && changed[at] <= '9';
        changed[at] = digit ? static_cast<char>('0' + random() % 10) : random() % 8 == 0 ? static_cast<char>(random()) : changed[at];
      }
      put_file(scratch / "config.json", text);
      put_file(scratch / "model.safetensors", bytes);
      const auto opened = open_checkpoint(scratch.root());
      if (!opened.ok()) continue;
      ++opened_count;
      for (const TensorEntry& tensor : (*opened)->tensors) {
        if (!tensor.coded) continue;
        static_cast<void>(tensor.coded->check().ok());
        const std::int64_t columns = std::min<std::int64_t>(tensor.columns(), 4096);
        std::vector<float> row(static_cast<std::size_t>(columns));
        tensor.coded->decode(0, 1, 0, columns, row.data());
        tensor.coded->decode(tensor.rows() - 1, 1, tensor.columns() - columns, columns, row.data());
      }
    }
    QVERIFY(opened_count > 20);
  }

  void refuses_unknown_methods() {
    const Scratch scratch;
    put_file(scratch / "model.safetensors", get_file(RETORT_TEST_DATA "/quantized/gptq-2bit-32/model.safetensors"));
    const auto problem = [&](const char* config) {
      put_file(scratch / "config.json", std::string(R"({"quantization_config":)") + config + "}");
      const auto opened = open_checkpoint(scratch.root());
      if (!opened.ok()) return "refused: " + error_text(opened.error());
      return (*opened)->quantization_problem ? error_text(*(*opened)->quantization_problem) : std::string("opened");
    };
    QVERIFY(problem(R"({"quant_method":"aqlm"})").find("aqlm") != std::string::npos);
    QVERIFY(problem(R"({"quant_method":"gptq","bits":2,"checkpoint_format":"marlin"})").find("marlin") != std::string::npos);
    QVERIFY(problem(R"({"quant_method":"awq","bits":4,"version":"gemv"})").find("gemv") != std::string::npos);
    QCOMPARE(problem(R"({"quant_method":"gptq","bits":2,"group_size":32})"), std::string("opened"));
    QVERIFY(problem(R"({"quant_method":"awq","bits":4})").starts_with("refused"));   // the parts are another method's
  }
};

QTEST_APPLESS_MAIN(QuantizedTest)
#include "quantized_test.moc"
