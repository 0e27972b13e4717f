// `retort onnx compare G.onnx [OTHER.onnx …] --data F.safetensors [--calibration F]`: graphs side by side on the same inputs.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "app/cli/list.h"
#include "app/cli/onnx_print.h"
#include "core/formats/json_text.h"

namespace retort::cli {
namespace {

using namespace retort::onnx;
namespace fs = std::filesystem;

struct OnnxCompareArguments {
  CommonOptions common;
  std::vector<std::string> graphs;
  std::string data, calibration, output, ranges = "mse";
  double most_error = 0.05, most_f32 = 0.1;
  int rounds = 5;
};

// A folder of this command's own, gone with it.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> make() {
    std::error_code failed;
    const fs::path path = fs::temp_directory_path(failed) / fmt::format("retort-onnx-{}", ::getpid());
    if (!failed) fs::create_directories(path, failed);
    if (failed) return system_error(failed.value(), path, ErrorCode::kWrite);
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(path));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const noexcept { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Result<std::vector<GraphToCompare>> opened(const std::vector<std::string>& paths) {
  std::vector<GraphToCompare> out;
  for (const std::string& path : paths) {
    RETORT_TRY(auto file, open_onnx(path));
    out.push_back({fs::path(path).stem().string(), std::move(file)});
  }
  return out;
}

void print(const OnnxCompareArguments& options, const std::vector<GraphFigures>& figures, const SensitivityReport& sensitivity) {
  if (!options.common.json) {
    print_figures(figures);
    print_sensitivity(sensitivity);
    print_figures_note(figures);
    return;
  }
  nlohmann::ordered_json out = {{"data", options.data}, {"graphs", nlohmann::ordered_json::array()}, {"peak_memory_bytes", peak_memory_bytes()}};
  for (const GraphFigures& graph : figures) out["graphs"].push_back(figures_json(graph));
  fmt::print("{}\n", formats::json_text(out, 2));
}

Result<void> compare(const OnnxCompareArguments& options, Context& context) {
  if (options.graphs.size() == 1 && options.calibration.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "onnx compare", .expected = "a second graph, or --calibration to make INT8 ones of the first", .found = "one graph"};
  const auto method = find_range_method(options.ranges);
  if (!method) return Error{.code = ErrorCode::kBadArgument, .place = "--ranges", .expected = "mse, percentile or minmax", .found = options.ranges};
  const SessionOptions session_options{.backend = options.common.backend, .threads = options.common.threads};
  show_progress(context);
  std::unique_ptr<TemporaryFolder> temporary;
  std::vector<GraphToCompare> graphs;
  SensitivityReport sensitivity;
  if (options.calibration.empty()) {
    RETORT_TRY(graphs, opened(options.graphs));
  } else {
    fs::path folder = options.output;
    if (options.output.empty()) {
      RETORT_TRY(temporary, TemporaryFolder::make());
      folder = temporary->path();
    } else {
      std::error_code failed;
      fs::create_directories(folder, failed);
      if (failed) return system_error(failed.value(), folder, ErrorCode::kWrite);
    }
    RETORT_TRY(Int8Variants made, make_int8_variants(options.graphs.front(), options.calibration, folder, {*method, options.most_error, options.most_f32},
                                                     session_options, context.job));
    graphs = std::move(made.graphs);
    sensitivity = std::move(made.sensitivity);
    RETORT_TRY(auto others, opened({options.graphs.begin() + 1, options.graphs.end()}));
    std::move(others.begin(), others.end(), std::back_inserter(graphs));
  }
  RETORT_TRY(const auto figures, compare_graphs(graphs, options.data, options.rounds, session_options, context.job));
  end_progress();
  print(options, figures, sensitivity);
  return {};
}

}  // namespace

void add_onnx(CLI::App& app, Context& context) {
  auto options = std::make_shared<OnnxCompareArguments>();
  CLI::App* parent = app.add_subcommand("onnx", "ONNX graphs: compare several, or one with what INT8 makes of it");
  parent->require_subcommand(1);
  CLI::App* command = parent->add_subcommand("compare", "Graphs side by side on the same inputs: answers, outputs, time, size");
  command->add_option("graphs", options->graphs, "ONNX files; the first is what the others are compared with")->required();
  command->add_option("--data", options->data, "Inputs as safetensors, several sets as 0/NAME, 1/NAME …; right answers as `label` or 0/label …")->required();
  command->add_option("--calibration", options->calibration, "Inputs to make INT8 graphs of the first one with: all of it, and the mix with nodes in f32");
  command->add_option("-o,--output", options->output, "Folder to keep these in; without it they are not kept")->needs("--calibration");
  command->add_option("--rounds", options->rounds, "How often each set of inputs is run")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_option("--ranges", options->ranges, "Ranges of activations: mse, percentile or minmax")->capture_default_str();
  command->add_option("--max-error", options->most_error, "The mix: nodes stay in f32 until the outputs' relative error is at most this")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_option("--max-f32", options->most_f32, "The mix: but at most this share of the weights' bytes")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_option("--threads", options->common.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  command->add_option("--backend", options->common.backend, "cpu or reference");
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, compare(*options, context)); });
}

}  // namespace retort::cli
