// Every quantizer: exact vectors, bytes that never change, error bounds, zero and extreme blocks, importance.
#include <QTest>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/base/digest.h"
#include "core/formats/checkpoint.h"
#include "core/quantize/quantizer.h"
#include "sample_weights.h"

using namespace retort;
using namespace retort::test;
using kernels::row_bytes;
using kernels::TensorType;
using kernels::traits;

namespace {

constexpr std::int64_t kColumns = 512;

struct Packed {
  std::vector<std::byte> bytes;
  std::vector<float> scales, decoded;
};

Packed pack(TensorType type, const std::vector<float>& values, std::int64_t columns, std::span<const float> importance = {}) {
  const auto rows = static_cast<std::int64_t>(values.size()) / columns;
  const auto width = static_cast<std::size_t>(columns), height = static_cast<std::size_t>(rows);
  Packed out;
  out.bytes.resize(height * row_bytes(type, width));
  out.scales.resize(height);
  out.decoded.resize(values.size());
  find_quantizer(type)->quantize_rows(values.data(), rows, columns, importance, out.bytes.data(), out.scales.data());
  traits(type).decode(out.bytes.data(), out.decoded.data(), values.size());
  for (std::size_t i = 0; type == TensorType::kI8 && i < values.size(); ++i) out.decoded[i] *= out.scales[i / width];
  return out;
}

double weighed_error(const std::vector<float>& values, const std::vector<float>& decoded, const std::vector<float>& importance) {
  double error = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = double{values[i]} - double{decoded[i]};
    error += double{importance[i % importance.size()]} * difference * difference;
  }
  return error;
}

double relative_error(const std::vector<float>& values, const std::vector<float>& decoded) {
  double square = 0;
  for (const float v : values) square += double{v} * double{v};
  return std::sqrt(weighed_error(values, decoded, {1.0f}) / square);
}

std::vector<char> read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<float> read_floats(const std::string& path) {
  const auto raw = read_all(path);
  std::vector<float> out(raw.size() / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), raw.data(), out.size() * sizeof(float));
  return out;
}

std::string digest_hex(std::span<const std::byte> bytes) {
  DigestBuilder builder;
  builder.raw(bytes);
  return builder.finish().hex().substr(0, 16);
}

}  // namespace

class QuantizersTest : public QObject {
  Q_OBJECT

 private slots:
  void types() {
    for (const Quantizer* quantizer : quantizers()) {
      QCOMPARE(find_quantizer(quantizer->type()), quantizer);
      QVERIFY(quantizer->version() > 0);
    }
    QCOMPARE(quantizers().size(), std::size_t{14});
    QVERIFY(find_quantizer(TensorType::kI32) == nullptr);
  }

