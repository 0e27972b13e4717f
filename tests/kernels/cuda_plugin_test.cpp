// The plug-in behind its C ABI, with the CPU for a device: layouts, refusals, and a small decoder and encoder from upload to
// the greatest outputs.
#include <QtTest>

#include "cuda_cases.h"
#include "kernels/cuda/plan_check.h"

using namespace retort::cuda;
using retort::cuda::test::kTypePairs;
using retort::cuda::test::TypePair;

class CudaPluginTest : public QObject {
  Q_OBJECT
 private slots:
  // Bodies and scales put together again are the stored blocks; every element is decoded as the reference decodes it.
  void layoutsKeepEveryByte() {
    for (const TypePair& type : kTypePairs) {
      const retort::kernels::TypeTraits& t = retort::kernels::traits(type.stored);
      const Layout l = layout_of(type.type);
      if (t.packed()) {
        QCOMPARE(l.block, static_cast<int>(t.block_size));
        QCOMPARE(l.stored, static_cast<int>(t.block_bytes));
      }
      QCOMPARE(l.body % 16, 0);
      const std::int64_t rows = 5, columns = t.packed() ? 512 : 45;
      const std::vector<std::uint8_t> stored = retort::kernels::test::random_weights(type.stored, rows, columns, 3);
      QCOMPARE(stored_bytes(type.type, rows, columns), static_cast<std::uint64_t>(stored.size()));
      const MatrixBytes bytes = matrix_bytes(type.type, rows, columns);
      std::vector<unsigned char> body(bytes.body + 16), scales(bytes.scales + 16);
      split_rows(type.type, stored.data(), rows, columns, body.data(), scales.data());
      const Matrix m{body.data(), reinterpret_cast<const std::uint16_t*>(scales.data()), static_cast<std::int32_t>(rows), static_cast<std::int32_t>(columns),
                     static_cast<std::int32_t>(divide_up(columns, l.block)), type.type};
      std::vector<float> want(static_cast<std::size_t>(rows * columns));
      t.decode(stored.data(), want.data(), want.size());
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) {
          const float got = element_at(m, r, static_cast<int>(c)), expected = want[static_cast<std::size_t>(r * columns + c)];
          QVERIFY2(got == expected, (std::string(type.name) + " " + std::to_string(got) + " for " + std::to_string(expected)).c_str());
        }
    }
  }

  void refusesByName() {
    retort_weight weight{.type = 3, .uses = RETORT_USE_LINEAR, .rows = 4, .columns = 32, .bytes = 80, .name = "blk.0.attn_q.weight"};
    QCOMPARE(check_weights(&weight, 1), RETORT_UNSUPPORTED);
    QVERIFY(last_failure().find("blk.0.attn_q.weight") != std::string::npos);
    weight.type = RETORT_TYPE_Q4_0;
    QCOMPARE(check_weights(&weight, 1), RETORT_BAD_ARGUMENT);
    weight.bytes = 72;
    QCOMPARE(check_weights(&weight, 1), RETORT_OK);
    // More outputs than a grid has room for, and sizes whose product no number of bytes holds.
    weight.rows = std::int64_t{1} << 21;
    weight.bytes = 18u << 21;
    QCOMPARE(check_weights(&weight, 1), RETORT_UNSUPPORTED);
    weight.type = RETORT_TYPE_F32;
    weight.rows = weight.columns = std::int64_t{1} << 30;
    weight.bytes = std::uint64_t{1} << 62;
    QCOMPARE(check_weights(&weight, 1), RETORT_BAD_ARGUMENT);

    retort_step step{};
    step.kind = RETORT_STEP_EXPERTS;
    step.name = "blk.0.experts";
    retort_plan plan{};
    plan.size = sizeof(plan);
    plan.causal = 1;
    plan.batch = plan.context = plan.hidden = 16;
    plan.pool = -1;
    plan.step_count = 1;
    plan.steps = &step;
    QCOMPARE(check_plan(plan), RETORT_UNSUPPORTED);
    QVERIFY(last_failure().find("blk.0.experts") != std::string::npos);
    plan.step_count = 0;
    QCOMPARE(check_plan(plan), RETORT_OK);
    plan.pool = RETORT_POOL_LAST;
    QCOMPARE(check_plan(plan), RETORT_UNSUPPORTED);
    plan.pool = -1;
    plan.layers = 65535;
    plan.kv_heads = plan.head_dim = 65535;
    plan.context = (std::int64_t{1} << 31) - 1;
    QCOMPARE(check_plan(plan), RETORT_BAD_ARGUMENT);
    plan.size = 8;
    QCOMPARE(check_plan(plan), RETORT_BAD_ARGUMENT);
  }
};

QTEST_APPLESS_MAIN(CudaPluginTest)
#include "cuda_plugin_test.moc"
