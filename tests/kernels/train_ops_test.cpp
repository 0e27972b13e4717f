// Kernels of training: the reference against finite differences or a plain sum, every other level against the reference.
#include <QtTest>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "kernels/dispatch/ops.h"
#include "kernels/dispatch/train_ops.h"
#include "kernels/onednn/matmul.h"

using namespace retort::kernels;

namespace {

std::vector<float> random_floats(std::size_t n, std::uint32_t seed, float size = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

double largest(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

// Gradient of Σ y · dy for each element of x, y = f(x).
std::vector<float> slopes(std::vector<float> x, const std::vector<float>& dy, const std::function<std::vector<float>(const std::vector<float>&)>& f) {
  constexpr float kStep = 0x1p-7f;
  std::vector<float> out(x.size());
  const auto value = [&] {
    const std::vector<float> y = f(x);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
    return sum;
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float at = x[i];
    x[i] = at + kStep;
    const double up = value();
    x[i] = at - kStep;
    const double down = value();
    x[i] = at;
    out[i] = static_cast<float>((up - down) / (2 * static_cast<double>(kStep)));
  }
  return out;
}

}  // namespace

class TrainOpsTest : public QObject {
  Q_OBJECT

  static std::vector<const TrainOps*> levels() {
    std::vector<const TrainOps*> out;
    for (const char* name : {"reference", "avx2", "avx512"})
      if (const TrainOps* ops = train_ops(name)) out.push_back(ops);
    return out;
  }

 private slots:
  void initTestCase() { qunsetenv("RETORT_KERNEL"); }

  // The error of the difference quotient is of the order of the step squared: 6e-5 times a third derivative.
  void backward_passes() {
    constexpr double kSlack = 3e-3;
    for (const std::size_t n : {1, 5, 8, 19}) {
      const std::size_t rows = 3;
      const auto x = random_floats(rows * n, 1), dy = random_floats(rows * n, 2), up = random_floats(rows * n, 3), w = random_floats(n, 4), b = random_floats(n, 5);
      const Ops& forward = *ops("reference");
      const auto rms = [&](const std::vector<float>& v, const std::vector<float>& weight) {
        std::vector<float> y(v.size());
        forward.rms_norm(v.data(), weight.data(), 0.5f, 0.1f, y.data(), rows, n);
        return y;
      };
      const auto layer = [&](const std::vector<float>& v, const std::vector<float>& weight) {
        std::vector<float> y(v.size());
        forward.layer_norm(v.data(), weight.data(), b.data(), 0.1f, y.data(), rows, n);
        return y;
      };
      const auto gate = [&](const std::vector<float>& g, const std::vector<float>& u) {
        std::vector<float> y(g.size());
        forward.silu_gate(g.data(), u.data(), y.data(), g.size());
        return y;
      };
      for (const TrainOps* ops : levels()) {
        std::vector<float> dx(x.size(), 1.0f), dw(n, 0.0f), db(n, 0.0f), du(x.size());
        ops->rms_norm_backward(x.data(), w.data(), 0.5f, 0.1f, dy.data(), dx.data(), false, dw.data(), rows, n);
        QVERIFY(largest(dx, slopes(x, dy, [&](const auto& v) { return rms(v, w); })) < kSlack);
        QVERIFY(largest(dw, slopes(w, dy, [&](const auto& v) { return rms(x, v); })) < kSlack);
        std::vector<float> twice(dx);
        ops->rms_norm_backward(x.data(), w.data(), 0.5f, 0.1f, dy.data(), twice.data(), true, dw.data(), rows, n);
        for (std::size_t i = 0; i < dx.size(); ++i) QVERIFY(std::fabs(twice[i] - 2 * dx[i]) < 1e-5f);

        std::fill(dw.begin(), dw.end(), 0.0f);
        ops->layer_norm_backward(x.data(), w.data(), 0.1f, dy.data(), dx.data(), false, dw.data(), db.data(), rows, n);
        QVERIFY(largest(dx, slopes(x, dy, [&](const auto& v) { return layer(v, w); })) < kSlack);
        QVERIFY(largest(dw, slopes(w, dy, [&](const auto& v) { return layer(x, v); })) < kSlack);
        for (std::size_t i = 0; i < n; ++i) QVERIFY(std::fabs(db[i] - (dy[i] + dy[i + n] + dy[i + 2 * n])) < 1e-5f);

        ops->silu_gate_backward(x.data(), up.data(), dy.data(), dx.data(), du.data(), x.size());
        QVERIFY(largest(dx, slopes(x, dy, [&](const auto& v) { return gate(v, up); })) < kSlack);
        QVERIFY(largest(du, slopes(up, dy, [&](const auto& v) { return gate(x, v); })) < kSlack);
      }
    }
  }

  void gelu() {
    std::vector<float> x = random_floats(103, 6, 3);
    x[0] = 0;
    x[1] = 40;
    x[2] = -40;
    const std::vector<float> dy(x.size(), 1.0f);
    const auto exact = [](const std::vector<float>& v) {
      std::vector<float> y(v.size());
      for (std::size_t i = 0; i < v.size(); ++i) y[i] = static_cast<float>(0.5 * static_cast<double>(v[i]) * std::erfc(-static_cast<double>(v[i]) / std::sqrt(2.0)));
      return y;
    };
    std::vector<float> expected(x.size()), expected_tanh(x.size()), dx(x.size());
    train_ops("reference")->gelu_backward(x.data(), dy.data(), expected.data(), x.size());
    train_ops("reference")->gelu_tanh_backward(x.data(), dy.data(), expected_tanh.data(), x.size());
    QVERIFY(largest(expected, slopes(x, dy, exact)) < 2e-3);
    QVERIFY(largest(expected_tanh, expected) < 5e-3);   // the approximation's own distance
    for (const TrainOps* ops : levels()) {
      ops->gelu_backward(x.data(), dy.data(), dx.data(), x.size());
      QVERIFY(largest(dx, expected) < 4e-7);
      ops->gelu_tanh_backward(x.data(), dy.data(), dx.data(), x.size());
      QVERIFY(largest(dx, expected_tanh) < 1e-6);
    }
  }

  void softmax() {
    for (const std::size_t n : {1, 7, 8, 9, 1000}) {
      auto x = random_floats(n, 7, 30);
      if (n > 2) x[1] = -INFINITY;
      for (const TrainOps* ops : levels()) {
        std::vector<float> p(n);
        const double log_sum = ops->softmax_row(x.data(), 0.5f, p.data(), n);
        double most = -INFINITY, sum = 0, shares = 0;
        for (const float v : x) most = std::max(most, 0.5 * static_cast<double>(v));
        for (const float v : x) sum += std::exp(0.5 * static_cast<double>(v) - most);
        QVERIFY(std::fabs(log_sum - most - std::log(sum)) < 1e-6);
        for (std::size_t i = 0; i < n; ++i) {
          QVERIFY(std::fabs(static_cast<double>(p[i]) - std::exp(0.5 * static_cast<double>(x[i]) - most) / sum) < 4e-7);
          shares += static_cast<double>(p[i]);
        }
        QVERIFY(std::fabs(shares - 1) < 1e-5);
        std::vector<float> in_place(x);
        ops->softmax_row(in_place.data(), 0.5f, in_place.data(), n);
        QVERIFY(in_place == p);
      }
    }
  }

  void optimizer_and_sums() {
    const AdamWStep step{.rate = 0.01, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .decay = 0.1, .correction1 = 0.19, .correction2 = 0.0975, .gradient_scale = 0.5};
    for (const std::size_t n : {1, 8, 29}) {
      const auto g = random_floats(n, 8), w = random_floats(n, 9), m = random_floats(n, 10), v2 = random_floats(n, 11);
      std::vector<float> v(n);
      for (std::size_t i = 0; i < n; ++i) v[i] = v2[i] * v2[i];
      auto w0 = w, m0 = m, v0 = v;
      train_ops("reference")->adamw(step, g.data(), w0.data(), m0.data(), v0.data(), n);
      const double squares = train_ops("reference")->sum_squares(g.data(), n);
      for (const TrainOps* ops : levels()) {
        auto w1 = w, m1 = m, v1 = v;
        ops->adamw(step, g.data(), w1.data(), m1.data(), v1.data(), n);
        QVERIFY(largest(w1, w0) < 5e-7 * 4 && largest(m1, m0) < 5e-7 && largest(v1, v0) < 5e-7);
        QVERIFY(std::fabs(ops->sum_squares(g.data(), n) - squares) < 1e-9);
      }
    }
  }

  void products_data() {
    QTest::addColumn<int>("precision");
    QTest::newRow("f32") << static_cast<int>(MatmulPrecision::kF32);
    QTest::newRow("bf16") << static_cast<int>(MatmulPrecision::kBf16);
  }

  // Every kernel, every orientation, odd sizes, rows apart; a sum of k products in f32 is good to about k units of 2^-24.
  // oneDNN's bf16 is tried without asking whether the processor has instructions for it.
  void products() {
    QFETCH(const int, precision);
    const auto as = static_cast<MatmulPrecision>(precision);
    const MatmulKernel plain_onednn{"onednn", Isa::kBaseline, MatmulPrecision::kBf16, &onednn::matmul_bf16};
    const bool has_onednn = *onednn::why_no_f32() == '\0';
    const struct { std::int64_t m, n, k; } sizes[] = {{1, 1, 1}, {7, 17, 3}, {130, 33, 300}, {64, 16, 256}, {245, 390, 19}, {5, 800, 600}};
    ThreadPool pool(2), alone(1);
    std::vector<float> scratch(2 * kMatmulScratch + 16);
    float* const room = scratch.data() + (64 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 64) / 4 % 16;
    const MatmulKernel* reference = matmul_kernel("reference", as);
    for (const auto& [m, n, k] : sizes) {
      for (int way = 0; way < 8; ++way) {
        const bool ta = way & 1, tb = way & 2, add = way & 4;
        const std::int64_t a_stride = (ta ? m : k) + 3, bs = (tb ? k : n) + 1, cs = n + 2;
        const auto a = random_floats(static_cast<std::size_t>((ta ? k : m) * a_stride), 12), b = random_floats(static_cast<std::size_t>((tb ? n : k) * bs), 13);
        const auto c = random_floats(static_cast<std::size_t>(m * cs), 14);
        auto expected = c;
        const MatmulTile whole{ta, tb, m, n, k, a.data(), a_stride, b.data(), bs, nullptr, cs, add, nullptr};
        const auto run = [&](const MatmulKernel& kernel, ThreadPool& on, std::vector<float>& out) {
          MatmulTile tile = whole;
          tile.c = out.data();
          matmul(on, kernel, tile, room);
        };
        run(*reference, pool, expected);
        for (const char* name : {"onednn", "avx2"}) {
          const MatmulKernel* kernel = matmul_kernel(name, as);
          if (kernel == nullptr && as == MatmulPrecision::kBf16 && has_onednn && name == std::string_view("onednn")) kernel = &plain_onednn;
          if (kernel == nullptr) continue;
          auto found = c, single = c;
          run(*kernel, pool, found);
          run(*kernel, alone, single);
          QVERIFY2(largest(found, expected) < 1e-6 * static_cast<double>(k + 8), name);
          QVERIFY2(found == single, "the same on any number of threads");
        }
      }
    }
  }

  // Both operands are rounded, and nothing else: of (1 + 2^-9)·1 the half unit of the last place is lost, of (1 + 2^-7)·(1 + 2^-7) nothing.
  void bf16_rounds_both_operands_once() {
    std::vector<float> room(kMatmulScratch + 16);
    for (const char* name : {"reference", "avx2"}) {
      const MatmulKernel* kernel = matmul_kernel(name, MatmulPrecision::kBf16);
      if (kernel == nullptr) continue;
      for (const auto& [a, b, product] : {std::tuple(1.001953125f, 1.0f, 1.0f), std::tuple(1.0f, 1.001953125f, 1.0f),
                                          std::tuple(1.0078125f, 1.0078125f, 1.01568603515625f), std::tuple(1.01171875f, 1.0f, 1.015625f)}) {
        float c = 0;
        kernel->run({.m = 1, .n = 1, .k = 1, .a = &a, .a_stride = 1, .b = &b, .b_stride = 1, .c = &c, .c_stride = 1, .scratch = room.data()});
        QCOMPARE(c, product);
      }
    }
  }

  void a_forced_level_is_the_one_that_runs() {
    qputenv("RETORT_KERNEL", "reference");
    QCOMPARE(train_ops("reference")->name, "reference");
    QCOMPARE(matmul_kernel("reference")->name, "reference");
    QVERIFY(train_ops("no such level") == nullptr);
    qunsetenv("RETORT_KERNEL");
  }
};

QTEST_APPLESS_MAIN(TrainOpsTest)
#include "train_ops_test.moc"
