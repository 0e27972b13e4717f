// What the values of a tensor are like: range, spread, outliers, the largest of each row and column. From a sample at once,
// with the error that this means, or from all of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/formats/checkpoint.h"

namespace retort {

struct TensorStatistics {
  static constexpr std::size_t kBins = 64, kMostPeaks = 256;
  static constexpr double kFar = 6;                           // deviations from the mean; beyond it a value is an outlier
  std::string name;
  std::int64_t elements = 0;                                  // of the tensor
  std::int64_t read = 0;                                      // that the figures come from: fewer in a sample
  std::int64_t non_finite = 0;                                // of those read
  double minimum = 0, maximum = 0, mean = 0, deviation = 0;   // of the finite values; a sample's range is a lower bound
  double outliers = 0, zeros = 0;                             // shares of the finite values
  // Half the width of the 95 % intervals, from how much the pieces of the sample differ. 0 when everything was read.
  double mean_error = 0, deviation_error = 0, outliers_error = 0;
  std::array<std::int64_t, kBins> histogram{};                // equal bins from minimum to maximum
  // Largest magnitude of each output row and each input column; where there are more than kMostPeaks, of neighbours
  // together. Below 0: the sample holds nothing of them.
  std::vector<float> row_peaks, column_peaks;

  bool is_sample() const noexcept { return read < elements; }
  // The value farthest from the mean, in deviations: what stretches a scale. 0 for constant tensors.
  double farthest() const noexcept;
};

// About `most` values in pieces spread over the tensor, always the same ones. A tensor of no more is read whole.
// Touches few pages of the file: for tensors of any size.
TensorStatistics sample_statistics(const TensorEntry& tensor, std::int64_t most = std::int64_t{1} << 18);

// Every value, read twice; progress in values of both passes. Errors: kCanceled.
Result<TensorStatistics> tensor_statistics(const TensorEntry& tensor, const JobContext& job);

}  // namespace retort
