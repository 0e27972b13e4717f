// Figures against the shared references (computed in float64 by other libraries) and against values worked out by hand.
#include <QtTest>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/evaluate/distribution.h"
#include "core/evaluate/statistics.h"
#include "core/formats/checkpoint.h"

using namespace retort;

namespace {

// Sums of at most a few thousand doubles; inputs are float32 logits, so a logarithm carries 1e-7 of their size.
constexpr double kTolerance = 2e-6;
bool near(double a, double b, double tolerance = kTolerance) { return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b)); }

template <class T>
std::vector<T> values(const Checkpoint& file, std::string_view name) {
  const TensorEntry* entry = file.find(name);
  std::vector<T> out(static_cast<std::size_t>(entry->elements()));
  std::memcpy(out.data(), entry->data.data(), entry->data.size());
  return out;
}

}  // namespace

class StatisticsTest : public QObject {
  Q_OBJECT
 private slots:
  void quantilesInterpolate() {
    const std::vector<double> v = {1, 2, 4, 8};
    QCOMPARE(quantile(v, 0), 1.0);
    QCOMPARE(quantile(v, 1), 8.0);
    QCOMPARE(quantile(v, 0.5), 3.0);
    QVERIFY(near(quantile(v, 0.9), 6.8));
    QCOMPARE(quantile({}, 0.5), 0.0);
  }

  void divergenceByHand() {
    // p = (1/2, 1/2), q = (3/4, 1/4): KL = ½ ln(2/3) + ½ ln 2 = ½ ln(4/3).
    const std::vector<float> p = {1.5f, 1.5f}, q = {std::log(3.0f), 0.0f};
    QVERIFY(near(kl_divergence(p, q), 0.5 * std::log(4.0 / 3)));
    QCOMPARE(kl_divergence(q, q), 0.0);
    QCOMPARE(arg_max(p), 0);
  }

  void divergenceSurvivesExtremes() {
    const std::vector<float> p = {1e4f, -1e4f, 0}, q = {-1e4f, 1e4f, 0};
    QVERIFY(std::isfinite(kl_divergence(p, q)) && kl_divergence(p, q) > 1e4);
  }

  void mcnemarByHand() {
    QCOMPARE(mcnemar_exact(0, 0), 1.0);
    QVERIFY(near(mcnemar_exact(0, 5), 0.0625));
    QVERIFY(near(mcnemar_exact(7, 21), 0.012540951371192932, 1e-9));
  }

  void sameRowsCannotBeToldApart() {
    const std::vector<double> a(100, 0.25);
    QVERIFY(compare_rows(a, a, true, 1).verdict == Verdict::kCannotTell);
    std::vector<double> better = a;
    for (std::size_t i = 0; i < better.size(); ++i) better[i] -= 0.01 + 0.0001 * static_cast<double>(i % 7);
    QVERIFY(compare_rows(better, a, true, 1).verdict == Verdict::kBetter);
    QVERIFY(compare_rows(better, a, false, 1).verdict == Verdict::kWorse);
  }

  // Two candidates that differ by noise only: "better" or "worse" may be said in about 5 % of the comparisons.
  void falseClaimsAreRare() {
    std::uint64_t state = 42;
    const auto uniform = [&] {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      return static_cast<double>(state >> 40) / (1 << 24);
    };
    int claims = 0;
    constexpr int kStudies = 400;
    for (int s = 0; s < kStudies; ++s) {
      std::vector<double> a(60), b(60);
      for (std::size_t i = 0; i < a.size(); ++i) a[i] = uniform(), b[i] = uniform();
      claims += compare_rows(a, b, true, static_cast<std::uint64_t>(s)).verdict != Verdict::kCannotTell;
    }
    // 5 % of 400 is 20; the binomial's 99.99 % point lies at 38, and percentile intervals are a little short.
    QVERIFY2(claims <= 38, qPrintable(QString::number(claims)));
    QVERIFY(claims > 0);
  }

  void bootstrapIsDeterministic() {
    std::vector<double> v;
    for (int i = 0; i < 50; ++i) v.push_back(std::sin(i));
    const Figure a = bootstrap_mean(v, 7), b = bootstrap_mean(v, 7), c = bootstrap_mean(v, 8);
    QCOMPARE(a.low, b.low);
    QVERIFY(a.low != c.low);
    QVERIFY(a.low < a.value && a.value < a.high);
  }

  void agreesWithTheSharedReference() {
    const char* shared = std::getenv("RETORT_SHARED");
    if (!shared || !*shared) QSKIP("RETORT_SHARED is not set");
    const std::filesystem::path folder = std::filesystem::path(shared) / "algorithms";
    const auto opened = open_safetensors(folder / "evaluation.safetensors");
    QVERIFY(opened.ok());
    const Checkpoint& file = **opened;
    const auto expected = nlohmann::json::parse(std::ifstream(folder / "evaluation.json"));
    const auto reference = values<float>(file, "reference_logits"), candidate = values<float>(file, "candidate_logits");
    const auto labels = values<std::int64_t>(file, "labels");
    const std::size_t vocabulary = reference.size() / labels.size();
    std::vector<double> kld;
    double nll = 0, agree = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto r = std::span(reference).subspan(i * vocabulary, vocabulary), c = std::span(candidate).subspan(i * vocabulary, vocabulary);
      kld.push_back(kl_divergence(r, c));
      nll += log_normalizer(c) - c[static_cast<std::size_t>(labels[i])];
      agree += arg_max(r) == arg_max(c);
    }
    const auto n = static_cast<double>(labels.size());
    QVERIFY(near(std::exp(nll / n), expected["candidate_ppl"].get<double>()));
    QVERIFY(near(agree / n, expected["top1_agreement"].get<double>()));
    double sum = 0;
    for (const double k : kld) sum += k;
    QVERIFY(near(sum / n, expected["mean_kld"].get<double>()));
    std::sort(kld.begin(), kld.end());
    QVERIFY(near(quantile(kld, 0.5), expected["median_kld"].get<double>()));
    QVERIFY(near(quantile(kld, 0.99), expected["p99_kld"].get<double>()));

    for (const auto& row : expected["mcnemar_exact_table"])
      QVERIFY(near(mcnemar_exact(row["n01"].get<std::int64_t>(), row["n10"].get<std::int64_t>()), row["p"].get<double>(), 1e-9));
    const auto right = values<std::uint8_t>(file, "correct_a");
    const Figure share = wilson(std::count(right.begin(), right.end(), 1), static_cast<std::int64_t>(right.size()));
    QVERIFY(near(share.low, expected["wilson95_a"][0].get<double>()));
    QVERIFY(near(share.high, expected["wilson95_a"][1].get<double>()));
  }
};

QTEST_APPLESS_MAIN(StatisticsTest)
#include "statistics_test.moc"
