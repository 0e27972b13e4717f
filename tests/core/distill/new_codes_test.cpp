// New codes for packed weights: where they lie in a block, which are chosen, and what a repair gains by them.
#include <QTemporaryDir>

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/distill/choose_codes.h"
#include "core/distill/distill.h"
#include "core/distill/input_factor.h"
#include "core/quantize/quantizer.h"
#include "kernels/api/half.h"
#include "kernels/dispatch/ops.h"
#include "letter_model.h"

using namespace retort;
using namespace retort::distill;
using namespace retort::vectors;
using kernels::TensorType;

namespace {

constexpr TensorType kTypes[] = {TensorType::kQ4_0, TensorType::kQ4_1, TensorType::kQ5_0, TensorType::kQ5_1, TensorType::kQ2_K,
                                 TensorType::kQ3_K, TensorType::kQ4_K, TensorType::kQ5_K, TensorType::kQ6_K};

std::vector<std::byte> packed(TensorType type, const std::vector<float>& rows, std::int64_t columns) {
  const auto n = static_cast<std::size_t>(columns);
  std::vector<std::byte> out(rows.size() / n * kernels::row_bytes(type, n));
  find_quantizer(type)->quantize_rows(rows.data(), static_cast<std::int64_t>(rows.size() / n), columns, {}, out.data(), nullptr);
  return out;
}

std::vector<float> decoded(TensorType type, const std::vector<std::byte>& blocks, std::size_t n) {
  std::vector<float> out(n);
  kernels::decode(type, blocks.data(), out.data(), n);
  return out;
}

// H of inputs that hang together, as those of a linear do: Σ x xᵀ over `tokens` rows.
std::vector<float> correlated(std::int64_t n, std::uint32_t seed) {
  const std::int64_t tokens = 4 * n;
  const std::vector<float> noise = random_floats(static_cast<std::size_t>(tokens * n), seed);
  std::vector<float> x(noise.size()), out(static_cast<std::size_t>(n * n));
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t i = 0; i < n; ++i)
      x[static_cast<std::size_t>(t * n + i)] = noise[static_cast<std::size_t>(t * n + i)] + 0.8f * noise[static_cast<std::size_t>(t * n + (i + 1) % 4)] * static_cast<float>(1 + i % 3);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t t = 0; t < tokens; ++t) sum += static_cast<double>(x[static_cast<std::size_t>(t * n + i)]) * static_cast<double>(x[static_cast<std::size_t>(t * n + j)]);
      out[static_cast<std::size_t>(i * n + j)] = static_cast<float>(sum);
    }
  return out;
}

// e H eᵀ of one row.
double cost(const std::vector<float>& h, const float* wanted, const float* found, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      sum += static_cast<double>(found[i] - wanted[i]) * static_cast<double>(h[static_cast<std::size_t>(i * n + j)]) * static_cast<double>(found[j] - wanted[j]);
  return sum;
}

