// `retort study new|run|show|report|export`: the whole job from a study file.
#include <CLI/CLI.hpp>
#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "app/cli/list.h"
#include "app/cli/study_show.h"
#include "core/export/gguf_export.h"
#include "core/study/presets.h"
#include "core/study/study.h"
#include "core/study/study_export.h"

namespace retort::cli {
namespace {

struct StudyArguments {
  CommonOptions common;
  std::string study, model, output, candidate;
  std::vector<std::string> data, levels, recipes, students;
  std::int64_t context = 512;
  bool only_estimate = false;
};

// "F" or "F:role"; a colon that no role follows belongs to the name.
Result<std::pair<std::string, DataRole>> data_of(const std::string& word) {
  const auto colon = word.rfind(':');
  if (colon != std::string::npos) {
    const std::string role = word.substr(colon + 1);
    for (const DataRole known : {DataRole::kCalibration, DataRole::kTraining, DataRole::kEvaluation})
      if (role == data_role_name(known)) return std::pair{word.substr(0, colon), known};
    if (role.find_first_of("/.") == std::string::npos)
      return Error{.code = ErrorCode::kBadArgument, .place = "--data " + word, .expected = "calibration, training or evaluation after the colon", .found = role};
  }
  return std::pair{word, DataRole::kEvaluation};
}

// A distillation as `retort distill` takes it, as a candidate of the study. Where its teacher is the source that goes unsaid.
Result<Recipe> student_of(const std::string& file, const SourceInfo& source) {
  RETORT_TRY(const std::string text, read_text_file(file, 1 << 20));
  auto student = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!student.is_object()) return Error{.code = ErrorCode::kBadRecipe, .file = file, .expected = "a JSON object"};
  std::error_code ignored;
  if (const auto teacher = student.find("teacher"); teacher != student.end() && teacher->is_string() &&
                                                 std::filesystem::equivalent(teacher->get<std::string>(), source.path, ignored))
    student.erase(teacher);
  auto recipe = recipe_from_json(nlohmann::ordered_json{{"student", student}}.dump());
  if (recipe) return recipe;
  Error error = std::move(recipe).error();
  error.file = file;
  return error;
}

Result<std::vector<Recipe>> recipes_of(const StudyArguments& options, const SourceInfo& source, bool calibration) {
  std::vector<Recipe> recipes;
  for (const std::string& file : options.recipes) {
    RETORT_TRY(const std::string text, read_text_file(file, 1 << 20));
    RETORT_TRY(auto recipe, recipe_from_json(text));
    recipes.push_back(std::move(recipe));
  }
  for (const std::string& file : options.students) {
    RETORT_TRY(auto recipe, student_of(file, source));
    recipes.push_back(std::move(recipe));
  }
  const bool all = options.levels.empty() && options.recipes.empty() && options.students.empty();
  for (Preset& preset : level_presets(source)) {
    Recipe& recipe = preset.recipe;
    const bool wished = std::find(options.levels.begin(), options.levels.end(), recipe.stages.front().level) != options.levels.end();
    if (!wished && !(all && preset.problem.empty())) continue;
    // Without a calibration text there is nothing to weigh by.
    if (!calibration) {
      recipe.stages.front().importance = false;
      recipe.name = recipe.stages.front().level;
    }
    recipes.push_back(std::move(recipe));
  }
  for (const std::string& level : options.levels)
    if (std::none_of(recipes.begin(), recipes.end(), [&](const Recipe& recipe) { return !recipe.stages.empty() && recipe.stages.front().level == level; }))
      return Error{.code = ErrorCode::kBadArgument, .place = "--levels", .expected = "names of presets", .found = level};
  return recipes;
}

Result<void> create(const StudyArguments& options, Context& context) {
  std::vector<std::pair<std::string, DataRole>> data;
  bool calibration = false;
  for (const std::string& word : options.data) {
    RETORT_TRY(auto one, data_of(word));
    calibration = calibration || one.second == DataRole::kCalibration;
    data.push_back(std::move(one));
  }
  RETORT_TRY(const auto study, Study::create(options.study));
  const auto fill = [&]() -> Result<void> {
    show_progress(context);
    RETORT_CHECK(study->set_source(options.model, context.job));
    for (const auto& [path, role] : data) RETORT_CHECK(study->add_data(path, role, {}, context.job));
    RETORT_CHECK(study->set_context(options.context));
    RETORT_CHECK(study->set_threads(options.common.threads));
    RETORT_CHECK(study->set_device(options.common.backend));
    RETORT_TRY(const std::vector<Recipe> recipes, recipes_of(options, *study->snapshot().source, calibration));
    for (const Recipe& recipe : recipes) {
      RETORT_TRY([[maybe_unused]] const auto id, study->add_candidate(recipe));
    }
    return {};
  };
  const Result<void> filled = fill();
  end_progress();
  if (!filled) {   // half a study is none
    std::error_code ignored;
    std::filesystem::remove(options.study, ignored);
    return filled;
  }
  print_study(study->snapshot());
  return {};
}

// A script must learn that something is missing, though the rest was measured. Errors: kCheckFailed.
Result<void> all_candidates_done(const std::string& file, const StudySnapshot& snapshot) {
  std::vector<std::string> failed;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (!candidate.failure.empty()) failed.push_back(candidate.name);
  if (failed.empty()) return {};
  return Error{.code = ErrorCode::kCheckFailed, .file = file, .place = "run", .expected = "every candidate made and measured",
               .found = fmt::format("{} failed ({})", failed.size(), fmt::join(failed, ", ")),
               .next_step = "see each one's reason above, mend it and run the study again; what is done is kept"};
}

Result<void> run(const StudyArguments& options, Context& context) {
  RETORT_TRY(const auto study, Study::open(options.study));
  if (!options.common.backend.empty()) RETORT_CHECK(study->set_device(options.common.backend));
  const RunEstimate estimate = estimate_run(*study);
  fmt::print(stderr, "About {:.0f} to {:.0f} s; {} of memory ({} free); {} of disk ({} free)\n", estimate.seconds_low, estimate.seconds_high,
             human_bytes(estimate.memory_bytes), human_bytes(estimate.free_memory_bytes), human_bytes(estimate.disk_bytes), human_bytes(estimate.free_disk_bytes));
  if (!estimate.problem.empty()) fmt::print(stderr, "{}\n", estimate.problem);
  if (options.only_estimate) return {};
  show_progress(context);
  RETORT_CHECK(run_study(study, context.job, {}));
  end_progress();
  const StudySnapshot snapshot = study->snapshot();
  if (options.common.json) fmt::print("{}\n", study_as_json(snapshot));
  else print_study(snapshot);
  return all_candidates_done(options.study, snapshot);
}

Result<void> show(const StudyArguments& options, Context&) {
  RETORT_TRY(const auto study, Study::open(options.study));
  if (options.common.json) fmt::print("{}\n", study_as_json(study->snapshot()));
  else print_study(study->snapshot());
  return {};
}

Result<void> report(const StudyArguments& options, Context&) {
  RETORT_TRY(const auto study, Study::open(options.study));
  RETORT_CHECK(write_report(study->snapshot(), options.output));
  fmt::print("{}\n", options.output);
  return {};
}

Result<void> export_candidate(const StudyArguments& options, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(const auto study, Study::open(options.study));
  const StudySnapshot snapshot = study->snapshot();
  std::vector<std::string> names;
  std::optional<std::int64_t> id;
  for (const CandidateInfo& candidate : snapshot.candidates) {
    names.push_back(candidate.name);
    const bool by_level = !candidate.recipe.stages.empty() && candidate.recipe.stages.front().level == options.candidate;
    if (candidate.name == options.candidate || (by_level && !id)) id = candidate.id;
  }
  if (options.candidate == "recommended") id = snapshot.recommendation.candidate;
  if (!id)
    return Error{.code = ErrorCode::kNotFound, .file = options.study, .place = "candidate " + options.candidate, .expected = fmt::format("one of {}", fmt::join(names, ", ")), .found = "none of this name"};
  show_progress(context);
  RETORT_TRY(const ExportReport written, export_study_candidate(*study, *id, options.output, context.job));
  end_progress();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) {
    const nlohmann::ordered_json out = {{"output", written.output.string()}, {"bytes", written.bytes}, {"bits_per_weight", written.bits_per_weight},
                                        {"seconds", seconds}, {"peak_memory_bytes", peak_memory_bytes()}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  fmt::print("{} · {} · {:.2f} bits per weight · {:.1f} s\n", written.output.string(), human_bytes(written.bytes), written.bits_per_weight, seconds);
  for (const std::string& note : written.notes) fmt::print("  {}\n", note);
  return {};
}

void add_device(CLI::App& command, StudyArguments& options) {
  command.add_option("--backend", options.common.backend,
                     "cuda or cuda:N: measures speed and memory on this GPU too, beside the processor; cpu: no longer");
}

}  // namespace

void add_study(CLI::App& app, Context& context) {
  auto options = std::make_shared<StudyArguments>();
  options->common.backend.clear();   // not said: as the study has it
  CLI::App* command = app.add_subcommand("study", "The whole job from a study file: new, run, show, report, export");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Result<void> (*action)(const StudyArguments&, Context&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    sub->add_option("study", options->study, "Study file, NAME.retort")->required();
    sub->callback([options, &context, action] { finish(context, action(*options, context)); });
    return sub;
  };
  CLI::App* made = add("new", "Make a study of a model and data", create);
  made->add_option("--model", options->model, "GGUF file or Hugging Face folder")->required();
  add_device(*made, *options);
  made->add_option("--data", options->data, "F or F:role; calibration, training or evaluation (the default)");
  made->add_option("--levels", options->levels, "Only these presets, separated by commas")->delimiter(',');
  made->add_option("--recipe", options->recipes, "A recipe as JSON, instead of or beside --levels");
  made->add_option("--student", options->students, "A distillation as JSON (docs/distillation.md) as a candidate; without data it learns from the sets with the role training");
  made->add_option("--context", options->context, "Tokens per chunk of text");
  made->add_option("--threads", options->common.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  CLI::App* ran = add("run", "Do everything that is missing; goes on where it was stopped", run);
  add_device(*ran, *options);
  ran->add_flag("--estimate", options->only_estimate, "Only say how long and how much it will take");
  add_json(*ran, options->common);
  add_json(*add("show", "Figures and recommendation", show), options->common);
  CLI::App* reported = add("report", "Write one HTML page with charts and figures", report);
  reported->add_option("-o,--output", options->output, "HTML file to write")->required();
  CLI::App* exported = add("export", "Write a candidate as a GGUF file or a folder", export_candidate);
  exported->add_option("candidate", options->candidate, "Its name or level, or \"recommended\"")->required();
  exported->add_option("-o,--output", options->output, "GGUF file to write, or a folder")->required();
  add_json(*exported, options->common);
}

}  // namespace retort::cli
