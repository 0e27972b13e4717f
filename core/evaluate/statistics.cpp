#include "core/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace retort {
namespace {

// SplitMix64 (Steele et al. 2014): the same resamples on every machine and library, unlike <random>'s distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t n) {
    state_ += 0x9e3779b97f4a7c15ull;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (z >> 32) * n >> 32;  // n stays below 2^32
  }

 private:
  std::uint64_t state_;
};

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

double quantile(std::span<const double> sorted, double q) {
  if (sorted.empty()) return 0;
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<std::vector<std::size_t>> resample_indices(std::size_t n, int resamples, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::vector<std::size_t>> all(static_cast<std::size_t>(resamples), std::vector<std::size_t>(n));
  for (auto& picks : all)
    for (std::size_t& pick : picks) pick = static_cast<std::size_t>(random.below(n));
  return all;
}

Figure bootstrap_mean(std::span<const double> values, std::uint64_t seed, int resamples) {
  Figure figure;
  if (values.empty()) return figure;
  figure.value = mean(values);
  std::vector<double> means;
  for (const auto& picks : resample_indices(values.size(), resamples, seed)) {
    double sum = 0;
    for (const std::size_t i : picks) sum += values[i];
    means.push_back(sum / static_cast<double>(values.size()));
  }
  std::sort(means.begin(), means.end());
  figure.low = quantile(means, 0.025);
  figure.high = quantile(means, 0.975);
  return figure;
}

Figure wilson(std::int64_t successes, std::int64_t n) {
  if (n <= 0) return {};
  constexpr double kZ = 1.959963984540054;
  const double count = static_cast<double>(n), p = static_cast<double>(successes) / count;
  const double denominator = 1 + kZ * kZ / count;
  const double centre = (p + kZ * kZ / (2 * count)) / denominator;
  const double half = kZ * std::sqrt(p * (1 - p) / count + kZ * kZ / (4 * count * count)) / denominator;
  return {p, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double mcnemar_exact(std::int64_t only_a, std::int64_t only_b) {
  const std::int64_t n = only_a + only_b, smaller = std::min(only_a, only_b);
  double tail = 0;
  for (std::int64_t k = 0; k <= smaller; ++k)
    tail += std::exp(std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
                     std::lgamma(static_cast<double>(n - k) + 1) - static_cast<double>(n) * std::log(2.0));
  return std::min(1.0, 2 * tail);
}

Comparison compare_rows(std::span<const double> a, std::span<const double> b, bool lower_is_better, std::uint64_t seed) {
  Comparison comparison;
  const std::size_t n = std::min(a.size(), b.size());
  if (n < 2) return comparison;
  std::vector<double> differences(n);
  bool right_or_wrong = true;
  std::int64_t only_a = 0, only_b = 0;
  for (std::size_t i = 0; i < n; ++i) {
    differences[i] = a[i] - b[i];
    right_or_wrong = right_or_wrong && (a[i] == 0 || a[i] == 1) && (b[i] == 0 || b[i] == 1);
    only_a += a[i] > b[i];
    only_b += b[i] > a[i];
  }
  const Figure figure = bootstrap_mean(differences, seed, 2000);
  comparison.difference = figure.value;
  comparison.low = figure.low;
  comparison.high = figure.high;
  // Right/wrong rows have an exact test; others are told apart when their interval leaves out zero.
  bool apart = figure.low > 0 || figure.high < 0;
  if (right_or_wrong) {
    comparison.p = mcnemar_exact(only_a, only_b);
    apart = *comparison.p < 0.05;
  }
  if (apart) comparison.verdict = (figure.value < 0) == lower_is_better ? Verdict::kBetter : Verdict::kWorse;
  return comparison;
}

}  // namespace retort
