// `retort quantize G.onnx --type INT8 --calibration F.safetensors -o OUT.onnx`: writes the graph with 8-bit weights and
// activations, runs both, and prints what that changed.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/onnx.h"
#include "app/cli/onnx_values.h"
#include "core/onnx/quantize.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;

// How one output of the quantized graph differs, over all sets of inputs.
struct Difference {
  double worst = 0, greatest = 0, squares = 0, reference_squares = 0, product = 0, own_squares = 0;
  std::int64_t rows = 0, same = 0;       // rows along the last axis whose greatest value stands at the same place

  void add(const Tensor& reference, const Tensor& own) {
    const auto a = reference.values<float>(), b = own.values<float>();
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
      worst = std::max(worst, std::abs(x - y));
      greatest = std::max(greatest, std::abs(x));
      squares += (x - y) * (x - y);
      reference_squares += x * x;
      own_squares += y * y;
      product += x * y;
    }
    const std::size_t n = reference.rank() == 0 ? 1 : static_cast<std::size_t>(reference.shape().back());
    for (std::size_t i = 0; n > 1 && i + n <= a.size(); i += n) {
      const auto best = [&](std::span<const float> values) { return std::max_element(values.begin(), values.end()) - values.begin(); };
      ++rows;
      same += best(a.subspan(i, n)) == best(b.subspan(i, n));
    }
  }
  double relative_worst() const noexcept { return greatest > 0 ? worst / greatest : worst; }
  double relative_rms() const noexcept { return reference_squares > 0 ? std::sqrt(squares / reference_squares) : std::sqrt(squares); }
  double cosine() const noexcept { return reference_squares > 0 && own_squares > 0 ? product / std::sqrt(reference_squares * own_squares) : 1; }
};

struct Timed {
  Session::Values outputs;
  double seconds = 0;
};

