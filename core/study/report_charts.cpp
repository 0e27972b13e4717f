#include "core/study/report_charts.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace retort {
namespace {

constexpr double kWidth = 680;

// Round steps so that about `wanted` ticks fit: 1, 2 or 5 times a power of ten.
double tick_step(double span, int wanted) {
  if (!(span > 0)) return 1;
  const double rough = span / wanted, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0})
    if (factor * power >= rough) return factor * power;
  return 10 * power;
}

std::string number(double value) {
  if (value == 0) return "0";
  const double magnitude = std::abs(value);
  if (magnitude >= 1000) return fmt::format("{:.0f}", value);
  if (magnitude >= 0.001) return fmt::format("{:.4g}", value);
  return fmt::format("{:.0e}", value);
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view css, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>", x, y, anchor, css, escaped(text));
}
std::string line_at(double x1, double y1, double x2, double y2, std::string_view css) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>", x1, y1, x2, y2, css);
}

// The y axis of the scatter: linear from zero, or logarithmic with zero at its foot.
class Axis {
 public:
  Axis(double smallest, double largest, double top, double foot) : top_(top), foot_(foot) {
    log_ = smallest > 0 && largest / smallest > 100;
    if (log_) {
      low_ = std::floor(std::log10(smallest));
      high_ = std::ceil(std::log10(largest));
    } else {
      high_ = largest > 0 ? largest * 1.08 : 1;
    }
  }
  double at(double value) const {
    double part = 0;
    if (!log_) part = value / high_;
    else if (value > 0) part = (std::log10(value) - low_) / (high_ - low_);
    return foot_ - std::clamp(part, 0.0, 1.0) * (foot_ - top_);
  }
  std::vector<double> ticks() const {
    std::vector<double> values;
    if (log_) {
      for (double power = low_; power <= high_; ++power) values.push_back(std::pow(10, power));
    } else {
      const double step = tick_step(high_, 5);
      for (double value = 0; value <= high_; value += step) values.push_back(value);
    }
    return values;
  }
  bool logarithmic() const { return log_; }

 private:
  double top_, foot_, low_ = 0, high_ = 1;
  bool log_ = false;
};

// Each label goes to the free place nearest to its marker; a thin line joins the two where that isn't beside it.
class Labels {
 public:
  explicit Labels(double foot) : foot_(foot) {}
  void keep_free(double x, double y) { boxes_.push_back({x - 7, x + 7, y - 7, y + 7}); }

  void keep_free(double x1, double y1, double x2, double y2) {
    constexpr int kPieces = 40;
    for (int i = 0; i <= kPieces; ++i) {
      const double x = x1 + (x2 - x1) * i / kPieces, y = y1 + (y2 - y1) * i / kPieces;
      boxes_.push_back({x - 1, x + 1, y - 1, y + 1});
    }
  }

  std::string place(double x, double y, const std::string& text, bool bold) {
    const double width = (bold ? 7.4 : 6.8) * static_cast<double>(text.size());
    Box best = box_at(x + 10, y, width);
    [&] {
      for (const double shift : {0.0, -13.0, 13.0, -26.0, 26.0, -39.0, 39.0, -52.0, 52.0})
        for (const double left : {x + 10, x - 10 - width, x - width / 2}) {
          const Box box = box_at(left, y + shift, width);
          if (!free(box)) continue;
          best = box;
          return;
        }
    }();
    boxes_.push_back(best);
    const double line = best.bottom - 3;
    const bool on_left = best.right < x;
    const bool beside = std::abs((best.top + best.bottom) / 2 - y) < 15;
    const double end = std::clamp(x, best.left, best.right), near = line < y ? best.bottom : best.top;
    return (beside ? "" : line_at(x, y, end, near, "leader")) +
           text_at(on_left ? best.right : best.left, line, on_left ? "end" : "start", bold ? "label chosen-text" : "label", text);
  }

 private:
  struct Box {
    double left, right, top, bottom;
  };
  static Box box_at(double left, double middle, double width) { return {left, left + width, middle - 7, middle + 7}; }
  bool free(const Box& one) const {
    return one.left >= 60 && one.right <= kWidth && one.top >= 2 && one.bottom <= foot_ &&
           std::none_of(boxes_.begin(), boxes_.end(), [&](const Box& box) {
             return box.top < one.bottom && one.top < box.bottom && one.left < box.right && box.left < one.right;
           });
  }
  double foot_;
  std::vector<Box> boxes_;
};

