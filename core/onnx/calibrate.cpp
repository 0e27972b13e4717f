#include "core/onnx/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/formats/byte_reader.h"
#include "core/onnx/quantize.h"

namespace retort::onnx {
namespace {

constexpr std::array<RangeMethodTraits, 3> kMethods = {{{"minmax", "smallest to largest value"},
                                                        {"percentile", "all but 0.005 % at either end"},
                                                        {"mse", "least mean squared error"}}};

// A histogram seen as points: the middle of each bin that holds anything.
struct Points {
  std::vector<double> at, count;
  double width = 0;                      // of a bin
};

Points points_of(const Histogram& histogram) {
  Points out;
  out.width = (static_cast<double>(histogram.high) - static_cast<double>(histogram.low)) / static_cast<double>(Histogram::kBins);
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    if (histogram.counts[i] == 0) continue;
    out.at.push_back(static_cast<double>(histogram.low) + (static_cast<double>(i) + 0.5) * out.width);
    out.count.push_back(static_cast<double>(histogram.counts[i]));
  }
  return out;
}

// The codes' own range: what 0 … 255 stand for once the zero point is whole.
struct RangeCodes {
  double scale, zero;
  explicit RangeCodes(const Range& range) {
    const double step = (static_cast<double>(range.high) - static_cast<double>(range.low)) / 255;
    scale = step > 0 ? step : 1;
    zero = std::clamp(std::nearbyint(-static_cast<double>(range.low) / scale), 0.0, 255.0);
  }
  double code(double x) const noexcept { return std::clamp(std::nearbyint(x / scale) + zero, 0.0, 255.0); }
  double value(double code) const noexcept { return (code - zero) * scale; }
};

double squared_error(const Points& points, const Range& range) {
  const RangeCodes codes(range);
  const double low = codes.value(0), high = codes.value(255), rounding = codes.scale * codes.scale / 12;
  double sum = 0;
  for (std::size_t i = 0; i < points.at.size(); ++i) {
    const double x = points.at[i], beyond = x < low ? low - x : x > high ? x - high : 0;
    // Bins finer than a step: rounding is spread evenly over it. Coarser ones: where the bin's middle falls.
    const double inside = points.width < codes.scale ? rounding : (codes.value(codes.code(x)) - x) * (codes.value(codes.code(x)) - x);
    sum += points.count[i] * (beyond > 0 ? beyond * beyond : inside);
  }
  return sum;
}

// Both ends are drawn in by turns, in steps of the range that was seen.
template <class Cost>
Range search(const Histogram& histogram, const Cost& cost) {
  constexpr int kSteps = 64, kRounds = 2;
  Range best{histogram.low, histogram.high};
  double least = cost(best);
  for (int round = 0; round < kRounds; ++round)
    for (const bool upper : {true, false})
      for (int step = 1; step <= kSteps; ++step) {
        Range range = best;
        const float part = static_cast<float>(step) / kSteps;
        (upper ? range.high : range.low) = part * (upper ? histogram.high : histogram.low);
        if (range.high - range.low <= 0) continue;
        if (const double here = cost(range); here < least) {
          least = here;
          best = range;
        }
      }
  return best;
}

Range percentile(const Histogram& histogram) {
  constexpr double kCut = 5e-5;
  const Points points = points_of(histogram);
  double total = 0;
  for (const double count : points.count) total += count;
  Range out{0, 0};
  double below = 0;
  for (std::size_t i = 0; i < points.at.size(); ++i) {
    if (below <= kCut * total) out.low = static_cast<float>(points.at[i] - points.width / 2);
    if (total - below > kCut * total) out.high = static_cast<float>(points.at[i] + points.width / 2);
    below += points.count[i];
  }
  return {std::min(out.low, 0.0f), std::max(out.high, 0.0f)};
}

}  // namespace

const RangeMethodTraits& traits(RangeMethod method) noexcept { return kMethods[static_cast<std::size_t>(method)]; }

std::optional<RangeMethod> find_range_method(std::string_view id) noexcept {
  for (std::size_t i = 0; i < kMethods.size(); ++i)
    if (kMethods[i].id == id) return static_cast<RangeMethod>(i);
  return std::nullopt;
}

Range choose_range(const Histogram& histogram, RangeMethod method) {
  if (histogram.counts.empty() || histogram.high <= histogram.low) return {histogram.low, histogram.high};
  if (method == RangeMethod::kPercentile) return percentile(histogram);
  const Points points = points_of(histogram);
  if (method == RangeMethod::kMse) return search(histogram, [&](const Range& range) { return squared_error(points, range); });
  return {histogram.low, histogram.high};
}

Calibrator::Calibrator(Session& session) : session_(session) {
  for (const std::string& name : quantized_activations(session.plan())) histograms_[name];
}

Result<void> Calibrator::pass(const Session::Values& inputs, const JobContext& job, bool range) {
  Result<void> problem;
  const auto look = [&](const std::string& name, const Tensor& value) {
    const auto found = histograms_.find(name);
    if (found == histograms_.end() || !problem.ok() || value.type() != ElementType::kFloat) return;
    Histogram& h = found->second;
    if (range) {
      for (const float x : value.values<float>()) {
        if (!std::isfinite(x)) {
          problem = Error{.code = ErrorCode::kNonFinite, .place = "value " + formats::printable(name)};
          return;
        }
        h.low = std::min(h.low, x);
        h.high = std::max(h.high, x);
      }
      return;
    }
    const double width = static_cast<double>(h.high) - static_cast<double>(h.low);
    if (width <= 0) return;
    h.counts.resize(Histogram::kBins);
    const double scale = static_cast<double>(Histogram::kBins) / width;
    for (const float x : value.values<float>())
      ++h.counts[std::min(Histogram::kBins - 1, static_cast<std::size_t>(std::max(0.0, (static_cast<double>(x) - static_cast<double>(h.low)) * scale)))];
  };
  for (const auto& [name, value] : inputs) look(name, value);
  RETORT_TRY(const auto outputs, session_.run(inputs, job, look));
  return problem;
}

Result<void> Calibrator::observe(std::span<const Session::Values> sets, const JobContext& job) {
  for (const bool range : {true, false})
    for (const Session::Values& inputs : sets) RETORT_CHECK(pass(inputs, job, range));
  return {};
}

Ranges Calibrator::ranges(RangeMethod method) const {
  Ranges out;
  for (const auto& [name, histogram] : histograms_) out.emplace(name, choose_range(histogram, method));
  return out;
}

}  // namespace retort::onnx
