// Every kernel of the linear that this machine can run, against the reference.
//
// Tolerance. Let u = 2^-24 and S = Σ_k (|w_k| + m_k) |x_k|, where m_k is the largest minimum of the weight's block (the
// products with codes and with minima are summed apart). A chain of n fused multiply-adds in f32 errs by at most n u S.
// Kernels in integers are exact within a block and round a handful of times per block, so for them n is the number
// of blocks times 6 (scale product, two conversions' products, two additions, decoding in the reference). The last
// rounding of the reference adds u |y|.
#include <QtTest>

#include <string>
#include <vector>

#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/linear_list.h"
#include "kernels/dispatch/ops.h"
#include "linear_fixture.h"

using namespace retort::kernels;
using namespace retort::kernels::test;

namespace {

const char* layout_name(WeightLayout layout) {
  return layout == WeightLayout::kStored ? "stored" : layout == WeightLayout::kInterleaved8 ? "by 8" : "by 16";
}

std::vector<float> run_bound(const Problem& p, const LinearChoice& choice, int threads) {
  ThreadPool pool(threads);
  BoundLinear linear;
  const char* why = nullptr;
  if (!linear.bind(p.weight(), choice, pool, &why)) return {};
  std::vector<std::byte> scratch(linear_scratch_bytes(p.m, p.columns, threads));
  std::vector<float> y(static_cast<std::size_t>(p.m * p.rows));
  const LinearCall call{&linear, y.data(), p.rows};
  run_linears({&call, 1}, p.x.data(), p.m, p.x_stride, scratch.data(), pool);
  return y;
}

}  // namespace

class LinearTest : public QObject {
  Q_OBJECT

 private slots:
  void initTestCase() { qunsetenv("RETORT_KERNEL"); }

  void every_kernel_data() {
    QTest::addColumn<int>("index");
    QTest::addColumn<bool>("rounded");
    int index = 0;
    for (const LinearKernel& kernel : linear_kernels()) {
      const std::string name = std::string(traits(kernel.type).name) + " " + kernel.name + " " +
                               layout_name(kernel.layout) + (kernel.input == Input::kRounded ? " integer" : " f32") +
                               (kernel.most_tokens == INT64_MAX ? "" : " few");
      // Other dense types are never weights of a linear; random bytes of them would be NaN.
      const bool weight = traits(kernel.type).packed() || kernel.type <= TensorType::kBF16 || kernel.type == TensorType::kI8 ||
                          kernel.type == TensorType::kF8_E4M3 || kernel.type == TensorType::kF8_E5M2;
      if (weight && *kernel.refusal() == '\0') {
        if (kernel.type != TensorType::kI8 && kernel.input == Input::kFloat)
          QTest::newRow((name + ", f32 activations").c_str()) << index << false;
        if (q8_layout(kernel.type) != Q8Layout::kNone)
          QTest::newRow((name + ", rounded activations").c_str()) << index << true;
      }
      ++index;
    }
  }
  void every_kernel() {
    QFETCH(int, index);
    QFETCH(bool, rounded);
    const LinearKernel& kernel = linear_kernels()[static_cast<std::size_t>(index)];
    QCOMPARE(compare_shapes(kernel, rounded ? q8_layout(kernel.type) : Q8Layout::kNone), std::string());
  }

  void one_hot_gives_the_weight_data() { every_kernel_data(); }
  void one_hot_gives_the_weight() {
    QFETCH(int, index);
    QFETCH(bool, rounded);
    const LinearKernel& kernel = linear_kernels()[static_cast<std::size_t>(index)];
    if (!rounded) QCOMPARE(compare_one_hot(kernel), std::string());
  }

  // Rounding by any level gives the reference's bytes.
  void roundings_agree() {
    for (const Rounding& candidate : roundings()) {
      if (!supported(candidate.needs)) continue;
      for (const Q8Layout layout : {Q8Layout::kBlocks32, Q8Layout::kBlocks256, Q8Layout::kRow}) {
        for (const std::size_t n : {std::size_t{256}, std::size_t{1536}, std::size_t{37}, std::size_t{3}}) {
          if (layout != Q8Layout::kRow && n % 256 != 0) continue;
          for (const float size : {0.0f, 1.0f, 1e-31f, 1e30f, 6e4f}) {
            std::vector<float> x = random_floats(n, 3);
            for (float& value : x) value *= size;
            if (size == 1.0f) x[n / 2] = -x[n / 3];  // a tie in magnitude
            Rounded a(n), b(n);
            reference::round_row(layout, x.data(), n, a.row);
            candidate.round(layout, x.data(), n, b.row);
            QCOMPARE(b.codes, a.codes);
            QCOMPARE(b.scales, a.scales);
            QCOMPARE(b.sums, a.sums);
            QCOMPARE(b.scaled_sums, a.scaled_sums);
            QCOMPARE(b.sums32, a.sums32);
            QCOMPARE(b.sums16, a.sums16);
            if (size > 1e9f) continue;  // scales beyond f16 are infinite
            std::vector<float> from_a(n), from_b(n);
            reference::expand_row(layout, a.row, n, from_a.data());
            candidate.expand(layout, b.row, n, from_b.data());
            QCOMPARE(from_b, from_a);
          }
        }
      }
    }
  }

  // The same bytes for any number of threads, and for one row of y computed alone or in a batch of two.
  void threads_do_not_matter() {
    for (const TensorType type : {TensorType::kF16, TensorType::kQ4_0, TensorType::kQ6_K, TensorType::kI8}) {
      for (const std::int64_t m : {1, 9}) {
        const Problem p(type, 200, 512, m);
        const std::vector<float> alone = run_bound(p, {}, 1);
        QVERIFY(!alone.empty());
        QCOMPARE(run_bound(p, {}, 2), alone);
        QCOMPARE(run_bound(p, {}, 5), alone);
      }
    }
  }

