// Charts of the report as inline SVG: sizes in pixels of a 680-wide drawing, colours by CSS classes of the page, so that
// light and dark both suit them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/evaluate/metrics.h"

namespace retort {

struct ChartPoint {
  std::string label;
  double x = 0;
  Figure y;
  bool front = false, chosen = false;
};
// Points with error bars; the front is joined. The y axis is logarithmic when the values span more than two decades, and
// zero then sits on the axis' foot.
std::string scatter_svg(const std::string& title, const std::string& x_label, const std::string& y_label,
                        const std::vector<ChartPoint>& points);

struct ChartBar {
  std::string label;
  std::vector<double> parts;              // stacked
  std::optional<Figure> whisker;          // in the bars' unit
  std::string text;                       // at the end of the bar
  bool chosen = false;
};
// Horizontal bars from zero, one a row.
std::string bars_svg(const std::string& title, const std::string& unit, const std::vector<std::string>& part_names,
                     const std::vector<ChartBar>& bars);

// Text for HTML and SVG.
std::string escaped(std::string_view text);

}  // namespace retort
