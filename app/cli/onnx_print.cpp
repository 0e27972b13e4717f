#include "app/cli/onnx_print.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;

constexpr std::size_t kLabelWidth = 26, kColumnWidth = 20;

// Names differ at their end, so that is what stays; no character is cut in two.
std::string shortened(const std::string& text, std::size_t width) {
  if (text.size() <= width) return text;
  std::size_t at = text.size() - width + 1;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  return "…" + text.substr(at);
}

std::string range_text(const Share& figure) { return fmt::format("{:.1f}% ({:.0f}–{:.0f})", 100 * figure.value, 100 * figure.low, 100 * figure.high); }

std::string verdict_text(const Paired& against) { return against.better ? "better" : against.worse ? "worse" : "can't be told apart"; }

// One line: a label and a cell for each graph. Characters of more than one byte are counted as one.
void print_row(const std::string& label, const std::vector<GraphFigures>& all, const std::function<std::string(const GraphFigures&)>& cell) {
  const auto padding = [](const std::string& text, std::size_t width) {
    const auto characters = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    return std::string(characters < width ? width - characters : 1, ' ');
  };
  const std::string name = shortened(label, kLabelWidth);
  fmt::print("{}{}", name, padding(name, kLabelWidth));
  for (const GraphFigures& figures : all) {
    const std::string text = cell(figures);
    fmt::print("{}{}", padding(text, kColumnWidth), text);
  }
  fmt::print("\n");
}

std::string milliseconds(double seconds) { return fmt::format("{:.1f} ms", 1e3 * seconds); }

}  // namespace

nlohmann::ordered_json difference_json(const OutputDifference& output) {
  nlohmann::ordered_json out = {{"name", output.name()}, {"relative_worst", output.relative_worst()}, {"relative_rms", output.relative_rms()}, {"cosine", output.cosine()},
                                {"top1_agreement", nullptr}, {"rows", output.rows()}};
  if (output.rows() == 0) return out;
  const Share same = output.agreement();
  out["top1_agreement"] = same.value;
  out["top1_agreement_low"] = same.low;
  out["top1_agreement_high"] = same.high;
  return out;
}

nlohmann::ordered_json figures_json(const GraphFigures& figures) {
  nlohmann::ordered_json out = {{"name", figures.name}, {"bytes", figures.file_bytes}, {"weight_bytes", figures.weight_bytes}, {"parameters", figures.parameters},
                                {"quantized", figures.quantized}, {"value_bytes", figures.value_bytes}, {"runs", figures.seconds.size()},
                                {"latency_seconds", {{"p50", median(figures.seconds)}, {"p95", within_95(figures.seconds)}}}};
  out["outputs"] = nlohmann::ordered_json::array();
  for (const OutputDifference& output : figures.outputs) out["outputs"].push_back(difference_json(output));
  if (!figures.answers) return out;
  const Answers& answers = *figures.answers;
  out["accuracy"] = {{"value", answers.accuracy.value}, {"low", answers.accuracy.low}, {"high", answers.accuracy.high}, {"n", answers.right.size()}, {"output", answers.output}};
  if (answers.against) out["accuracy"]["against_first"] = {{"difference", answers.against->difference}, {"low", answers.against->low}, {"high", answers.against->high},
                                                           {"verdict", verdict_text(*answers.against)}};
  return out;
}

void print_figures(const std::vector<GraphFigures>& all) {
  if (all.empty()) return;
  print_row("", all, [](const GraphFigures& f) { return shortened(f.name, kColumnWidth - 1); });
  print_row("file", all, [](const GraphFigures& f) { return human_bytes(f.file_bytes); });
  print_row("weights", all, [](const GraphFigures& f) { return human_bytes(f.weight_bytes); });
  print_row(fmt::format("run, median of {}", all.front().seconds.size()), all, [](const GraphFigures& f) { return milliseconds(median(f.seconds)); });
  print_row("run, 95 of 100 within", all, [](const GraphFigures& f) { return milliseconds(within_95(f.seconds)); });
  print_row("values in memory", all, [](const GraphFigures& f) { return human_bytes(f.value_bytes); });
  if (all.front().answers) {
    print_row(fmt::format("right, of {}", all.front().answers->right.size()), all, [](const GraphFigures& f) { return range_text(f.answers->accuracy); });
    print_row("  against the first", all, [](const GraphFigures& f) { return f.answers->against ? verdict_text(*f.answers->against) : std::string(); });
  }
  for (const OutputDifference& output : all.back().outputs) {
    const auto line = [&](const std::string& label, const std::function<std::string(const OutputDifference&)>& text) {
      print_row(label, all, [&](const GraphFigures& f) {
        const OutputDifference* const own = f.output(output.name());
        return own ? text(*own) : std::string();
      });
    };
    fmt::print("{}\n", output.name());
    if (output.rows() > 0) line(fmt::format("  same answer, of {}", output.rows()), [](const OutputDifference& o) { return range_text(o.agreement()); });
    line("  rms difference", [](const OutputDifference& o) { return fmt::format("{:.2f}%", 100 * o.relative_rms()); });
    line("  largest difference", [](const OutputDifference& o) { return fmt::format("{:.2f}%", 100 * o.relative_worst()); });
    line("  cosine", [](const OutputDifference& o) { return fmt::format("{:.6f}", o.cosine()); });
  }
}

void print_figures_note(const std::vector<GraphFigures>& all) {
  fmt::print("\nAnswers: rows along an output's last axis whose greatest value stands where the first graph's does; in brackets the 95% interval. Differences\n"
             "are relative to the first graph's greatest value (largest) and its root mean square (rms).\n");
  if (std::any_of(all.begin(), all.end(), [](const GraphFigures& f) { return f.quantized; }))
    fmt::print("8-bit values are expanded to f32 for computing here: size and accuracy are those of the quantized graph, time and memory are not.\n");
}

void print_sensitivity(const SensitivityReport& report) {
  constexpr std::size_t kShown = 12;
  if (report.nodes.empty()) return;
  fmt::print("\n{:<44} {:>10} {:>12}  {}\n", "node", "f32 bytes", "error alone", "");
  std::size_t shown = 0;
  for (const Sensitivity& node : report.nodes) {
    if (!node.kept && shown >= kShown) continue;
    ++shown;
    fmt::print("{:<44} {:>10} {:>11.3f}%  {}\n", node.label.substr(0, 44), human_bytes(node.bytes), 100 * node.error, node.kept ? "stays in f32" : "INT8");
  }
  if (shown < report.nodes.size()) fmt::print("{} more in INT8, each of less error\n", report.nodes.size() - shown);
  fmt::print("All in INT8: {:.2f}% off; so: {:.2f}% (root mean square of the outputs on the calibration inputs).\n", 100 * report.error_all, 100 * report.error);
}

}  // namespace retort::cli
