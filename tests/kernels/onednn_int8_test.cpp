// oneDNN's integer product in every layout of the weights, called directly: where the processor lacks VNNI its sums
// saturate for large codes and the lists refuse it, so small codes, with which it is exact everywhere, check the rest.
#include <QtTest>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/api/interleaved.h"
#include "kernels/onednn/onednn.h"

using namespace retort::kernels;

class OnednnInt8Test : public QObject {
  Q_OBJECT

 private slots:
  void layouts_agree_data() {
    QTest::addColumn<int>("group");
    QTest::addColumn<int>("rows");
    QTest::addColumn<int>("columns");
    QTest::addColumn<int>("tokens");
    for (const int group : {1, 8, 16})
      for (const int rows : {5, 32, 83})
        for (const int columns : {70, 2048, 2130})
          for (const int tokens : {1, 9, 300})
            QTest::addRow("by %d: %d x %d, %d tokens", group, rows, columns, tokens) << group << rows << columns << tokens;
  }

  void layouts_agree() {
    QFETCH(const int, group);
    QFETCH(const int, rows);
    QFETCH(const int, columns);
    QFETCH(const int, tokens);
    if (std::strcmp(onednn::why_no_int8(), "built without oneDNN") == 0) QSKIP("built without oneDNN");
    std::mt19937 random(7);
    const auto codes = [&](std::size_t n) {   // two products of neighbours stay within 16 bits: 2 · (127 + 50) · 50
      std::vector<std::int8_t> out(n);
      for (std::int8_t& code : out) code = static_cast<std::int8_t>(static_cast<int>(random() % 101) - 50);
      return out;
    };
    const auto stored = codes(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
    const std::size_t stride = (static_cast<std::size_t>(columns) + 3) / 4 * 4;
    auto x = codes(static_cast<std::size_t>(tokens) * stride);
    std::vector<float> token_scales(static_cast<std::size_t>(tokens)), row_scales(static_cast<std::size_t>(rows));
    for (std::size_t t = 0; t < token_scales.size(); ++t) token_scales[t] = 0.01f * static_cast<float>(t % 5 + 1);
    for (std::size_t r = 0; r < row_scales.size(); ++r) row_scales[r] = 0.02f * static_cast<float>(r % 3);
    std::vector<Q8Row> rounded(static_cast<std::size_t>(tokens));
    for (std::size_t t = 0; t < rounded.size(); ++t) {
      rounded[t].codes = x.data() + t * stride;
      rounded[t].scales = &token_scales[t];
    }
    std::vector<std::int8_t> laid = stored;
    if (group > 1) {
      const std::size_t bytes = interleaved_group_bytes(TensorType::kI8, columns, group);
      const int groups = (rows + group - 1) / group;
      laid.assign(bytes * static_cast<std::size_t>(groups), 0);
      for (int g = 0; g < groups; ++g)
        interleave_group(TensorType::kI8, stored.data(), rows, columns, g * group, group, laid.data() + static_cast<std::size_t>(g) * bytes);
    }
    std::vector<float> y(static_cast<std::size_t>(tokens * rows), -1), scratch(kTileScratch);
    const auto run = group == 1 ? &onednn::linear_int8 : group == 8 ? &onednn::linear_int8_from8 : &onednn::linear_int8_from16;
    for (int first = 0; first < rows; first += 32)
      run({TensorType::kI8, laid.data(), row_scales.data(), columns, first, std::min(32, rows - first), tokens, nullptr, 0,
           rounded.data(), y.data(), rows, scratch.data()});
    for (int t = 0; t < tokens; ++t) {
      for (int r = 0; r < rows; ++r) {
        int sum = 0;
        for (int k = 0; k < columns; ++k)
          sum += x[static_cast<std::size_t>(t) * stride + static_cast<std::size_t>(k)] * stored[static_cast<std::size_t>(r * columns + k)];
        const float expected = static_cast<float>(sum) * (token_scales[static_cast<std::size_t>(t)] * row_scales[static_cast<std::size_t>(r)]);
        if (y[static_cast<std::size_t>(t * rows + r)] != expected)
          QFAIL(qPrintable(QString("token %1, row %2: %3, expected %4").arg(t).arg(r).arg(y[static_cast<std::size_t>(t * rows + r)]).arg(expected)));
      }
    }
  }
};

QTEST_APPLESS_MAIN(OnednnInt8Test)
#include "onednn_int8_test.moc"
