// `retort eval MODEL --task T --data F`: perplexity, kld, choice, exact, classification, with intervals.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/list.h"
#include "core/base/files.h"
#include "core/evaluate/evaluation_json.h"
#include "core/evaluate/metrics.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct EvalArguments {
  CommonOptions common;
  std::string model, task, data, reference, examples;
  EvaluateOptions evaluate;
};

RunOptions run_options(const EvalArguments& options) {
  RunOptions run;
  run.activations = options.common.activations == "q8" ? kernels::Activations::kQ8 : kernels::Activations::kF32;
  run.context = options.evaluate.context;
  run.batch = std::min<std::int64_t>(options.evaluate.context, 512);
  return run;
}

// The set of the file that the task can use.
Result<DataSet> pick(const EvalArguments& options) {
  RETORT_TRY(std::vector<DataSet> sets, read_data(options.data));
  const auto fits = [&](DataKind kind) {
    if (options.task == "choice") return kind == DataKind::kChoice;
    if (options.task == "classification") return kind == DataKind::kLabelled;
    if (options.task == "exact") return kind == DataKind::kExact || kind == DataKind::kLastWord;
    return kind == DataKind::kText;
  };
  for (DataSet& set : sets)
    if (fits(set.kind)) return std::move(set);
  return Error{.code = ErrorCode::kBadData, .file = options.data, .expected = "data for --task " + options.task,
               .found = std::string(data_kind_name(sets.front().kind)), .next_step = "choose another --task or file"};
}

Result<Evaluation> evaluate_kld(const EvalArguments& options, Backend& backend, Session& session, const Model& model,
                                const DataSet& data, const JobContext& job) {
  if (options.reference.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "--task kld", .expected = "--reference MODEL", .found = "none"};
  RETORT_TRY(Model opened, open_model_or_candidate(options.reference));
  const auto original = std::make_shared<const Model>(std::move(opened));
  RunOptions run = run_options(options);
  run.activations = kernels::Activations::kF32;
  RETORT_TRY(const auto original_session, backend.compile(original, run));
  Reference reference;
  RETORT_TRY(const Evaluation of_original, evaluate_text(*original_session, *original, data, options.evaluate, nullptr, nullptr, &reference, job));
  reference.model = original;
  RETORT_TRY(Evaluation evaluation, evaluate_text(session, model, data, options.evaluate, &reference, original_session.get(), nullptr, job));
  evaluation.figures["reference_perplexity"] = of_original.figures.at("perplexity");
  return evaluation;
}

// With --reference also against the original's answers.
Result<Evaluation> evaluate_classes(const EvalArguments& options, Backend& backend, Session& session, const Model& model, const DataSet& data, const JobContext& job) {
  if (options.reference.empty()) return evaluate_classification(session, model, data, options.evaluate, nullptr, nullptr, job);
  RETORT_TRY(Model opened, open_model_or_candidate(options.reference));
  const auto original = std::make_shared<const Model>(std::move(opened));
  RunOptions run = run_options(options);
  run.activations = kernels::Activations::kF32;
  RETORT_TRY(const auto original_session, backend.compile(original, run));
  ClassReference reference;
  RETORT_TRY(const Evaluation of_original, evaluate_classification(*original_session, *original, data, options.evaluate, nullptr, &reference, job));
  RETORT_TRY(Evaluation evaluation, evaluate_classification(session, model, data, options.evaluate, &reference, nullptr, job));
  evaluation.figures["reference_accuracy"] = of_original.figures.at("accuracy");
  return evaluation;
}

Result<void> run(const EvalArguments& options, Context& context) {
  RETORT_TRY(const DataSet data, pick(options));
  RETORT_TRY(Model opened, open_model_or_candidate(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  RETORT_TRY(const auto backend, make_backend(options.common.backend, options.common.threads));
  RETORT_TRY(const auto session, backend->compile(model, run_options(options)));
  show_progress(context);
  const auto evaluated = [&]() -> Result<Evaluation> {
    if (options.task == "kld") return evaluate_kld(options, *backend, *session, *model, data, context.job);
    if (options.task == "classification") return evaluate_classes(options, *backend, *session, *model, data, context.job);
    if (options.task == "choice") return evaluate_choice(*session, *model, data, options.evaluate, context.job);
    if (options.task == "exact") return evaluate_exact(*session, *model, data, options.evaluate, context.job);
    return evaluate_text(*session, *model, data, options.evaluate, nullptr, nullptr, nullptr, context.job);
  };
  RETORT_TRY(Evaluation evaluation, evaluated());
  end_progress();
  evaluation.activations = run_options(options).activations == kernels::Activations::kQ8 ? "q8" : "f32";
  if (!options.examples.empty()) {
    std::string lines;
    for (const auto& row : evaluation.rows) lines += row_to_json(row) + "\n";
    RETORT_CHECK(write_text_file(options.examples, lines));
  }
  if (options.common.json) {
    fmt::print("{}\n", evaluation_to_json(evaluation, false));
    return {};
  }
  fmt::print("{} · {} · activations {} · n = {} · {:.1f} s\n", evaluation.task, data.name, evaluation.activations, evaluation.n, evaluation.seconds);
  for (const auto& [name, figure] : evaluation.figures)
    if (evaluation.rows.size() > 1) fmt::print("  {:<22} {:12.6f}   95 % {:.6f} … {:.6f}\n", name, figure.value, figure.low, figure.high);
    else fmt::print("  {:<22} {:12.6f}   no interval from a single chunk or example\n", name, figure.value);
  return {};
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  auto options = std::make_shared<EvalArguments>();
  CLI::App* command = app.add_subcommand("eval", "Measure quality: perplexity, KL divergence, choices, exact answers, classes");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder or candidate")->required();
  command->add_option("--task", options->task, "What to measure")->required()->check(CLI::IsMember({"perplexity", "kld", "choice", "exact", "classification"}));
  command->add_option("--data", options->data, "Text or JSONL")->required();
  command->add_option("--reference", options->reference, "The original, for --task kld, and for classification to compare answers with");
  command->add_option("--examples", options->examples, "Write per-example results to this JSONL file");
  command->add_option("--context", options->evaluate.context, "Tokens per chunk")->check(CLI::PositiveNumber);
  command->add_option("--chunks", options->evaluate.chunks, "At most this many chunks; 0: all")->check(CLI::NonNegativeNumber);
  command->add_option("--max-tokens", options->evaluate.max_tokens, "Cut labelled examples to this many tokens")->check(CLI::NonNegativeNumber);
  command->add_option("--seed", options->evaluate.seed, "Of the resampled intervals");
  add_compute(*command, options->common);
  add_json(*command, options->common);
  command->callback([options, &context] {
    options->evaluate.threads = options->common.threads;
    finish(context, run(*options, context));
  });
}

}  // namespace retort::cli
