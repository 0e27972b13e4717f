// The range of each activation that becomes 8-bit: what calibration runs show, and which part of it is worth the 256 codes.
// A single far value would coarsen all others, so the default cuts the range where the mean squared error is least.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/onnx/session.h"

namespace retort::onnx {

struct Range {
  float low = 0, high = 0;               // 0 lies inside
};
using Ranges = std::map<std::string, Range, std::less<>>;   // by value name

// What was seen of one value: its range, then how its values spread over it.
struct Histogram {
  static constexpr std::size_t kBins = 2048;
  float low = 0, high = 0;               // 0 lies inside
  std::vector<std::uint64_t> counts;     // kBins equal bins over [low, high]; empty: only the range is known
};

enum class RangeMethod : std::uint8_t { kMinMax, kPercentile, kMse };
struct RangeMethodTraits {
  std::string_view id;                   // "mse"; as the command line takes it
  std::string_view plain;
};
const RangeMethodTraits& traits(RangeMethod method) noexcept;
std::optional<RangeMethod> find_range_method(std::string_view id) noexcept;

// What of a histogram the codes 0 … 255 should cover; low ≤ 0 ≤ high.
//   minmax      all of it
//   percentile  all but the 0.005 % at either end
//   mse         least mean squared error of rounding and clipping, by search over both ends
Range choose_range(const Histogram& histogram, RangeMethod method);

class Calibrator {
 public:
  // The values that quantization of this session's graph asks for.
  explicit Calibrator(Session& session);
  // Runs all sets twice: for the ranges, then for the histograms. Errors: those of a run, kNonFinite.
  Result<void> observe(std::span<const Session::Values> sets, const JobContext& job);
  Ranges ranges(RangeMethod method) const;
  const std::map<std::string, Histogram, std::less<>>& histograms() const noexcept { return histograms_; }

 private:
  Result<void> pass(const Session::Values& inputs, const JobContext& job, bool range);

  Session& session_;
  std::map<std::string, Histogram, std::less<>> histograms_;
};

}  // namespace retort::onnx
