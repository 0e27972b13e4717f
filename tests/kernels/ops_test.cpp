// Norms, gate, rotary embedding and attention of every runnable level against the reference in f64. u = 2^-24.
#include <QtTest>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/api/half.h"
#include "kernels/dispatch/ops.h"

using namespace retort::kernels;

namespace {

constexpr double kUnit = 0x1p-24;

std::vector<float> random_floats(std::size_t n, std::uint32_t seed, float size = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

// |got - expected| <= allowed(i) everywhere, else the first place that differs.
template <class Allowed>
QString mismatch(const std::vector<float>& got, const std::vector<float>& expected, Allowed allowed) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    if (!(error <= allowed(i)))
      return QString("at %1: %2 instead of %3, allowed %4").arg(i).arg(got[i]).arg(expected[i]).arg(allowed(i));
  }
  return {};
}

double size_of(float x) { return std::fabs(static_cast<double>(x)); }

const Ops& reference_ops() { return *ops("reference"); }

}  // namespace

class OpsTest : public QObject {
  Q_OBJECT

  void levels() {
    QTest::addColumn<QString>("level");
    for (const char* level : {"reference", "avx2", "avx512"})
      if (ops(level) != nullptr) QTest::newRow(level) << QString(level);
  }
  static const Ops& level() {
    QFETCH(QString, level);
    return *ops(level.toStdString());
  }

 private slots:
  void initTestCase() { qunsetenv("RETORT_KERNEL"); }

  void the_best_level_is_chosen() {
    QVERIFY(ops() != nullptr);
    QVERIFY(ops("no-such-level") == nullptr);
    for (const char* name : {"avx512", "avx2", "reference"}) {
      if (ops(name) == nullptr) continue;
      QCOMPARE(std::string(ops()->name), std::string(name));
      break;
    }
  }

  void every_half_converts_exactly() {
    for (std::uint32_t h = 0; h < 65536; ++h) {
      const auto half = static_cast<std::uint16_t>(h);
      const float value = f16_to_f32(half);
      float decoded = 0;
      decode(TensorType::kF16, &half, &decoded, 1);  // F16C where the machine has it
      if (std::isnan(value)) {
        QVERIFY(std::isnan(decoded) && std::isnan(f16_to_f32(f32_to_f16(value))));
        continue;
      }
      QCOMPARE(std::bit_cast<std::uint32_t>(decoded), std::bit_cast<std::uint32_t>(value));
      QCOMPARE(f32_to_f16(value), half);
      // Half way between neighbours rounds to even, a hair beside it to the nearer.
      if ((h & 0x7fff) >= 0x7bff) continue;
      const float next = f16_to_f32(static_cast<std::uint16_t>(h + 1));
      const float middle = value + (next - value) / 2;
      QCOMPARE(f32_to_f16(middle), static_cast<std::uint16_t>((h & 1) != 0 ? h + 1 : h));
      QCOMPARE(f32_to_f16(std::nextafter(middle, next)), static_cast<std::uint16_t>(h + 1));
      QCOMPARE(f32_to_f16(std::nextafter(middle, value)), half);
    }
  }

  void rms_norm_data() { levels(); }
  // The sum is in f64; 1/sqrt, two products and the weight's addition round once each: 4 u, and 1 u for the reference.
  void rms_norm() {
    for (const std::size_t n : {1u, 7u, 8u, 64u, 576u, 1001u}) {
      for (const float size : {0.0f, 1.0f, 1e-20f, 1e18f}) {
        const std::vector<float> x = random_floats(3 * n, 1, size), weight = random_floats(n, 2);
        std::vector<float> expected(3 * n), got(3 * n);
        reference_ops().rms_norm(x.data(), weight.data(), 1.0f, 1e-5f, expected.data(), 3, n);
        level().rms_norm(x.data(), weight.data(), 1.0f, 1e-5f, got.data(), 3, n);
        QCOMPARE(mismatch(got, expected, [&](std::size_t i) { return 5 * kUnit * size_of(expected[i]); }), QString());
      }
    }
  }

