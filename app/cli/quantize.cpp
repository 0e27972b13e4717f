// `retort quantize MODEL (--type T | --recipe R.json | --budget-bytes N) -o OUT.gguf`.
#include <CLI/CLI.hpp>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "app/cli/onnx.h"
#include "core/evaluate/data_set.h"
#include "core/export/gguf_export.h"
#include "core/study/budget.h"
#include "core/study/candidate.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct QuantizeArguments {
  CommonOptions common;
  std::string model, type, recipe, calibration, imatrix, data, output, ranges = "mse";
  double most_error = 0.05, most_f32 = 0.1;
  std::uint64_t budget = 0;
  std::int64_t context = 512, chunks = 0;
};

Result<std::optional<ImportanceMatrix>> importance_of(const QuantizeArguments& options, std::shared_ptr<const Model> model, const JobContext& job) {
  if (!options.imatrix.empty()) {
    RETORT_TRY(ImportanceMatrix matrix, read_importance(options.imatrix));
    return std::optional(std::move(matrix));
  }
  if (options.calibration.empty()) return std::optional<ImportanceMatrix>();
  if (!model->tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = options.model, .expected = "a tokenizer", .found = "none"};
  RETORT_TRY(const auto sets, read_data(options.calibration));
  const auto text = std::find_if(sets.begin(), sets.end(), [](const DataSet& set) { return set.kind == DataKind::kText; });
  if (text == sets.end())
    return Error{.code = ErrorCode::kBadData, .file = options.calibration, .expected = "text", .found = std::string(data_kind_name(sets.front().kind))};
  RETORT_TRY(const auto backend, make_backend(options.common.backend, options.common.threads));
  const auto tokens = model->tokenizer->encode(text->joined_text(), true);
  RETORT_TRY(ImportanceMatrix matrix, collect_importance(model, *backend, tokens, options.context, options.chunks, job));
  matrix.data_name = options.calibration;
  return std::optional(std::move(matrix));
}

std::optional<ExportImportance> note_of(const QuantizeArguments& options, const std::optional<ImportanceMatrix>& matrix) {
  if (!matrix) return std::nullopt;
  return ExportImportance{.file = options.imatrix.empty() ? "calibration" : options.imatrix, .dataset = matrix->data_name,
                          .entries = static_cast<std::int64_t>(matrix->columns.size()), .chunks = matrix->chunks};
}

// Types only, to ask for the size of the file.
ExportRequest outline(const Model& model, const std::vector<TensorType>& types, const std::optional<ExportImportance>& note) {
  ExportRequest request;
  request.importance = note;
  for (std::size_t id = 0; id < types.size(); ++id)
    if (types[id] != model.weights[id].type) request.weights[model.graph.weights[id].name] = {types[id], {}};
  return request;
}

Result<Recipe> recipe_of(const QuantizeArguments& options, const Model& model, const std::optional<ImportanceMatrix>& matrix,
                         kernels::ThreadPool& pool, const JobContext& job) {
  if (!options.recipe.empty()) {
    RETORT_TRY(const std::string text, read_text_file(options.recipe, 1 << 20));
    auto recipe = recipe_from_json(text);
    if (!recipe) {
      Error error = recipe.error();
      error.file = options.recipe;
      return error;
    }
    return recipe;
  }
  Recipe recipe;
  Stage stage;
  stage.importance = matrix.has_value();
  if (options.budget > 0) {
    const auto note = note_of(options, matrix);
    RETORT_TRY(const BudgetPlan plan, plan_budget(model, options.budget, matrix ? &*matrix : nullptr, [&](const std::vector<TensorType>& types) {
      return predict_gguf_bytes(model, outline(model, types, note));
    }, pool, job));
    stage.level = "Q8_0";
    stage.overrides = plan.overrides;
    recipe.name = fmt::format("at most {} bytes", options.budget);
  } else {
    const Level* level = find_level(options.type);
    if (!level) {
      std::string names;
      for (const Level& known : levels()) names += (names.empty() ? "" : ", ") + std::string(known.id);
      return Error{.code = ErrorCode::kBadArgument, .place = "--type", .expected = "one of " + names, .found = options.type};
    }
    stage.level = std::string(level->id);
    recipe.name = stage.level;
  }
  recipe.stages.push_back(std::move(stage));
  return recipe;
}

// Each tensor is made when its turn to be written comes, most of them a few rows at a time: the working set is one tensor.
ExportRequest request_of(const Model& model, const CandidatePlan& plan, const ImportanceMatrix* matrix, kernels::ThreadPool& pool,
                         const JobContext& job) {
  ExportRequest request;
  for (const DerivedTensor& tensor : plan.tensors) {
    ExportWeight& weight = request.weights[tensor.name];
    weight.type = tensor.type;
    weight.make = [&model, &pool, &job, matrix, tensor]() -> Result<WeightHandle> {
      RETORT_TRY(QuantizedTensor made, derive_tensor(model, tensor, matrix, pool, job));
      auto owned = std::make_shared<const QuantizedTensor>(std::move(made));
      WeightHandle handle = model.weights[static_cast<std::size_t>(tensor.weight)];
      handle.type = tensor.type;
      handle.data = owned->data;
      handle.row_scales = owned->row_scales;
      handle.keep_alive = owned;
      handle.coded = nullptr;
      return handle;
    };
    if (tensor.type != TensorType::kI8)
      weight.make_rows = [&model, &pool, &job, matrix, tensor](std::int64_t first, std::span<std::byte> out) {
        return derive_rows(model, tensor, matrix, first, out, pool, job);
      };
  }
  return request;
}

