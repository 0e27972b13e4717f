// Every kernel of the linear that this machine can run, against the reference.
//
// Tolerance. Let u = 2^-24 and S = Σ_k (|w_k| + m_k) |x_k|, where m_k is the largest minimum of the weight's block (the
// products with codes and with minima are summed apart). A chain of n fused multiply-adds in f32 errs by at most n u S.
// Kernels in integers are exact within a block and round a handful of times per block, so for them n is the number
// of blocks times 6 (scale product, two conversions' products, two additions, decoding in the reference). The last
// rounding of the reference adds u |y|.
#include <QtTest>

#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "kernels/api/interleaved.h"
#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/linear_list.h"
#include "kernels/dispatch/ops.h"
#include "kernels/reference/reference.h"
#include "random_weights.h"

using namespace retort::kernels;
using retort::kernels::test::random_weights;

namespace {

constexpr double kUnit = 0x1p-24;

// Rounded rows with room of their own.
struct Rounded {
  std::vector<std::int8_t> codes;
  std::vector<float> scales, scaled_sums;
  std::vector<std::int32_t> sums;
  std::vector<std::int16_t> sums32, sums16;
  Q8Row row;
  explicit Rounded(std::size_t n)
      : codes(n + 4), scales(n / 32 + 1), scaled_sums(n / 32 + 1), sums(n / 32 + 1), sums32(n / 32 + 1),
        sums16(n / 16 + 1), row{codes.data(), scales.data(), sums.data(), scaled_sums.data(), sums32.data(),
                                sums16.data()} {}
};

std::vector<float> random_floats(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

struct Problem {
  TensorType type;
  std::int64_t rows, columns, m;
  std::vector<std::uint8_t> weights;
  std::vector<float> row_scales, x;
  std::int64_t x_stride;

  Problem(TensorType t, std::int64_t r, std::int64_t c, std::int64_t tokens)
      : type(t), rows(r), columns(c), m(tokens), weights(random_weights(t, r, c, 11)),
        row_scales(static_cast<std::size_t>(r), 0.01f), x_stride(c + 3) {
    x = random_floats(static_cast<std::size_t>(m * x_stride), 5);
    // A block of zeros, an outlier, a tiny block.
    for (std::int64_t k = 0; k < std::min<std::int64_t>(32, columns); ++k) x[static_cast<std::size_t>(k)] = 0;
    if (m > 1) x[static_cast<std::size_t>(x_stride + columns / 2)] = 300;
    if (m > 2)
      for (std::int64_t k = 0; k < std::min<std::int64_t>(32, columns); ++k)
        x[static_cast<std::size_t>(2 * x_stride + k)] *= 1e-36f;
    for (std::size_t i = 0; i < row_scales.size(); ++i) row_scales[i] *= static_cast<float>(i % 7);
  }
  Weight weight() const { return {type, weights.data(), row_scales.data(), rows, columns}; }
};

// y of the reference in f64 and the sum S of the tolerance; activations rounded when `layout` says so.
void expect(const Problem& p, Q8Layout layout, std::vector<double>& y, std::vector<double>& magnitude) {
  const auto n = static_cast<std::size_t>(p.columns);
  const TypeTraits& t = traits(p.type);
  y.assign(static_cast<std::size_t>(p.m * p.rows), 0);
  magnitude = y;
  std::vector<float> w(n), x(n);
  Rounded rounded(n);
  for (std::int64_t token = 0; token < p.m; ++token) {
    const float* source = p.x.data() + token * p.x_stride;
    std::copy(source, source + n, x.begin());
    if (layout != Q8Layout::kNone) {
      reference::round_row(layout, source, n, rounded.row);
      reference::expand_row(layout, rounded.row, n, x.data());
    }
    for (std::int64_t row = 0; row < p.rows; ++row) {
      const std::uint8_t* stored = p.weights.data() + static_cast<std::size_t>(row) * row_bytes(p.type, n);
      t.decode(stored, w.data(), n);
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < n; ++k) {
        const double minimum = test::minimum_magnitude(p.type, stored + k / t.block_size * t.block_bytes);
        sum += static_cast<double>(w[k]) * static_cast<double>(x[k]);
        size += (std::fabs(static_cast<double>(w[k])) + minimum) * std::fabs(static_cast<double>(x[k]));
      }
      const double scale = p.type == TensorType::kI8 ? static_cast<double>(p.row_scales[static_cast<std::size_t>(row)]) : 1;
      y[static_cast<std::size_t>(token * p.rows + row)] = sum * scale;
      magnitude[static_cast<std::size_t>(token * p.rows + row)] = size * scale;
    }
  }
}

// Runs one kernel over all tiles, with canaries behind every row of y.
std::vector<float> run_kernel(const LinearKernel& kernel, const Problem& p, Q8Layout layout, std::int64_t tile_rows) {
  const auto n = static_cast<std::size_t>(p.columns);
  std::vector<std::uint8_t> packed;
  const void* data = p.weights.data();
  if (kernel.layout != WeightLayout::kStored) {
    const int rows = kernel.layout == WeightLayout::kInterleaved16 ? 16 : 8;
    const std::size_t bytes = interleaved_group_bytes(p.type, p.columns, rows);
    const std::int64_t groups = (p.rows + rows - 1) / rows;
    packed.resize(bytes * static_cast<std::size_t>(groups));
    for (std::int64_t g = 0; g < groups; ++g)
      interleave_group(p.type, p.weights.data(), p.rows, p.columns, g * rows, rows,
                       packed.data() + static_cast<std::size_t>(g) * bytes);
    data = packed.data();
  }
  std::vector<Rounded> rounded(static_cast<std::size_t>(p.m), Rounded(n));
  std::vector<Q8Row> rows(static_cast<std::size_t>(p.m));
  std::vector<float> expanded(static_cast<std::size_t>(p.m) * n);
  for (std::int64_t t = 0; t < p.m && layout != Q8Layout::kNone; ++t) {
    const auto i = static_cast<std::size_t>(t);
    rounded[i] = Rounded(n);
    rows[i] = rounded[i].row;
    reference::round_row(layout, p.x.data() + t * p.x_stride, n, rows[i]);
    reference::expand_row(layout, rows[i], n, expanded.data() + i * n);
  }
  const std::int64_t y_stride = p.rows + 5;
  std::vector<float> y(static_cast<std::size_t>(p.m * y_stride), 12345.0f);
  std::vector<float> scratch(std::max(kTileScratch, n));
  for (std::int64_t first = 0; first < p.rows; first += tile_rows)
    kernel.run({p.type, data, p.row_scales.data(), p.columns, first, std::min(tile_rows, p.rows - first), p.m,
                layout == Q8Layout::kNone ? p.x.data() : expanded.data(),
                layout == Q8Layout::kNone ? p.x_stride : p.columns, rows.data(), y.data(), y_stride, scratch.data()});
  for (std::int64_t t = 0; t < p.m; ++t)
    for (std::int64_t row = p.rows; row < y_stride; ++row)
      if (y[static_cast<std::size_t>(t * y_stride + row)] != 12345.0f) return {};  // wrote past its rows
  std::vector<float> out;
  for (std::int64_t t = 0; t < p.m; ++t)
    out.insert(out.end(), y.begin() + t * y_stride, y.begin() + t * y_stride + p.rows);
  return out;
}

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
      if (supported(kernel.needs)) {
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
    const TypeTraits& t = traits(kernel.type);
    if (!t.packed() && kernel.type != TensorType::kF32 && kernel.type != TensorType::kF16 &&
        kernel.type != TensorType::kBF16 && kernel.type != TensorType::kI8)
      return;  // other dense types are never weights of a linear; random bytes of them would be NaN
    const Q8Layout layout = rounded ? q8_layout(kernel.type) : Q8Layout::kNone;
    std::vector<std::int64_t> columns = {256, 512, 768};
    if (t.block_size == 32) columns = {32, 64, 288, 576};
    if (t.block_size == 1) columns = {1, 7, 32, 257, 579};
    for (const std::int64_t n : columns) {
      for (const std::int64_t rows : {1, 5, 8, 16, 37, 64}) {
        for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 13}) {
          const Problem p(kernel.type, rows, n, m);
          std::vector<double> y, magnitude;
          expect(p, layout, y, magnitude);
          const std::vector<float> got = run_kernel(kernel, p, layout, 32);
          QCOMPARE(got.size(), y.size());
          const double steps = kernel.input == Input::kRounded ? 6.0 * static_cast<double>((n + 31) / 32) : static_cast<double>(n);
          for (std::size_t i = 0; i < y.size(); ++i) {
            const double allowed = kUnit * (steps * magnitude[i] + std::fabs(y[i])) + 1e-44;
            const double error = std::fabs(static_cast<double>(got[i]) - y[i]);
            QVERIFY2(error <= allowed, qPrintable(QString("rows %1 columns %2 m %3 at %4: %5 for %6, error %7 > %8")
                                                      .arg(rows).arg(n).arg(m).arg(i).arg(got[i]).arg(y[i]).arg(error).arg(allowed)));
          }
        }
      }
    }
  }

  // One value of 1 and zeros elsewhere: in f32 the output is the decoded weight itself, bit for bit.
  void one_hot_gives_the_weight_data() { every_kernel_data(); }
  void one_hot_gives_the_weight() {
    QFETCH(int, index);
    QFETCH(bool, rounded);
    const LinearKernel& kernel = linear_kernels()[static_cast<std::size_t>(index)];
    const TypeTraits& t = traits(kernel.type);
    if (rounded || (!t.packed() && kernel.type > TensorType::kBF16)) return;
    const std::int64_t n = t.block_size == 256 ? 512 : 96;
    Problem p(kernel.type, 21, n, n);
    std::fill(p.x.begin(), p.x.end(), 0.0f);
    for (std::int64_t k = 0; k < n; ++k) p.x[static_cast<std::size_t>(k * p.x_stride + k)] = 1;
    const std::vector<float> got = run_kernel(kernel, p, Q8Layout::kNone, 32);
    std::vector<float> w(static_cast<std::size_t>(n));
    for (std::int64_t row = 0; row < p.rows; ++row) {
      t.decode(p.weights.data() + static_cast<std::size_t>(row) * row_bytes(p.type, w.size()), w.data(), w.size());
      for (std::int64_t k = 0; k < n; ++k)
        QCOMPARE(got[static_cast<std::size_t>(k * p.rows + row)] + 0.0f, w[static_cast<std::size_t>(k)] + 0.0f);
    }
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