// x with A x = b, A [n, n]; Gauss with pivots.
std::vector<double> solved(std::vector<std::vector<double>> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t best = k;
    for (std::size_t i = k; i < n; ++i) best = std::abs(a[i][k]) > std::abs(a[best][k]) ? i : best;
    std::swap(a[k], a[best]);
    std::swap(b[k], b[best]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double f = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= f * a[k][j];
      b[i] -= f * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

}  // namespace

class NewCodesTest : public QObject {
  Q_OBJECT

 private slots:
  // Put back one by one, a block's own codes make the same bytes, whatever lay there before.
  void codes_lie_where_the_block_has_them() {
    for (const TensorType type : kTypes) {
      const CodeLayout* const layout = code_layout(type);
      QVERIFY(layout);
      const std::size_t n = 512, width = kernels::traits(type).block_size, size = kernels::traits(type).block_bytes;
      const std::vector<std::byte> blocks = packed(type, random_floats(n, 4), static_cast<std::int64_t>(n));
      const auto with_codes = [&](auto&& code_of) {
        std::vector<std::byte> out = blocks;
        for (std::size_t i = 0; i < n; ++i) layout->put(out.data() + i / width * size, static_cast<int>(i % width), code_of(i));
        return out;
      };
      const std::vector<float> zeros = decoded(type, with_codes([](std::size_t) { return 0; }), n), ones = decoded(type, with_codes([](std::size_t) { return 1; }), n);
      const std::vector<float> values = decoded(type, blocks, n);
      const auto own = [&](std::size_t i) { return ones[i] == zeros[i] ? 0 : static_cast<int>(std::lround((values[i] - zeros[i]) / (ones[i] - zeros[i]))); };
      QCOMPARE(decoded(type, with_codes(own), n), values);
      for (std::size_t i = 0; i < n; ++i) QVERIFY(own(i) >= 0 && own(i) < layout->codes);
    }
    QVERIFY(!code_layout(TensorType::kQ8_0) && !code_layout(TensorType::kF16) && !code_layout(TensorType::kIQ4_NL));
  }

  // Column by column, against the definition: with what is rounded given, the others solve their normal equations.
  void codes_are_those_of_the_definition() {
    constexpr std::int64_t kN = 32, kRows = 19;
    kernels::ThreadPool pool(2);
    const std::vector<float> h = correlated(kN, 7), weights = random_floats(kN * kRows, 8);
    const double damping = 0.01;
    double trace = 0;
    for (std::int64_t i = 0; i < kN; ++i) trace += static_cast<double>(h[static_cast<std::size_t>(i * (kN + 1))]);
    const auto at = [&](std::size_t i, std::size_t j) { return static_cast<double>(h[i * kN + j]) + (i == j ? damping * trace / kN : 0); };
    std::vector<std::byte> blocks = packed(TensorType::kQ4_0, weights, kN);
    const std::vector<float> nearest = decoded(TensorType::kQ4_0, blocks, weights.size());
    must(InputFactor::make(h, kN, damping, pool)).choose_codes(*code_layout(TensorType::kQ4_0), weights, kRows, blocks.data(), pool);
    const std::vector<float> found = decoded(TensorType::kQ4_0, blocks, weights.size());
    std::vector<std::size_t> order(kN);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return at(a, a) < at(b, b); });
    std::reverse(order.begin(), order.end());
    for (std::size_t r = 0; r < kRows; ++r) {
      const float scale = std::abs(kernels::f16_to_f32([&] { std::uint16_t d; std::memcpy(&d, blocks.data() + r * 18, 2); return d; }()));
      for (std::size_t k = 0; k < kN; ++k) {
        // The rest after the first k: H_FF e_F = -H_FS e_S.
        const std::size_t rest = kN - k;
        std::vector<std::vector<double>> a(rest, std::vector<double>(rest));
        std::vector<double> b(rest, 0.0);
        for (std::size_t i = 0; i < rest; ++i) {
          for (std::size_t j = 0; j < rest; ++j) a[i][j] = at(order[k + i], order[k + j]);
          for (std::size_t s = 0; s < k; ++s) b[i] -= at(order[k + i], order[s]) * static_cast<double>(found[r * kN + order[s]] - weights[r * kN + order[s]]);
        }
        const double wanted = static_cast<double>(weights[r * kN + order[k]]) + solved(a, b)[0];
        // Nearest of the grid, or one of its ends.
        const double off = static_cast<double>(found[r * kN + order[k]]) - wanted, d = static_cast<double>(scale);
        const double code = std::abs(static_cast<double>(found[r * kN + order[k]])) / d;
        QVERIFY2(std::abs(off) <= 0.5 * d + 1e-4 || code > 6.9, qPrintable(QString("row %1, column %2").arg(r).arg(k)));
      }
      QVERIFY(cost(h, weights.data() + r * kN, found.data() + r * kN, kN) < cost(h, weights.data() + r * kN, nearest.data() + r * kN, kN) * 1.02);
    }
  }

  void what_has_no_factor_is_refused() {
    kernels::ThreadPool pool(1);
    std::vector<float> h(64 * 64, 0.0f);
    const std::vector<float> weights = random_floats(64 * 3, 2);
    std::vector<std::byte> blocks = packed(TensorType::kQ4_0, weights, 64), before = blocks;
    must(InputFactor::make(h, 64, 0.01, pool)).choose_codes(*code_layout(TensorType::kQ4_0), weights, 3, blocks.data(), pool);   // never read: nearest codes
    QCOMPARE(decoded(TensorType::kQ4_0, blocks, weights.size()).size(), weights.size());
    h[5] = std::numeric_limits<float>::quiet_NaN();
    h[0] = std::numeric_limits<float>::infinity();
    QCOMPARE(InputFactor::make(h, 64, 0.01, pool).error().code, ErrorCode::kNonFinite);
  }

  // A whole recipe: less divergence at the same bytes, the same file whatever the threads, and a stopped run goes on to it.
  void repair_with_new_codes() {
    QVERIFY(folder_.isValid());
    qputenv("XDG_CACHE_HOME", path("cache").c_str());
    must(write_text_file(path("text.jsonl"), made_up_text(60, 3)));
    const auto repaired = [&](std::int64_t tokens, const char* name, int threads, const JobContext& job = {}) {
      DistillRecipe recipe;
      recipe.teacher = std::filesystem::path(RETORT_TEST_DATA) / "micro-llama.gguf";
      recipe.data = {.train = path("text.jsonl"), .validation_share = 0.1, .context = 32};
      recipe.loss.logits = {.forward_kl = 1, .temperature = 1};
      recipe.training.batch = 4;
      recipe.training.rate = 1e-4;
      recipe.training.checkpoint_every = 2;
      recipe.stages = {{.kind = StageKind::kQuantize, .level = "Q2_K"}, {.kind = StageKind::kRepair, .new_codes = tokens, .steps = 4}};
      return distill::distill(recipe, path(name), threads, job);
    };
    const DistillReport kept = must(repaired(0, "kept.gguf", 2)), chosen = must(repaired(2048, "new.gguf", 2));
    QVERIFY2(chosen.stages[1].after->divergence < 0.9 * kept.stages[1].after->divergence,
             qPrintable(QString("%1 → %2, %3 with new codes").arg(kept.stages[0].after->divergence).arg(kept.stages[1].after->divergence).arg(chosen.stages[1].after->divergence)));
    QCOMPARE(std::filesystem::file_size(path("new.gguf")), std::filesystem::file_size(path("kept.gguf")));
    const std::string whole = bytes_of(path("new.gguf"));
    QVERIFY(bytes_of(path("kept.gguf")) != whole);
    JobContext job;
    job = job.with_progress([&](const Progress& now) {
      if (now.unit == "steps" && now.done >= 2) job.stop();
    });
    QCOMPARE(repaired(2048, "stopped.gguf", 1, job).error().code, ErrorCode::kCanceled);
    must(repaired(2048, "stopped.gguf", 1));
    QVERIFY(bytes_of(path("stopped.gguf")) == whole);
  }

  void only_repairs_of_gguf_levels_have_new_codes() {
    const std::pair<const char*, bool> cases[] = {{R"([{"kind": "quantize", "level": "Q4_0"}, {"kind": "repair", "new_codes": 4096}])", true},
                                                  {R"([{"kind": "quantize", "level": "INT4"}, {"kind": "repair", "new_codes": 4096}])", false},
                                                  {R"([{"kind": "quantize", "level": "INT8"}, {"kind": "repair", "new_codes": 4096}])", false},
                                                  {R"([{"kind": "quantize", "level": "Q4_0", "new_codes": 4096}])", false}};
    for (const auto& [stages, right] : cases) {
      const DistillRecipe recipe = must(distill_recipe_from_json(fmt::format(R"({{"teacher": "t", "data": {{"train": "d"}}, "stages": {}}})", stages)));
      QCOMPARE(check_recipe(recipe).ok(), right);
      QCOMPARE(distill_recipe_to_json(must(distill_recipe_from_json(distill_recipe_to_json(recipe)))), distill_recipe_to_json(recipe));
    }
    QCOMPARE(distill_recipe_from_json(R"({"stages": [{"kind": "repair", "new_codes": -1}]})").error().code, ErrorCode::kBadRecipe);
  }

 private:
  std::filesystem::path path(const char* part) const { return std::filesystem::path(folder_.path().toStdString()) / part; }
  QTemporaryDir folder_;
};

QTEST_GUILESS_MAIN(NewCodesTest)
#include "new_codes_test.moc"
