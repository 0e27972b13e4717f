// Whole tensors: any source type, any number of threads, errors that name the row, stopping.
#include <QTest>

#include <bit>
#include <cmath>
#include <cstring>

#include "core/quantize/quantizer.h"
#include "sample_weights.h"

using namespace retort;
using namespace retort::test;
using kernels::TensorType;

namespace {

constexpr std::int64_t kRows = 300, kColumns = 512;

QuantizeRequest request_for(const std::vector<float>& values, TensorType target) {
  QuantizeRequest request;
  request.source_type = TensorType::kF32;
  request.source = std::as_bytes(std::span(values));
  request.columns = kColumns;
  request.rows = static_cast<std::int64_t>(values.size()) / kColumns;
  request.target_type = target;
  return request;
}

Result<QuantizedTensor> run(const QuantizeRequest& request, int threads = 2) {
  kernels::ThreadPool pool(threads);
  return quantize_tensor(request, "blk.0.ffn_up.weight", pool, JobContext{});
}

}  // namespace

class QuantizeTensorTest : public QObject {
  Q_OBJECT

 private slots:
  void threads_do_not_matter() {
    const auto values = sample_weights(kRows * kColumns);
    const auto importance = sample_importance(kColumns);
    for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ5_1, TensorType::kQ4_K, TensorType::kQ6_K, TensorType::kI8}) {
      QuantizeRequest request = request_for(values, type);
      request.importance = importance;
      const auto one = run(request, 1), three = run(request, 3);
      QVERIFY(one.ok() && three.ok());
      QVERIFY(one->data == three->data);
      QVERIFY(one->row_scales == three->row_scales);
      QCOMPARE(one->stats.mean_squared_error, three->stats.mean_squared_error);
      std::vector<std::byte> direct(one->data.size());
      std::vector<float> scales(kRows);
      find_quantizer(type)->quantize_rows(values.data(), kRows, kColumns, importance, direct.data(), scales.data());
      QVERIFY(direct == one->data);
    }
  }

  void statistics_are_of_the_weights() {
    const auto values = sample_weights(kRows * kColumns);
    const auto out = run(request_for(values, TensorType::kQ4_0));
    QVERIFY(out.ok());
    std::vector<float> decoded(values.size());
    kernels::traits(TensorType::kQ4_0).decode(out->data.data(), decoded.data(), decoded.size());
    double error = 0, square = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      error += std::pow(double{values[i]} - double{decoded[i]}, 2);
      square += std::pow(double{values[i]}, 2);
    }
    const double n = static_cast<double>(values.size());
    QVERIFY(std::fabs(out->stats.mean_squared_error - error / n) < 1e-12 * error);
    QVERIFY(std::fabs(out->stats.relative_error - std::sqrt(error / square)) < 1e-12);
  }

  void packed_sources_are_decoded() {
    const auto values = sample_weights(kRows * kColumns);
    const auto q8 = run(request_for(values, TensorType::kQ8_0));
    QVERIFY(q8.ok());
    std::vector<float> decoded(values.size());
    kernels::traits(TensorType::kQ8_0).decode(q8->data.data(), decoded.data(), decoded.size());
    QuantizeRequest packed = request_for(values, TensorType::kQ4_K);
    packed.source_type = TensorType::kQ8_0;
    packed.source = q8->data;
    const auto from_packed = run(packed), from_floats = run(request_for(decoded, TensorType::kQ4_K));
    QVERIFY(from_packed.ok() && from_floats.ok());
    QVERIFY(from_packed->data == from_floats->data);
    packed.target_type = TensorType::kQ8_0;
    const auto same = run(packed);
    QVERIFY(same.ok());
    QVERIFY(same->data == q8->data);   // nothing to do
    QCOMPARE(same->stats.relative_error, 0.0);
  }

  void bad_values_name_their_row() {
    auto values = sample_weights(kRows * kColumns);
    for (const float bad : {INFINITY, -INFINITY, std::nanf("")}) {
      values[217 * kColumns + 3] = bad;
      const auto out = run(request_for(values, TensorType::kQ5_K));
      QVERIFY(!out.ok());
      QCOMPARE(out.error().code, ErrorCode::kNonFinite);
      QCOMPARE(out.error().place, std::string("blk.0.ffn_up.weight, row 217"));
    }
    values[217 * kColumns + 3] = 1e9f;   // finite, but its scale is beyond f16
    for (const TensorType type : {TensorType::kQ4_0, TensorType::kQ4_K, TensorType::kQ6_K, TensorType::kF16}) {
      const auto out = run(request_for(values, type));
      QVERIFY(!out.ok());
      QCOMPARE(out.error().code, ErrorCode::kNonFinite);
    }
    QVERIFY(run(request_for(values, TensorType::kI8)).ok());
  }

  // What nobody measures, in a buffer of the caller's, a few rows at a time: the same bytes and the same refusals.
  void rows_into_a_buffer() {
    auto values = sample_weights(kRows * kColumns);
    for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ4_K, TensorType::kQ8_0}) {
      const QuantizeRequest whole = request_for(values, type);
      const auto wanted = run(whole);
      QVERIFY(wanted.ok());
      std::vector<std::byte> packed(wanted->data.size());
      const std::size_t row = packed.size() / kRows;
      for (std::int64_t first = 0; first < kRows; first += 77) {
        QuantizeRequest part = whole;
        part.rows = std::min<std::int64_t>(77, kRows - first);
        part.first_row = first;
        part.source = whole.source.subspan(static_cast<std::size_t>(first * kColumns) * 4, static_cast<std::size_t>(part.rows * kColumns) * 4);
        part.into = std::span(packed).subspan(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(part.rows) * row);
        part.measured = false;
        const auto made = run(part);
        QVERIFY(made.ok() && made->data.empty());
        part.into = part.into.first(part.into.size() - 1);
        QCOMPARE(run(part).error().code, ErrorCode::kBadShape);
      }
      QVERIFY(packed == wanted->data);
    }
  }

  // Which floats a 16-bit type cannot hold is told from the values alone when nobody measures: as looking at the result tells it.
  void overflow_is_told_alike() {
    for (const auto& [type, first] : {std::pair{TensorType::kF16, 65520.0f}, std::pair{TensorType::kBF16, std::bit_cast<float>(0x7f7f8000)}}) {
      const float last = std::nextafter(first, 0.0f);
      for (const float value : {last, first, -last, -first}) {
        auto values = sample_weights(kRows * kColumns);
        values[100 * kColumns + 7] = value;
        QuantizeRequest request = request_for(values, type);
        const bool looked = run(request).ok();
        request.measured = false;
        request.first_row = 1000;
        const auto told = run(request);
        QCOMPARE(told.ok(), looked);
        QCOMPARE(looked, std::fabs(value) == last);
        if (!told.ok()) QVERIFY(told.error().place.find("row 1") != std::string::npos);
      }
    }
  }

  void bad_shapes_are_refused() {
    const auto values = sample_weights(kColumns);
    QuantizeRequest request = request_for(values, TensorType::kQ4_0);
    request.rows = 2;
    QCOMPARE(run(request).error().code, ErrorCode::kBadShape);
    request = request_for(values, TensorType::kQ4_K);
    request.columns = 32;
    request.rows = 16;
    QCOMPARE(run(request).error().code, ErrorCode::kBadShape);
    request = request_for(values, TensorType::kQ4_0);
    request.rows = std::int64_t{1} << 62;
    QCOMPARE(run(request).error().code, ErrorCode::kBadShape);
    request = request_for(values, TensorType::kQ4_0);
    const std::vector<float> few(3, 1.0f), negative(kColumns, -1.0f);
    request.importance = few;
    QCOMPARE(run(request).error().code, ErrorCode::kBadShape);
    request.importance = negative;
    QCOMPARE(run(request).error().code, ErrorCode::kNonFinite);
    QCOMPARE(run(request_for(values, TensorType::kI32)).error().code, ErrorCode::kBadArgument);
  }

  void stops_when_told() {
    const auto values = sample_weights(kRows * kColumns);
    kernels::ThreadPool pool(2);
    JobContext job;
    job.stop();
    const auto out = quantize_tensor(request_for(values, TensorType::kQ4_K), "w", pool, job);
    QVERIFY(!out.ok());
    QCOMPARE(out.error().code, ErrorCode::kCanceled);
  }
};

QTEST_APPLESS_MAIN(QuantizeTensorTest)
#include "quantize_tensor_test.moc"
