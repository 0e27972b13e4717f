// Intervals and paired tests. "A is better than B" is said only with one of these behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/evaluate/metrics.h"

namespace retort {

// Percentile bootstrap of the mean, 95 %, resampled by row; deterministic by seed.
Figure bootstrap_mean(std::span<const double> values, std::uint64_t seed, int resamples = 1000);
// The indices of each resample of n rows, with replacement.
std::vector<std::vector<std::size_t>> resample_indices(std::size_t n, int resamples, std::uint64_t seed);
// Wilson score interval of a share, 95 %.
Figure wilson(std::int64_t successes, std::int64_t n);
// Exact two-sided McNemar test: only_a and only_b right.
double mcnemar_exact(std::int64_t only_a, std::int64_t only_b);
// Quantile by linear interpolation; `sorted` ascending.
double quantile(std::span<const double> sorted, double q);

// Verdict of a paired comparison of two candidates on the same rows.
enum class Verdict : std::uint8_t { kBetter, kWorse, kCannotTell };
struct Comparison {
  Verdict verdict = Verdict::kCannotTell;   // of a against b
  double difference = 0, low = 0, high = 0; // mean of a - b, bootstrap over rows
  std::optional<double> p;                  // exact McNemar, for right/wrong rows only
};
// Rows are matched by index. lower_is_better for scores such as KL divergence.
Comparison compare_rows(std::span<const double> a, std::span<const double> b, bool lower_is_better, std::uint64_t seed);

}  // namespace retort