  void layer_norm_data() { levels(); }
  // Centring and scaling are in f64, rounded once, then one fused multiply-add; the product may cancel against the bias.
  void layer_norm() {
    for (const std::size_t n : {1u, 7u, 384u, 1001u}) {
      std::vector<float> x = random_floats(3 * n, 1), weight = random_floats(n, 2), bias = random_floats(n, 3);
      for (float& value : x) value += 1000;
      for (const float* shift : {static_cast<const float*>(bias.data()), static_cast<const float*>(nullptr)}) {
        std::vector<float> expected(3 * n), got(3 * n);
        reference_ops().layer_norm(x.data(), weight.data(), shift, 1e-5f, expected.data(), 3, n);
        level().layer_norm(x.data(), weight.data(), shift, 1e-5f, got.data(), 3, n);
        QCOMPARE(mismatch(got, expected, [&](std::size_t i) {
                   const double b = shift != nullptr ? size_of(shift[i % n]) : 0;
                   return kUnit * (2 * (size_of(expected[i]) + b) + 2 * size_of(expected[i])) + 1e-12;
                 }), QString());
      }
    }
  }

  void silu_gate_data() { levels(); }
  // e^-g within 1.5 units of the last place (3 u), 1 + e^-g, the quotient and the product one u each, the reference one:
  // 8 u. Below g = -88.7 the exponential is infinite in f32 and the result -0: off by less than 88.8 · 2^-127.9.
  void silu_gate() {
    std::vector<float> gate, up;
    for (int i = -4000; i <= 4000; ++i) gate.push_back(static_cast<float>(i) * 0.031f);
    for (const float value : {0.0f, -0.0f, 1e-30f, -1e-30f, 87.3f, -87.3f, -88.8f, 1e30f, -1e30f}) gate.push_back(value);
    up = random_floats(gate.size(), 4);
    std::vector<float> expected(gate.size()), got(gate.size());
    reference_ops().silu_gate(gate.data(), up.data(), expected.data(), gate.size());
    level().silu_gate(gate.data(), up.data(), got.data(), gate.size());
    QCOMPARE(mismatch(got, expected, [&](std::size_t i) {
               return 8 * kUnit * size_of(expected[i]) + 3e-37 * size_of(up[i]);
             }), QString());
  }

  void add_into_data() { levels(); }
  void add_into() {
    for (const std::size_t n : {1u, 9u, 64u, 577u}) {
      const std::vector<float> x = random_floats(n, 1);
      std::vector<float> expected = random_floats(n, 2), got = expected;
      reference_ops().add_into(x.data(), expected.data(), n);
      level().add_into(x.data(), got.data(), n);
      QCOMPARE(got, expected);
    }
  }

  void rope_data() { levels(); }
  // Two products and a sum, at most 3 roundings of terms no larger than |a| + |b|.
  void rope() {
    for (const std::size_t head_dim : {2u, 10u, 64u, 80u}) {
      for (const std::size_t rotary : {head_dim, head_dim / 2 / 2 * 2}) {
        for (const bool interleaved : {false, true}) {
          const std::vector<float> angles = random_floats(rotary / 2 + 1, 3);
          std::vector<float> cosine, sine;
          for (const float angle : angles) {
            cosine.push_back(std::cos(angle));
            sine.push_back(std::sin(angle));
          }
          std::vector<float> expected = random_floats(3 * head_dim, 1), got = expected;
          reference_ops().rope(expected.data(), cosine.data(), sine.data(), 3, head_dim, rotary, interleaved);
          level().rope(got.data(), cosine.data(), sine.data(), 3, head_dim, rotary, interleaved);
          QCOMPARE(mismatch(got, expected, [](std::size_t) { return 6 * kUnit * 5; }), QString());  // |a|, |b| < 5
        }
      }
    }
  }

