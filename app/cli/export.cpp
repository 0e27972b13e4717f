// `retort export`: writes a model, a candidate manifest or a study's candidate as GGUF, and checks what was written.
#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "app/cli/verify_print.h"
#include "core/export/gguf_export.h"
#include "core/formats/json_text.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct ExportArguments {
  CommonOptions common;
  std::string model, candidate, output;
  bool no_verify = false;
};

// What is to be written, and what is known of how it was made.
struct Subject {
  std::shared_ptr<const Model> model;
  ExportRequest request;
};

Result<Subject> from_study(const ExportArguments& options) {
  RETORT_TRY(const auto study, Study::open(options.model));
  const StudySnapshot snapshot = study->snapshot();
  std::string names;
  for (const CandidateInfo& candidate : snapshot.candidates) {
    if (candidate.name != options.candidate) {
      names += (names.empty() ? "" : ", ") + candidate.name;
      continue;
    }
    Subject subject;
    RETORT_TRY(subject.model, study->candidate_model(candidate.id));
    if (!candidate.recipe.stages.empty())
      if (const Level* level = find_level(candidate.recipe.stages.back().level)) subject.request.file_type = level->gguf_file_type;
    return subject;
  }
  return Error{.code = ErrorCode::kNotFound, .file = options.model, .place = "--candidate",
               .expected = names.empty() ? "a candidate" : names, .found = options.candidate.empty() ? "none named" : options.candidate};
}

Result<Subject> open_subject(const ExportArguments& options) {
  if (options.model.ends_with(".retort")) return from_study(options);
  if (!options.candidate.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "--candidate", .expected = "a study (NAME.retort)", .found = options.model};
  RETORT_TRY(Model model, open_model_or_candidate(options.model));
  return Subject{std::make_shared<const Model>(std::move(model)), {}};
}

Result<void> run(const ExportArguments& options, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  show_progress(context);
  RETORT_TRY(const Subject subject, open_subject(options));
  RETORT_TRY(const ExportReport report, export_gguf(*subject.model, subject.request, options.output, context.job));
  VerifyReport checks;
  if (!options.no_verify) {
    RETORT_TRY(checks, verify_file(options.output, *subject.model, {.backend = options.common.backend, .threads = options.common.threads}, context.job));
  }
  end_progress();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) {
    const nlohmann::json out = {{"output", report.output.string()}, {"bytes", report.bytes}, {"bits_per_weight", report.bits_per_weight},
                                {"seconds", seconds}, {"peak_memory_bytes", peak_memory_bytes()}, {"notes", report.notes},
                                {"verified", !options.no_verify && checks.passed()}, {"checks", checks_json(checks)}};
    fmt::print("{}\n", formats::json_text(out, 2));
  } else {
    fmt::print("{}: {}, {:.2f} bits per weight, {:.1f} s\n", report.output.string(), human_bytes(report.bytes), report.bits_per_weight, seconds);
    for (const std::string& note : report.notes) fmt::print("note {}\n", note);
    print_checks(checks);
  }
  if (!checks.passed()) context.exit_code = 1;
  return {};
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  auto options = std::make_shared<ExportArguments>();
  CLI::App* command = app.add_subcommand("export", "Write a model or candidate as GGUF, and check what was written");
  command->add_option("MODEL", options->model, "A model, a candidate manifest, or a study with --candidate")->required();
  command->add_option("-o,--output", options->output, "The GGUF file to write")->required();
  command->add_option("--candidate", options->candidate, "Name of the study's candidate");
  command->add_flag("--no-verify", options->no_verify, "Don't read the file again and compare");
  command->add_option("--threads", options->common.threads, "Threads of the check; 0 takes all cores")->check(CLI::Range(0, 1024));
  command->add_option("--backend", options->common.backend, "cpu or reference");
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