std::string marker(double x, double y, const ChartPoint& point) {
  const char* css = point.chosen ? "point chosen" : point.front ? "point" : "point beaten";
  if (point.chosen)
    return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"11\" height=\"11\" transform=\"rotate(45 {:.1f} {:.1f})\" class=\"{}\"/>", x - 5.5, y - 5.5, x, y, css);
  return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" class=\"{}\"/>", x, y, css);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string scatter_svg(const std::string& title, const std::string& x_label, const std::string& y_label,
                        const std::vector<ChartPoint>& points) {
  constexpr double kHeight = 360, kLeft = 70, kRight = kWidth - 24, kTop = 24, kFoot = kHeight - 48;
  double largest_x = 0, largest_y = 0, smallest_y = INFINITY;
  for (const ChartPoint& point : points) {
    largest_x = std::max(largest_x, point.x);
    largest_y = std::max(largest_y, std::max(point.y.value, point.y.high));
    if (point.y.value > 0) smallest_y = std::min(smallest_y, point.y.value);
  }
  const double x_end = largest_x > 0 ? largest_x * 1.06 : 1;
  const auto x_at = [&](double value) { return kLeft + value / x_end * (kRight - kLeft); };
  const Axis axis(std::isfinite(smallest_y) ? smallest_y : 0, largest_y, kTop, kFoot);

  std::string svg = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight, escaped(title));
  for (const double tick : axis.ticks()) {
    svg += line_at(kLeft, axis.at(tick), kRight, axis.at(tick), "grid");
    svg += text_at(kLeft - 8, axis.at(tick) + 4, "end", "tick", number(tick));
  }
  const double step = tick_step(x_end, 7);
  for (double tick = 0; tick <= x_end; tick += step) {
    svg += line_at(x_at(tick), kFoot, x_at(tick), kFoot + 5, "axis");
    svg += text_at(x_at(tick), kFoot + 20, "middle", "tick", number(tick));
  }
  svg += line_at(kLeft, kFoot, kRight, kFoot, "axis");
  svg += text_at((kLeft + kRight) / 2, kHeight - 8, "middle", "axis-label", x_label);
  svg += fmt::format("<text transform=\"translate(16 {:.1f}) rotate(-90)\" text-anchor=\"middle\" class=\"axis-label\">{}</text>",
                     (kTop + kFoot) / 2, escaped(y_label + (axis.logarithmic() ? " (log; zero at the foot)" : "")));

  std::vector<const ChartPoint*> front;
  for (const ChartPoint& point : points)
    if (point.front) front.push_back(&point);
  std::sort(front.begin(), front.end(), [](const auto* a, const auto* b) { return a->x < b->x; });
  std::string path;
  for (const ChartPoint* point : front) path += fmt::format("{}{:.1f},{:.1f} ", path.empty() ? "M" : "L", x_at(point->x), axis.at(point->y.value));
  if (front.size() > 1) svg += "<path d=\"" + path + "\" class=\"front\"/>";
  Labels labels(kFoot + 6);
  for (const ChartPoint& point : points) labels.keep_free(x_at(point.x), axis.at(point.y.value));
  for (std::size_t i = 1; i < front.size(); ++i)
    labels.keep_free(x_at(front[i - 1]->x), axis.at(front[i - 1]->y.value), x_at(front[i]->x), axis.at(front[i]->y.value));
  for (const ChartPoint& point : points) {
    const double x = x_at(point.x), y = axis.at(point.y.value);
    if (point.y.high > point.y.low) {
      svg += line_at(x, axis.at(point.y.low), x, axis.at(point.y.high), "whisker");
      svg += line_at(x - 3, axis.at(point.y.low), x + 3, axis.at(point.y.low), "whisker");
      svg += line_at(x - 3, axis.at(point.y.high), x + 3, axis.at(point.y.high), "whisker");
    }
    svg += marker(x, y, point) + labels.place(x, y, point.label, point.chosen);
  }
  return svg + "</svg>";
}

std::string bars_svg(const std::string& title, const std::string& unit, const std::vector<std::string>& part_names,
                     const std::vector<ChartBar>& bars) {
  constexpr double kLeft = 190, kRight = kWidth - 110, kRow = 26, kTop = 34;
  double largest = 0;
  for (const ChartBar& bar : bars) {
    double sum = 0;
    for (const double part : bar.parts) sum += part;
    largest = std::max({largest, sum, bar.whisker ? bar.whisker->high : 0.0});
  }
  if (largest <= 0) largest = 1;
  const auto x_at = [&](double value) { return kLeft + value / largest * (kRight - kLeft); };
  const double height = kTop + kRow * static_cast<double>(bars.size()) + 10;
  std::string svg = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">", kWidth, height, escaped(title));
  double legend = kLeft;
  svg += text_at(kLeft - 10, 16, "end", "axis-label", unit);
  for (std::size_t i = 0; i < part_names.size(); ++i) {
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"7\" width=\"11\" height=\"11\" class=\"part{}\"/>", legend, i);
    svg += text_at(legend + 16, 17, "start", "tick", part_names[i]);
    legend += 32 + 6.6 * static_cast<double>(part_names[i].size());
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const ChartBar& bar = bars[i];
    const double y = kTop + kRow * static_cast<double>(i);
    svg += text_at(kLeft - 10, y + 13, "end", bar.chosen ? "label chosen-text" : "label", bar.label);
    double sum = 0;
    for (std::size_t part = 0; part < bar.parts.size(); ++part) {
      svg += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\" class=\"part{}\"/>", x_at(sum), y,
                         std::max(0.5, x_at(sum + bar.parts[part]) - x_at(sum)), part);
      sum += bar.parts[part];
    }
    double end = x_at(sum);
    if (bar.whisker) {
      svg += line_at(x_at(bar.whisker->low), y + 8, x_at(bar.whisker->high), y + 8, "whisker");
      for (const double edge : {bar.whisker->low, bar.whisker->high}) svg += line_at(x_at(edge), y + 4, x_at(edge), y + 12, "whisker");
      end = std::max(end, x_at(bar.whisker->high));
    }
    svg += text_at(end + 8, y + 13, "start", "tick", bar.text);
  }
  return svg + "</svg>";
}

}  // namespace retort