  void activations_data() { levels(); }
  // e^t errs by 3 u relatively, plus what the rounding of t is worth: |t| u for each rounding on the way to it.
  void activations() {
    std::vector<float> x;
    for (int i = -1600; i <= 1600; ++i) x.push_back(static_cast<float>(i) / 80);
    for (const float rare : {0.0f, -0.0f, 1e-20f, -1e-20f, 100.0f, -100.0f, 3e4f, -3e4f}) x.push_back(rare);
    const auto allowed_of = [](Activation f, double v, double y) {
      const double cubic = 1.6 * (v + 0.0447 * v * v * v);
      switch (f) {
        case Activation::kGelu: return kUnit * (24 + 2.5 * v * v) * y;
        case Activation::kGeluTanh: return kUnit * (12 + 6 * std::fabs(cubic)) * y;
        case Activation::kGeluQuick: return kUnit * (8 + 4 * std::fabs(v)) * y;
        case Activation::kTanh: return kUnit * 6;
        default: return kUnit * 8 * y;
      }
    };
    for (const Activation f : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kGeluQuick,
                               Activation::kRelu, Activation::kReluSquared, Activation::kTanh, Activation::kSigmoid}) {
      std::vector<float> expected(x.size()), got = x;
      reference_ops().activate(f, x.data(), expected.data(), x.size());
      level().activate(f, got.data(), got.data(), got.size());
      // Below the smallest normal number nothing is relative, and 1 / (1 + e^t) is 0 once e^t overflows, at 2^128.
      QCOMPARE(mismatch(got, expected, [&](std::size_t i) {
        return std::fmax(allowed_of(f, static_cast<double>(x[i]), size_of(expected[i])), 0x1p-126 + 0x1p-128 * size_of(x[i]));
      }), QString());
    }
  }

  void small_ones_data() { levels(); }
  void small_ones() {
    for (const std::size_t n : {1, 7, 8, 33}) {
      const std::vector<float> x = random_floats(n, 4, 3);
      std::vector<float> got = random_floats(n, 5, 20), expected = got;
      reference_ops().soft_cap(5, expected.data(), n);
      level().soft_cap(5, got.data(), n);
      QCOMPARE(mismatch(got, expected, [](std::size_t) { return 5 * 8 * kUnit; }), QString());
      got = expected;
      reference_ops().multiply_into(x.data(), expected.data(), n);
      level().multiply_into(x.data(), got.data(), n);
      reference_ops().scale(0.3f, expected.data(), n);
      level().scale(0.3f, got.data(), n);
      QVERIFY(got == expected);
    }
  }

  void attention_data() { levels(); }
  // A score errs by (dim + 2) u Q, Q = scale · Σ |q k|; so each weight by twice that relatively, the sums of n weights by
  // n u, and the output by that times the largest value.
  void attention() {
    struct Case { std::int64_t tokens, past, kv_heads, dim, group, window; bool half; };
    for (const Case& c : {Case{1, 0, 1, 64, 3, 0, true}, Case{1, 77, 3, 64, 3, 0, true}, Case{2, 5, 1, 20, 1, 0, false},
                          Case{33, 0, 2, 64, 2, 0, true}, Case{100, 29, 1, 64, 1, 0, true},
                          Case{60, 3, 1, 24, 2, 16, false}, Case{130, 0, 1, 80, 1, 50, true}, Case{3, 90, 2, 64, 2, 17, true},
                          Case{49, 1, 1, 10, 1, 0, false}}) {
      const std::int64_t positions = c.past + c.tokens, heads = c.kv_heads * c.group;
      const auto cache = static_cast<std::size_t>(positions * c.kv_heads * c.dim);
      std::vector<float> query = random_floats(static_cast<std::size_t>(c.tokens * heads * c.dim), 1, 2);
      std::vector<float> keys = random_floats(cache, 2), values = random_floats(cache, 3);
      std::vector<std::uint16_t> half_keys, half_values;
      for (const float key : keys) half_keys.push_back(f32_to_f16(key));
      for (const float value : values) half_values.push_back(f32_to_f16(value));
      AttentionArgs args{};
      args.query = query.data();
      args.q_stride = heads * c.dim;
      args.keys = c.half ? static_cast<const void*>(half_keys.data()) : keys.data();
      args.values = c.half ? static_cast<const void*>(half_values.data()) : values.data();
      args.cache_f16 = c.half;
      args.out_stride = heads * c.dim + 3;
      args.tokens = c.tokens;
      args.past = c.past;
      args.kv_heads = c.kv_heads;
      args.head_dim = c.dim;
      args.group = c.group;
      args.window = c.window;
      args.scale = 1 / std::sqrt(static_cast<float>(c.dim));
      std::vector<float> scratch(attention_scratch_floats(args));
      std::vector<float> expected(static_cast<std::size_t>(c.tokens * args.out_stride), 7.0f), got = expected;
      for (std::int64_t h = 0; h < heads; ++h) {
        args.out = expected.data();
        reference_ops().attention(args, h, 0, c.tokens, scratch.data());
        args.out = got.data();
        const std::int64_t cut = c.tokens / 3;  // units of work may start anywhere
        level().attention(args, h, 0, cut, scratch.data());
        level().attention(args, h, cut, c.tokens - cut, scratch.data());
      }
      // |q| < 10, |k| < 5 for normal draws of this many; Q <= sqrt(dim) · mean |q k| stays below 3 sqrt(dim).
      const double q = 3 * std::sqrt(static_cast<double>(c.dim));
      const double allowed = kUnit * (2 * static_cast<double>(c.dim + 2) * q + static_cast<double>(positions)) * 5;
      QCOMPARE(mismatch(got, expected, [&](std::size_t) { return allowed; }), QString());
    }
  }

  void other_attention_data() { levels(); }
  // As above; a capped score errs by 8 u cap more, a biased one by its rounding.
  void other_attention() {
    struct Case { std::int64_t tokens, past, dim; bool bidirectional; float cap; bool bias; };
    for (const Case& c : {Case{1, 0, 32, true, 0, false}, Case{3, 0, 16, true, 0, true}, Case{70, 0, 32, true, 0, false},
                          Case{51, 0, 24, true, 0, true}, Case{60, 7, 32, false, 5, false}, Case{2, 40, 20, false, 2, true}}) {
      constexpr std::int64_t kHeads = 2;
      const std::size_t n = static_cast<std::size_t>((c.past + c.tokens) * kHeads * c.dim);
      const std::vector<float> query = random_floats(n, 1, 2), keys = random_floats(n, 2), values = random_floats(n, 3);
      const std::int64_t span = c.past + c.tokens;
      const std::vector<float> bias = random_floats(static_cast<std::size_t>(kHeads * (2 * span - 1)), 6);
      AttentionArgs args{};
      args.query = query.data();
      args.keys = keys.data();
      args.values = values.data();
      args.q_stride = args.out_stride = kHeads * c.dim;
      args.tokens = c.tokens;
      args.past = c.past;
      args.kv_heads = kHeads;
      args.head_dim = c.dim;
      args.group = 1;
      args.scale = 1 / std::sqrt(static_cast<float>(c.dim));
      args.bidirectional = c.bidirectional;
      args.soft_cap = c.cap;
      args.bias = c.bias ? bias.data() : nullptr;
      args.bias_stride = 2 * span - 1;
      args.bias_zero = span - 1;
      std::vector<float> scratch(attention_scratch_floats(args)), expected(n), got(n);
      for (std::int64_t h = 0; h < kHeads; ++h) {
        args.out = expected.data();
        reference_ops().attention(args, h, 0, c.tokens, scratch.data());
        args.out = got.data();
        level().attention(args, h, 0, c.tokens, scratch.data());
      }
      const double q = 3 * std::sqrt(static_cast<double>(c.dim));
      const double score = static_cast<double>(c.dim + 2) * q + 8 * static_cast<double>(c.cap) + 2 * q;
      const double allowed = kUnit * (2 * score + static_cast<double>(span)) * 5;
      QCOMPARE(mismatch(got, expected, [&](std::size_t) { return allowed; }), QString());
    }
  }

  void reports_every_kernel() {
    struct Count { int chosen = 0, skipped = 0; bool silent = false; } count;
    report_kernels([](void* context, const KernelReport& report) {
      auto& c = *static_cast<Count*>(context);
      (report.chosen ? c.chosen : c.skipped) += 1;
      c.silent = c.silent || report.reason.empty() || report.kernel.empty() || report.operation.empty();
    }, &count);
    QVERIFY(count.chosen > 0);
    QVERIFY(count.skipped > 0);
    QVERIFY(!count.silent);
  }
};

QTEST_APPLESS_MAIN(OpsTest)
#include "ops_test.moc"
