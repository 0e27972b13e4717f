#include "ui/plots/axis.h"

#include <algorithm>
#include <cmath>

namespace retort::ui {

double AxisMap::at(double value) const {
  const double x = std::clamp(value, low, high);
  const double part = logarithmic ? std::log(x / low) / std::log(high / low) : (x - low) / (high - low);
  return from + part * (to - from);
}

std::pair<double, double> axisRange(const std::vector<double>& values, bool logarithmic) {
  double low = 1e300, high = -1e300;
  for (const double value : values) {
    if (!std::isfinite(value) || (logarithmic && value <= 0)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low > high) return logarithmic ? std::pair(0.001, 1.0) : std::pair(0.0, 1.0);
  if (logarithmic) return {low / 1.5, std::max(high * 1.5, low * 4)};
  const double margin = high > low ? (high - low) * 0.1 : std::max(std::abs(high) * 0.1, 1e-9);
  return {low >= 0 ? std::max(0.0, low - margin) : low - margin, high + margin};
}

std::vector<double> axisTicks(double low, double high, bool logarithmic) {
  std::vector<double> ticks;
  if (!(high > low)) return ticks;
  if (logarithmic) {
    const double decades = std::log10(high / low);
    const std::vector<double> steps = decades > 3 ? std::vector<double>{1} : decades > 1.5 ? std::vector<double>{1, 3} : std::vector<double>{1, 2, 5};
    for (int power = static_cast<int>(std::floor(std::log10(low))); power <= static_cast<int>(std::ceil(std::log10(high))); ++power)
      for (const double step : steps)
        if (const double tick = step * std::pow(10.0, power); tick >= low && tick <= high) ticks.push_back(tick);
    return ticks;
  }
  const double rough = (high - low) / 4, unit = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * unit;
  for (const double nice : {5.0, 2.0, 1.0})
    if (nice * unit >= rough) step = nice * unit;
  for (double tick = std::ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  return ticks;
}

QString tickText(double value) {
  const double magnitude = std::abs(value);
  if (value == 0) return QStringLiteral("0");
  return magnitude < 1e-4 || magnitude >= 1e6 ? QString::number(value, 'e', 0) : QString::number(value, 'g', 4);
}

std::vector<double> spreadApart(const std::vector<double>& wanted, double step, double from, double to) {
  std::vector<double> placed = wanted;
  // Onward from the start; what runs over the end moves back.
  for (std::size_t i = 0; i < placed.size(); ++i) placed[i] = std::max(placed[i], i == 0 ? from : placed[i - 1] + step);
  if (!placed.empty() && placed.back() > to) {
    placed.back() = to;
    for (std::size_t i = placed.size() - 1; i-- > 0;) placed[i] = std::min(placed[i], placed[i + 1] - step);
  }
  return placed;
}

}  // namespace retort::ui