  // A fused step over weights of different types gives what each gives alone.
  void fused_equals_single() {
    ThreadPool pool(2);
    const std::int64_t n = 512, m = 3;
    const TensorType types[] = {TensorType::kQ4_K, TensorType::kQ8_0, TensorType::kF16, TensorType::kI8, TensorType::kQ6_K};
    std::vector<Problem> problems;
    for (const TensorType type : types) problems.emplace_back(type, 40 + 8 * static_cast<int>(type), n, m);
    std::vector<BoundLinear> linears(std::size(types));
    std::vector<std::vector<float>> y;
    std::vector<LinearCall> calls;
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const char* why = nullptr;
      QVERIFY(linears[i].bind(problems[i].weight(), {}, pool, &why));
      y.emplace_back(static_cast<std::size_t>(m * problems[i].rows));
    }
    for (std::size_t i = 0; i < linears.size(); ++i) calls.push_back({&linears[i], y[i].data(), problems[i].rows});
    std::vector<std::byte> scratch(linear_scratch_bytes(m, n, 2));
    run_linears(calls, problems[0].x.data(), m, problems[0].x_stride, scratch.data(), pool);
    for (std::size_t i = 0; i < linears.size(); ++i) {
      Problem single = problems[i];
      single.x = problems[0].x;
      QCOMPARE(y[i], run_bound(single, {}, 1));
    }
  }

  // A weight in several parts gives what the same numbers give in one.
  void source_equals_stored() {
    ThreadPool pool(2);
    const Problem p(TensorType::kF32, 45, 579, 3);
    const auto* const stored = reinterpret_cast<const float*>(p.weights.data());
    WeightSource source;
    source.self = stored;
    source.decode = [](const void* self, std::int64_t first_row, std::int64_t rows, std::int64_t first_column,
                       std::int64_t columns, float* out) {
      for (std::int64_t r = 0; r < rows; ++r)
        std::copy_n(static_cast<const float*>(self) + (first_row + r) * 579 + first_column, columns, out + r * columns);
    };
    Weight in_parts = p.weight();
    in_parts.data = nullptr;
    in_parts.source = &source;
    std::vector<double> expected, magnitude;
    expect(p, Q8Layout::kNone, expected, magnitude);
    for (const LinearKernel& kernel : linear_kernels()) {
      if (kernel.type != TensorType::kF32 || !kernel.reads_source || *kernel.refusal() != '\0') continue;
      const char* why = nullptr;
      BoundLinear linear;
      QVERIFY(linear.bind(in_parts, {Activations::kF32, kernel.name}, pool, &why));
      std::vector<std::byte> scratch(linear_scratch_bytes(p.m, p.columns, 2));
      std::vector<float> y(static_cast<std::size_t>(p.m * p.rows));
      const LinearCall call{&linear, y.data(), p.rows};
      run_linears({&call, 1}, p.x.data(), p.m, p.x_stride, scratch.data(), pool);
      for (std::size_t i = 0; i < y.size(); ++i)
        QVERIFY(std::fabs(static_cast<double>(y[i]) - expected[i]) <= kUnit * 580 * (magnitude[i] + 1));
    }
    in_parts.data = stored;
    const char* why = nullptr;
    BoundLinear linear;
    QVERIFY(!linear.bind(in_parts, {}, pool, &why));   // one or the other
  }

  void forcing() {
    ThreadPool pool(1);
    const Problem p(TensorType::kQ4_0, 32, 64, 1);
    const char* why = nullptr;
    BoundLinear linear;
    QVERIFY(linear.bind(p.weight(), {Activations::kQ8, "reference"}, pool, &why));
    QCOMPARE(std::string(linear.decode_kernel()), std::string("reference"));
    QCOMPARE(linear.repacked_bytes(), std::size_t{0});
    if (supported(Isa::kAvx2)) {
      QVERIFY(linear.bind(p.weight(), {Activations::kQ8, "avx2"}, pool, &why));
      QCOMPARE(std::string(linear.decode_kernel()), std::string("avx2"));
      QCOMPARE(std::string(linear.prefill_kernel()), std::string("avx2"));
    }
    QVERIFY(!linear.bind(p.weight(), {Activations::kQ8, "no-such-kernel"}, pool, &why));
    QVERIFY(why != nullptr);
    if (!supported(Isa::kAvx512)) QVERIFY(!linear.bind(p.weight(), {Activations::kQ8, "avx512"}, pool, &why));
    qputenv("RETORT_KERNEL", "reference");
    QVERIFY(linear.bind(p.weight(), {}, pool, &why));
    QCOMPARE(std::string(linear.decode_kernel()), std::string("reference"));
    QCOMPARE(std::string(ops()->name), std::string("reference"));
    qputenv("RETORT_KERNEL", "no-such-kernel");
    QVERIFY(!linear.bind(p.weight(), {}, pool, &why));
    QVERIFY(ops() == nullptr);
    qunsetenv("RETORT_KERNEL");
  }

  void refuses_bad_weights() {
    ThreadPool pool(1);
    const char* why = nullptr;
    BoundLinear linear;
    const std::vector<std::uint8_t> bytes(1000);
    QVERIFY(!linear.bind({TensorType::kQ4_0, bytes.data(), nullptr, 1, 33}, {}, pool, &why));
    QVERIFY(!linear.bind({TensorType::kI8, bytes.data(), nullptr, 1, 32}, {}, pool, &why));
    QVERIFY(!linear.bind({TensorType::kF32, nullptr, nullptr, 1, 32}, {}, pool, &why));
  }
};

QTEST_APPLESS_MAIN(LinearTest)
#include "linear_test.moc"
