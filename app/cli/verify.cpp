// `retort verify`: checks a written file, by itself or against the model that it was made from.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "app/cli/verify_print.h"
#include "core/formats/json_text.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct VerifyArguments {
  CommonOptions common;
  std::string file, source;
};

Result<VerifyReport> check(const VerifyArguments& options, const JobContext& job) {
  const VerifyOptions how{.backend = options.common.backend, .threads = options.common.threads};
  if (options.source.empty()) return verify_alone(options.file, how, job);
  RETORT_TRY(const Model source, open_model_or_candidate(options.source));
  return verify_file(options.file, source, how, job);
}

Result<void> run(const VerifyArguments& options, Context& context) {
  show_progress(context);
  RETORT_TRY(const VerifyReport report, check(options, context.job));
  end_progress();
  if (options.common.json) {
    const nlohmann::json out = {{"file", options.file}, {"passed", report.passed()}, {"checks", checks_json(report)}};
    fmt::print("{}\n", formats::json_text(out, 2));
  } else {
    print_checks(report);
  }
  if (!report.passed()) context.exit_code = 1;
  return {};
}

}  // namespace

nlohmann::json checks_json(const VerifyReport& report) {
  nlohmann::json out = nlohmann::json::array();
  for (const VerifyCheck& check : report.checks) out.push_back({{"name", check.name}, {"passed", check.passed}, {"detail", check.detail}});
  return out;
}

void print_checks(const VerifyReport& report) {
  for (const VerifyCheck& check : report.checks) fmt::print("{:<4} {:<9} {}\n", check.passed ? "ok" : "FAIL", check.name, check.detail);
}

void add_verify(CLI::App& app, Context& context) {
  auto options = std::make_shared<VerifyArguments>();
  CLI::App* command = app.add_subcommand("verify", "Check a written file: tensors, weights, tokens, template, logits");
  command->add_option("FILE", options->file, "The file or folder to check")->required();
  command->add_option("--source,--reference", options->source, "What it was made from; without it the file is checked by itself");
  command->add_option("--threads", options->common.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  command->add_option("--backend", options->common.backend, "cpu or reference");
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
