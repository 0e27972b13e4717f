// `retort quantize G.onnx --type INT8 --calibration F.safetensors -o OUT.onnx`: writes the graph with 8-bit weights and
// activations, runs both, and prints what that changed.
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/onnx.h"
#include "app/cli/onnx_print.h"
#include "core/formats/json_text.h"
#include "core/onnx/compare.h"
#include "core/onnx/value_files.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;

struct Outcome {
  RangeMethod method = RangeMethod::kMse;
  SensitivityReport sensitivity;
  QuantizedGraph made;
  std::uint64_t bytes_before = 0;
  std::vector<GraphFigures> figures;   // of the source and of what was written
  double seconds = 0;
};

void print_json(const OnnxQuantizeOptions& options, const Outcome& out) {
  using nlohmann::ordered_json;
  const GraphFigures &before = out.figures.front(), &after = out.figures.back();
  ordered_json outputs = ordered_json::array(), nodes = ordered_json::array();
  for (const OutputDifference& output : after.outputs) outputs.push_back(difference_json(output));
  for (const Sensitivity& node : out.sensitivity.nodes)
    nodes.push_back({{"node", node.label}, {"weight", node.weight}, {"bytes", node.bytes}, {"error", node.error}, {"kept", node.kept}});
  const ordered_json all = {{"output", options.output}, {"bytes", out.made.bytes.size()}, {"source_bytes", out.bytes_before}, {"ranges", traits(out.method).id},
                            {"quantized_nodes", out.made.nodes}, {"kept_nodes", out.made.kept}, {"weight_bytes", out.made.weight_bytes_after},
                            {"source_weight_bytes", out.made.weight_bytes_before}, {"error_all_int8", out.sensitivity.error_all}, {"error", out.sensitivity.error},
                            {"nodes", nodes}, {"sets", after.seconds.size()}, {"outputs", outputs}, {"run_seconds", after.total_seconds},
                            {"source_run_seconds", before.total_seconds}, {"seconds", out.seconds}, {"peak_memory_bytes", peak_memory_bytes()}};
  fmt::print("{}\n", formats::json_text(all, 2));
}

void print_report(const OnnxQuantizeOptions& options, const Outcome& out) {
  fmt::print("{} · {} nodes in 8 bits, {} left in f32 · ranges by {}\n\n", options.output, out.made.nodes, out.made.kept, traits(out.method).plain);
  print_figures(out.figures);
  print_sensitivity(out.sensitivity);
  print_figures_note(out.figures);
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
  RETORT_TRY(const auto before, onnx::Session::make(file, session_options));
  RETORT_TRY(const auto sets, read_value_sets(*before, options.calibration));
  show_progress(context);
  RETORT_TRY(Int8Plan plan, plan_int8(*before, sets, {*method, options.most_error, options.most_f32}, context.job));
  end_progress();
  out.sensitivity = std::move(plan.sensitivity);
  RETORT_TRY(out.made, quantize_graph(before->plan(), plan.ranges, out.sensitivity.kept(), plan.biases));
  if (out.made.nodes == 0)
    return Error{.code = ErrorCode::kUnsupported, .file = options.model, .expected = "Conv, MatMul or Gemm with constant f32 weights", .found = "none"};
  RETORT_TRY(AtomicFile written_file, AtomicFile::create(options.output));
  RETORT_CHECK(written_file.write(out.made.bytes));
  RETORT_CHECK(written_file.commit());
  // What was written is read back, planned and run: a file that doesn't work is never left unnoticed.
  RETORT_TRY(const auto written, open_onnx(options.output));
  const GraphToCompare both[] = {{"f32", file}, {"INT8", written}};
  RETORT_TRY(out.figures, compare_graphs(both, options.data.empty() ? options.calibration : options.data, 1, session_options, context.job));
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) print_json(options, out);
  else print_report(options, out);
  return {};
}

}  // namespace retort::cli