void print_report(const QuantizeArguments& options, const Recipe& recipe, const ExportReport& report, double seconds) {
  if (options.common.json) {
    const nlohmann::ordered_json out = {{"output", report.output.string()}, {"bytes", report.bytes}, {"bits_per_weight", report.bits_per_weight},
                                        {"seconds", seconds}, {"peak_memory_bytes", peak_memory_bytes()},
                                        {"recipe", nlohmann::ordered_json::parse(recipe_to_json(recipe))}};
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{} · {} · {:.2f} bits per weight · {:.1f} s · peak memory {}\n", report.output.string(), human_bytes(report.bytes),
             report.bits_per_weight, seconds, human_bytes(peak_memory_bytes()));
  for (const std::string& note : report.notes) fmt::print("  {}\n", note);
}

Result<void> run(const QuantizeArguments& options, Context& context) {
  if (is_onnx(options.model) && options.recipe.empty() && options.budget == 0 && options.imatrix.empty())
    return quantize_onnx({options.common, options.model, options.type, options.calibration, options.data, options.output, options.ranges, options.most_error, options.most_f32}, context);
  if (!options.data.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "--data", .expected = "an ONNX graph", .found = "a language model", .next_step = "use `retort eval` on the written file"};
  const auto start = std::chrono::steady_clock::now();
  const int ways = !options.type.empty() + !options.recipe.empty() + (options.budget > 0);
  if (ways != 1)
    return Error{.code = ErrorCode::kBadArgument, .place = "quantize", .expected = "one of --type, --recipe and --budget-bytes", .found = std::to_string(ways)};
  RETORT_TRY(Model opened, open_model_or_candidate(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  show_progress(context);
  RETORT_TRY(const auto matrix, importance_of(options, model, context.job));
  kernels::ThreadPool pool(options.common.threads);
  RETORT_TRY(const Recipe recipe, recipe_of(options, *model, matrix, pool, context.job));
  if (uses_importance(recipe) && !matrix)
    return Error{.code = ErrorCode::kBadArgument, .place = recipe.name, .expected = "--calibration or --imatrix for a recipe with an importance matrix", .found = "neither"};
  RETORT_TRY(const CandidatePlan plan, plan_candidate(*model, Digest{}, recipe, Digest{}));
  ExportRequest request = request_of(*model, plan, matrix ? &*matrix : nullptr, pool, context.job);
  if (uses_importance(recipe)) request.importance = note_of(options, matrix);
  if (!recipe.stages.empty() && options.budget == 0) request.file_type = find_level(recipe.stages.front().level)->gguf_file_type;
  RETORT_TRY(const ExportReport report, export_gguf(*model, request, options.output, context.job));
  end_progress();
  print_report(options, recipe, report, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return {};
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto options = std::make_shared<QuantizeArguments>();
  CLI::App* command = app.add_subcommand("quantize", "Make a model smaller and write it as GGUF");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder, candidate or ONNX file (INT8)")->required();
  std::string names;
  for (const Level& level : levels()) names += (names.empty() ? "" : ", ") + std::string(level.id);
  command->add_option("--type", options->type, "Level: " + names);
  command->add_option("--recipe", options->recipe, "Recipe as JSON (docs/recipes.md)");
  command->add_option("--budget-bytes", options->budget, "Choose types per tensor so that the file has at most this many bytes");
  command->add_option("--calibration", options->calibration, "Text for an importance matrix; for ONNX the graph's inputs as safetensors, several sets as 0/NAME, 1/NAME …");
  command->add_option("--data", options->data, "ONNX: inputs to compare both graphs on; without it those of --calibration");
  command->add_option("--ranges", options->ranges, "ONNX: ranges of activations: mse, percentile or minmax")->capture_default_str();
  command->add_option("--max-error", options->most_error, "ONNX: keep the most damaging nodes in f32 until the outputs' relative error is at most this; 0 keeps none")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_option("--max-f32", options->most_f32, "ONNX: but at most this share of the weights' bytes")->check(CLI::Range(0.0, 1.0))->capture_default_str();
  command->add_option("--imatrix", options->imatrix, "Importance matrix made before (llama.cpp's GGUF or .dat)")->excludes("--calibration");
  command->add_option("--context", options->context, "Tokens per calibration chunk")->check(CLI::PositiveNumber);
  command->add_option("--calibration-chunks", options->chunks, "At most this many chunks; 0: all")->check(CLI::NonNegativeNumber);
  command->add_option("-o,--output", options->output, "File to write")->required();
  command->add_option("--threads", options->common.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  command->add_option("--backend", options->common.backend, "cpu or reference, for the calibration");
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
