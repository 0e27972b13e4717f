// Axes of the charts that paint themselves: ranges, ticks, positions, and labels moved apart.
#pragma once

#include <QString>
#include <utility>
#include <vector>

namespace retort::ui {

// A linear or logarithmic run of values over pixels.
struct AxisMap {
  double low = 0, high = 1;
  double from = 0, to = 1;      // pixels of low and high
  bool logarithmic = false;
  // A logarithmic axis has no zero: such values stand on its lower end.
  double at(double value) const;
};

// A range with room around the values; a logarithmic one leaves out what is not positive.
std::pair<double, double> axisRange(const std::vector<double>& values, bool logarithmic);
// 1, 2, 5 · 10ⁿ; decades on a logarithmic axis, with 2 and 5 between them when there are few.
std::vector<double> axisTicks(double low, double high, bool logarithmic);
QString tickText(double value);
// Positions nearest to the ascending `wanted` that are at least `step` apart, kept between the ends where they fit.
std::vector<double> spreadApart(const std::vector<double>& wanted, double step, double from, double to);

}  // namespace retort::ui