  void matches_vectors_data() {
    QTest::addColumn<QString>("type");
    for (const char* type : {"Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "BF16"}) QTest::newRow(type) << type;
  }
  void matches_vectors() {
    QFETCH(QString, type);
    const std::string folder = RETORT_TEST_DATA "/quantize/";
    const auto values = read_floats(folder + "input.f32");
    QCOMPARE(values.size(), std::size_t{24 * 32});
    const auto expected = read_all(folder + type.toStdString() + ".packed");
    const Packed out = pack(kernels::find_type(type.toStdString())->type, values, 192);
    QCOMPARE(out.bytes.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (static_cast<char>(out.bytes[i]) != expected[i]) QFAIL(qPrintable(QString("byte %1 differs").arg(i)));
    }
  }

  void matches_shared_vectors_data() { matches_vectors_data(); }
  void matches_shared_vectors() {
    QFETCH(QString, type);
    const QByteArray shared = qgetenv("RETORT_SHARED");
    if (shared.isEmpty()) QSKIP("RETORT_SHARED is not set");
    const auto file = open_safetensors(shared.toStdString() + "/ggml_types/" + type.toStdString() + ".safetensors");
    QVERIFY(file.ok());
    const bool dense = type == "BF16";
    const TensorEntry* input = (*file)->find(dense ? "input" : "q_input");
    const TensorEntry* expected = (*file)->find(dense ? "packed" : "q_packed");
    QVERIFY(input != nullptr && expected != nullptr);
    std::vector<float> values(input->data.size() / sizeof(float));
    std::memcpy(values.data(), input->data.data(), input->data.size());
    const Packed out = pack(kernels::find_type(type.toStdString())->type, values, input->columns());
    QCOMPARE(out.bytes.size(), expected->data.size());
    QVERIFY(std::memcmp(out.bytes.data(), expected->data.data(), out.bytes.size()) == 0);
  }

  // Digests of the bytes of these weights (I8 aside, those of llama-quantize's files). They hold on every machine;
  // a quantizer that means to give others raises its version.
  void bytes_stay_data() {
    QTest::addColumn<QString>("type");
    QTest::addColumn<QString>("plain");
    QTest::addColumn<QString>("weighed");
    QTest::newRow("Q4_0") << "Q4_0" << "7cfd402d1b048525" << "d087e7e1d3e80c58";
    QTest::newRow("Q4_1") << "Q4_1" << "72fac97d25f3287c" << "c6286db8a041df62";
    QTest::newRow("Q5_0") << "Q5_0" << "576b325ed6002f9a" << "93fe6c938a03b170";
    QTest::newRow("Q5_1") << "Q5_1" << "b0e1d664345576d2" << "bdde71b5395bb27a";
    QTest::newRow("Q8_0") << "Q8_0" << "99363efe50d10e81" << "99363efe50d10e81";
    QTest::newRow("Q2_K") << "Q2_K" << "38b1996e12735f5b" << "867899737026eb5d";
    QTest::newRow("Q3_K") << "Q3_K" << "a5895b6754331b70" << "5fab09ed1125c1bc";
    QTest::newRow("Q4_K") << "Q4_K" << "1a8a7ade400fef29" << "27ed12fcac9ff198";
    QTest::newRow("Q5_K") << "Q5_K" << "0745f1bf0e61806e" << "7ba0b66c18ed0501";
    QTest::newRow("Q6_K") << "Q6_K" << "f29db0bb6a8d4f83" << "e49382c8f27b66c5";
    QTest::newRow("I8") << "I8" << "cb77ed3752fc1807" << "cb77ed3752fc1807";
    QTest::newRow("F16") << "F16" << "ef6a5843ebf8dfe1" << "ef6a5843ebf8dfe1";
  }
  void bytes_stay() {
    QFETCH(QString, type);
    QFETCH(QString, plain);
    QFETCH(QString, weighed);
    const TensorType target = kernels::find_type(type.toStdString())->type;
    const auto values = sample_weights(11 * kColumns);
    QCOMPARE(QString::fromStdString(digest_hex(pack(target, values, kColumns).bytes)), plain);
    const auto importance = sample_importance(kColumns);
    QCOMPARE(QString::fromStdString(digest_hex(pack(target, values, kColumns, importance).bytes)), weighed);
  }

  void errors_are_small_data() {
    QTest::addColumn<QString>("type");
    QTest::addColumn<double>("bound");
    // Uniform rounding of a bell curve: a step of range / codes leaves step / sqrt(12); the bounds leave it a fifth.
    const std::pair<const char*, double> bounds[] = {
        {"F32", 0}, {"F16", 0.0003}, {"BF16", 0.0025}, {"I8", 0.02}, {"Q8_0", 0.008}, {"Q6_K", 0.025}, {"Q5_K", 0.04},
        {"Q5_1", 0.045}, {"Q5_0", 0.05}, {"Q4_K", 0.08}, {"Q4_1", 0.09}, {"Q4_0", 0.11}, {"Q3_K", 0.17}, {"Q2_K", 0.32}};
    for (const auto& [type, bound] : bounds) QTest::newRow(type) << type << bound;
  }
  void errors_are_small() {
    QFETCH(QString, type);
    QFETCH(double, bound);
    const auto values = sample_weights(16 * kColumns, 7);
    const double error = relative_error(values, pack(kernels::find_type(type.toStdString())->type, values, kColumns).decoded);
    QVERIFY2(error <= bound, qPrintable(QString("%1 is above %2").arg(error).arg(bound)));
    QVERIFY2(error >= bound / 2, "the bound is too wide to tell anything");
  }

  void importance_lowers_the_weighed_error_data() {
    QTest::addColumn<QString>("type");
    for (const char* type : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})
      QTest::newRow(type) << type;
  }
  void importance_lowers_the_weighed_error() {
    QFETCH(QString, type);
    const TensorType target = kernels::find_type(type.toStdString())->type;
    const auto values = sample_weights(32 * kColumns, 3);
    const auto importance = sample_importance(kColumns, 4);
    const double plain = weighed_error(values, pack(target, values, kColumns).decoded, importance);
    const double weighed = weighed_error(values, pack(target, values, kColumns, importance).decoded, importance);
    QVERIFY2(weighed < 0.97 * plain, qPrintable(QString("%1 against %2").arg(weighed).arg(plain)));
  }

  void zeros_stay_zero() {
    const std::vector<float> zeros(2 * kColumns, 0.0f);
    const std::vector<float> some(kColumns, 1.0f), none(kColumns, 0.0f);
    for (const Quantizer* quantizer : quantizers()) {
      for (const auto& importance : {std::span<const float>(), std::span<const float>(some), std::span<const float>(none)}) {
        const Packed out = pack(quantizer->type(), zeros, kColumns, importance);
        for (const float value : out.decoded) QCOMPARE(value, 0.0f);
      }
    }
  }

  void extremes_stay_finite() {
    std::vector<std::vector<float>> cases;
    for (const float size : {1e-42f, 1e-38f, 1e-30f, 1e-15f, 1e-8f, 1e-3f, 1.0f, 1e3f, 5e4f}) {
      auto values = sample_weights(kColumns, 5);
      for (float& value : values) value *= size;
      cases.push_back(values);
      cases.emplace_back(kColumns, size);        // constant blocks
      cases.emplace_back(kColumns, -size);
      values.assign(kColumns, 0.0f);
      values[100] = -size;                       // alone among zeros
      cases.push_back(values);
    }
    const auto importance = sample_importance(kColumns);
    const std::vector<float> none(kColumns, 0.0f);
    for (const Quantizer* quantizer : quantizers()) {
      for (const auto& values : cases) {
        float largest = 0;
        for (const float value : values) largest = std::max(largest, std::fabs(value));
        for (const auto& weights : {std::span<const float>(), std::span<const float>(importance), std::span<const float>(none)}) {
          for (const float value : pack(quantizer->type(), values, kColumns, weights).decoded) {
            QVERIFY(std::isfinite(value));
            QVERIFY(std::fabs(value) <= 1.5f * largest + 1e-6f);
          }
        }
      }
    }
  }

  // A grid of the type's own is found again: quantizing the decoded values once more changes next to nothing.
  void own_grids_are_kept() {
    for (const TensorType type : {TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kQ5_0, TensorType::kQ6_K, TensorType::kI8}) {
      const auto first = pack(type, sample_weights(8 * kColumns, 9), kColumns).decoded;
      const double error = relative_error(first, pack(type, first, kColumns).decoded);
      QVERIFY2(error < 0.004, qPrintable(QString("%1: %2").arg(traits(type).name.data()).arg(error)));
    }
  }

  // Blocks of 32 are searched eight at a time across rows: a row's bytes must not depend on its neighbours.
  void rows_are_independent() {
    const std::int64_t columns = 3 * 256;
    const auto values = sample_weights(7 * columns, 11);
    const auto importance = sample_importance(columns, 12);
    for (const Quantizer* quantizer : quantizers()) {
      const Packed whole = pack(quantizer->type(), values, columns, importance);
      const std::size_t bytes = row_bytes(quantizer->type(), static_cast<std::size_t>(columns));
      for (std::int64_t row = 0; row < 7; ++row) {
        const std::vector<float> one(values.begin() + row * columns, values.begin() + (row + 1) * columns);
        const Packed alone = pack(quantizer->type(), one, columns, importance);
        QVERIFY(std::memcmp(alone.bytes.data(), whole.bytes.data() + static_cast<std::size_t>(row) * bytes, bytes) == 0);
      }
    }
  }

  void int8_codes_are_symmetric() {
    std::vector<float> values = {-2.0f, 1.0f, 0.5f, 2.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    const Packed out = pack(TensorType::kI8, values, 4);
    const std::vector<int> expected = {-127, 64, 32, 127, 0, 0, 0, 0};   // 63.5 and 31.75 to nearest, ties to even
    for (std::size_t i = 0; i < expected.size(); ++i) {
      QCOMPARE(static_cast<int>(static_cast<std::int8_t>(out.bytes[i])), expected[i]);
    }
    QCOMPARE(out.scales[0], 2.0f / 127.0f);
    QCOMPARE(out.scales[1], 0.0f);
  }
};

QTEST_APPLESS_MAIN(QuantizersTest)
#include "quantizers_test.moc"