Result<Timed> timed_run(Session& session, const Session::Values& inputs, const JobContext& job) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(Session::Values outputs, session.run(inputs, job));
  return Timed{std::move(outputs), std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

struct Report {
  std::map<std::string, Difference> outputs;
  double seconds_before = 0, seconds_after = 0;   // of all sets of inputs
  std::size_t sets = 0;
};

Result<Report> compare(Session& before, Session& after, const std::string& data, const JobContext& job) {
  RETORT_TRY(const auto sets, read_value_sets(before, data));
  Report report;
  for (const Session::Values& inputs : sets) {
    RETORT_TRY(const Timed reference, timed_run(before, inputs, job));
    RETORT_TRY(const Timed own, timed_run(after, inputs, job));
    report.seconds_before += reference.seconds;
    report.seconds_after += own.seconds;
    ++report.sets;
    for (const auto& [name, value] : reference.outputs)
      if (value.type() == ElementType::kFloat && own.outputs.at(name).shape() == value.shape()) report.outputs[name].add(value, own.outputs.at(name));
  }
  return report;
}

struct Outcome {
  RangeMethod method = RangeMethod::kMse;
  SensitivityReport sensitivity;
  QuantizedGraph made;
  std::uint64_t bytes_before = 0;
  Report report;
  double seconds = 0;
};

void print_json(const OnnxQuantizeOptions& options, const Outcome& out) {
  using nlohmann::ordered_json;
  const Report& report = out.report;
  ordered_json outputs = ordered_json::array(), nodes = ordered_json::array();
  for (const auto& [name, d] : report.outputs)
    outputs.push_back({{"name", name}, {"relative_worst", d.relative_worst()}, {"relative_rms", d.relative_rms()}, {"cosine", d.cosine()},
                       {"top1_agreement", d.rows == 0 ? ordered_json() : ordered_json(static_cast<double>(d.same) / static_cast<double>(d.rows))},
                       {"rows", d.rows}});
  for (const Sensitivity& node : out.sensitivity.nodes)
    nodes.push_back({{"node", node.label}, {"weight", node.weight}, {"bytes", node.bytes}, {"error", node.error}, {"kept", node.kept}});
  const ordered_json all = {{"output", options.output}, {"bytes", out.made.bytes.size()}, {"source_bytes", out.bytes_before}, {"ranges", traits(out.method).id},
                            {"quantized_nodes", out.made.nodes}, {"kept_nodes", out.made.kept}, {"weight_bytes", out.made.weight_bytes_after},
                            {"source_weight_bytes", out.made.weight_bytes_before}, {"error_all_int8", out.sensitivity.error_all}, {"error", out.sensitivity.error},
                            {"nodes", nodes}, {"sets", report.sets}, {"outputs", outputs}, {"run_seconds", report.seconds_after},
                            {"source_run_seconds", report.seconds_before}, {"seconds", out.seconds}, {"peak_memory_bytes", peak_memory_bytes()}};
  fmt::print("{}\n", all.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

// Which nodes stayed in f32 and why: what each alone does to the outputs.
void print_nodes(const SensitivityReport& report) {
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

void print_report(const OnnxQuantizeOptions& options, const Outcome& out) {
  const Report& report = out.report;
  fmt::print("{} · {} nodes in 8 bits, {} left in f32 · ranges by {}\n\n{:<28} {:>12} {:>12}\n", options.output, out.made.nodes, out.made.kept, traits(out.method).plain, "", "f32", "INT8");
  fmt::print("{:<28} {:>12} {:>12}\n", "file", human_bytes(out.bytes_before), human_bytes(out.made.bytes.size()));
  fmt::print("{:<28} {:>12} {:>12}\n", "weights that changed", human_bytes(out.made.weight_bytes_before), human_bytes(out.made.weight_bytes_after));
  const double sets = static_cast<double>(std::max<std::size_t>(report.sets, 1));
  fmt::print("{:<28} {:>9.1f} ms {:>9.1f} ms\n\n", fmt::format("run, mean of {}", report.sets), 1e3 * report.seconds_before / sets, 1e3 * report.seconds_after / sets);
  fmt::print("{:<28} {:>12} {:>12} {:>10} {:>12}\n", "output", "largest diff.", "rms diff.", "cosine", "same top-1");
  for (const auto& [name, d] : report.outputs)
    fmt::print("{:<28} {:>12.2f}% {:>11.2f}% {:>10.6f} {:>12}\n", name, 100 * d.relative_worst(), 100 * d.relative_rms(), d.cosine(),
               d.rows == 0 ? "" : fmt::format("{} of {}", d.same, d.rows));
  print_nodes(out.sensitivity);
  fmt::print("\nDifferences are relative to the f32 output's greatest value (largest) and its root mean square (rms).\n"
             "The 8-bit values are expanded to f32 for computing here: this shows size and accuracy, not speed.\n");
}

// Nodes are judged by a few sets: each costs a run for every node.
std::span<const Session::Values> judged(const std::vector<Session::Values>& sets) {
  constexpr std::size_t kMost = 6;
  return std::span(sets).first(std::min(sets.size(), kMost));
}

}  // namespace

Result<void> quantize_onnx(const OnnxQuantizeOptions& options, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  if (options.type != "INT8") return Error{.code = ErrorCode::kBadArgument, .place = "--type", .expected = "INT8 for an ONNX graph", .found = options.type.empty() ? "none" : options.type};
  if (options.calibration.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "--calibration", .expected = "safetensors with the graph's inputs, several sets as 0/NAME, 1/NAME …", .found = "none"};
  const auto method = find_range_method(options.ranges);
  if (!method) return Error{.code = ErrorCode::kBadArgument, .place = "--ranges", .expected = "mse, percentile or minmax", .found = options.ranges};
  Outcome out;
  out.method = *method;
  RETORT_TRY(const auto file, open_onnx(options.model));
  out.bytes_before = file->files.front()->bytes().size();
  const SessionOptions session_options{.backend = options.common.backend, .threads = options.common.threads};
  RETORT_TRY(const auto before, Session::make(file, session_options));
  RETORT_TRY(const auto sets, read_value_sets(*before, options.calibration));
  show_progress(context);
  Calibrator calibrator(*before);
  RETORT_CHECK(calibrator.observe(sets, context.job));
  const Ranges ranges = calibrator.ranges(*method);
  RETORT_TRY(const Biases biases, corrected_biases(*before, ranges, sets, context.job));
  RETORT_TRY(out.sensitivity, measure_sensitivity(*before, ranges, biases, judged(sets), options.most_error, options.most_f32, context.job));
  end_progress();
  RETORT_TRY(out.made, quantize_graph(before->plan(), ranges, out.sensitivity.kept(), biases));
  if (out.made.nodes == 0)
    return Error{.code = ErrorCode::kUnsupported, .file = options.model, .expected = "Conv, MatMul or Gemm with constant f32 weights", .found = "none"};
  RETORT_TRY(AtomicFile written_file, AtomicFile::create(options.output));
  RETORT_CHECK(written_file.write(out.made.bytes));
  RETORT_CHECK(written_file.commit());
  // What was written is read back, planned and run: a file that doesn't work is never left unnoticed.
  RETORT_TRY(const auto written, open_onnx(options.output));
  RETORT_TRY(const auto after, Session::make(written, session_options));
  RETORT_TRY(out.report, compare(*before, *after, options.data.empty() ? options.calibration : options.data, context.job));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) print_json(options, out);
  else print_report(options, out);
  return {};
}

}  // namespace retort::cli
