// `retort distill (--recipe R.json | --teacher M [--student-layers N] --data F) -o OUT`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>

#include "app/cli/distill_propose.h"
#include "app/cli/list.h"
#include "core/base/files.h"
#include "core/distill/distill.h"
#include "core/distill/predict.h"

namespace retort::cli {
namespace {

struct DistillArguments {
  CommonOptions common;
  std::string recipe, teacher, data, unlabelled, validation, output;
  std::int64_t layers = 0, steps = 0, context = 0, max_tokens = 0, batch = 0;
  double epochs = 0, rate = 0, temperature = 0;
  std::int64_t seed = -1;
  bool predict = false, propose = false;
  double most_bytes = 0, most_memory = 0, most_milliseconds = 0;   // of a proposed student
};

// The recipe file, or the defaults, with what the options say instead.
Result<distill::DistillRecipe> recipe_of(const DistillArguments& o) {
  distill::DistillRecipe recipe;
  if (!o.recipe.empty()) {
    RETORT_TRY(const std::string text, read_text_file(o.recipe, 1 << 20));
    auto read = distill::distill_recipe_from_json(text);
    if (!read) {
      Error error = read.error();
      error.file = o.recipe;
      return error;
    }
    recipe = std::move(read).value();
  }
  if (!o.teacher.empty()) recipe.teacher = o.teacher;
  if (!o.data.empty()) recipe.data.train = o.data;
  if (!o.unlabelled.empty()) recipe.data.unlabelled = o.unlabelled;
  if (!o.validation.empty()) recipe.data.validation = o.validation;
  if (o.layers > 0) {
    recipe.student.layers = o.layers;
    recipe.student.kept.clear();
  }
  if (o.steps > 0) recipe.training.steps = o.steps;
  if (o.epochs > 0) recipe.training.epochs = o.epochs;
  if (o.batch > 0) recipe.training.batch = o.batch;
  if (o.rate > 0) recipe.training.rate = o.rate;
  if (o.context > 0) recipe.data.context = o.context;
  if (o.max_tokens > 0) recipe.data.max_tokens = o.max_tokens;
  if (o.temperature > 0) recipe.loss.logits.temperature = o.temperature;
  if (o.seed >= 0) recipe.training.seed = static_cast<std::uint64_t>(o.seed);
  return recipe;
}

double share(std::int64_t part, std::int64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

nlohmann::ordered_json loss_json(const distill::BatchLoss& loss) {
  nlohmann::ordered_json out = {{"loss", loss.loss}, {"cross_entropy", loss.cross_entropy}, {"divergence", loss.divergence}};
  if (loss.labelled > 0) {
    out["accuracy"] = share(loss.right, loss.labelled);
    out["n"] = loss.labelled;
  }
  if (loss.asked > 0) {
    out["teacher_accuracy"] = share(loss.teacher_right, loss.asked);
    out["accuracy_kept"] = loss.teacher_right > 0 ? share(loss.right, loss.teacher_right) : 0.0;
    out["agreement"] = share(loss.agreed, loss.asked);
    out["mistakes"] = loss.labelled - loss.right;
    out["mistakes_of_the_teacher"] = loss.repeated;
    out["labels_that_the_teacher_contradicts"] = loss.contradicted;
  }
  for (const distill::AnswerCounts& c : loss.classes)
    out["classes"].push_back({{"n", c.labelled}, {"right", c.right}, {"teacher_right", c.teacher_right}, {"mistakes", c.labelled - c.right}, {"mistakes_of_the_teacher", c.repeated}});
  if (loss.count > 0 && loss.targets > 0) out["share_with_soft_targets"] = loss.targets / loss.count;
  return out;
}

nlohmann::ordered_json data_json(const distill::DataReport& data) {
  nlohmann::ordered_json out = {
      {"tokens", data.tokens}, {"learned_tokens", data.learned_tokens}, {"pieces", data.pieces}, {"new_pairs", data.new_pairs}, {"validation_covered", data.covered},
      {"length", {{"shortest", data.shortest}, {"median", data.median}, {"mean", data.mean}, {"p95", data.p95}, {"longest", data.longest}}},
      {"weight", {{"sum", data.weight}, {"least", data.least_weight}, {"greatest", data.greatest_weight}}}};
  if (!data.class_counts.empty()) {
    out["classes"] = data.class_counts;
    out["validation_classes"] = data.validation_class_counts;
  }
  if (data.answers + data.prompts > 0)
    out["conversations"] = {{"answers", data.answers}, {"prompts", data.prompts}, {"failed", data.failed}, {"rejected", data.rejected}, {"tokens_with_probabilities", data.given}};
  return out;
}

nlohmann::ordered_json speed_json(const distill::StageSpeed& speed) {
  return {{"latency_seconds", speed.latency_seconds}, {"prompt_tokens_per_second", speed.prompt_tokens_per_second}, {"memory_bytes", speed.memory_bytes}};
}

nlohmann::ordered_json stage_json(const distill::StageReport& stage) {
  nlohmann::ordered_json out = {{"kind", distill::stage_name(stage.kind)}};
  if (!stage.level.empty()) out["level"] = stage.level;
  out["bytes_of_weights"] = stage.bytes;
  out["seconds"] = stage.seconds;
  if (stage.steps > 0) {
    out["steps"] = stage.steps;
    out["training_tokens_per_second"] = stage.tokens_per_second;
  }
  if (stage.after) out["after"] = loss_json(*stage.after);
  if (stage.speed) out["speed"] = speed_json(*stage.speed);
  if (!stage.warning.empty()) out["warning"] = stage.warning;
  return out;
}

void print_json(const distill::DistillRecipe& recipe, const distill::DistillReport& report, double seconds) {
  const auto& t = report.outcome;
  const double bits = report.student.parameters > 0 ? 8.0 * static_cast<double>(report.student.bytes) / static_cast<double>(report.student.parameters) : 0;
  nlohmann::ordered_json out = {
      {"output", report.student.output.string()}, {"bytes", report.student.bytes}, {"bits_per_weight", bits}, {"seconds", seconds},
      {"peak_memory_bytes", peak_memory_bytes()}, {"parameters", report.student.parameters}, {"teacher_parameters", report.teacher_parameters},
      {"layers", report.kept}, {"pieces", report.pieces}, {"examples", report.examples}, {"validation_examples", report.validation_examples},
      {"duplicates", report.duplicates}, {"truncated", report.truncated}, {"steps", t.steps}, {"best_step", t.best_step},
      {"stopped_early", t.stopped_early}, {"resumed", t.resumed}, {"tokens", t.tokens}, {"training_tokens_per_second", t.tokens_per_second},
      {"teacher_cache_bytes", report.answers.bytes}, {"teacher_cache_known", report.answers.known}, {"curve", report.curve.string()}};
  if (report.teacher_speed) out["teacher_speed"] = speed_json(*report.teacher_speed);
  out["teacher_cache"] = {{"folder_bytes", report.answers.folder_bytes}, {"most_bytes", report.answers.most_bytes}, {"without_room", report.answers.left_out}};
  out["data"] = data_json(report.data);
  if (report.contradicted >= 0) out["data"]["contradicted"] = {{"labels", report.contradicted}, {"of", report.asked}};
  for (const distill::StageReport& stage : report.stages) out["stages"].push_back(stage_json(stage));
  if (t.before) out["before"] = loss_json(*t.before);
  if (t.after) out["after"] = loss_json(*t.after);
  out["recipe"] = nlohmann::ordered_json::parse(distill::distill_recipe_to_json(recipe));
  fmt::print("{}\n", out.dump(2));
}

std::string loss_text(const distill::BatchLoss& loss) {
  std::string text = fmt::format("loss {:.4f}", loss.loss);
  if (loss.labelled > 0)
    text += fmt::format(" · accuracy {:.2f} % of {}", 100 * share(loss.right, loss.labelled), loss.labelled);
  return text;
}

std::string speed_text(const std::optional<distill::StageSpeed>& speed) {
  if (!speed) return fmt::format("{:>10} {:>10}", "", "");
  return fmt::format("{:>7.2f} ms {:>10}", 1e3 * speed->latency_seconds, human_bytes(speed->memory_bytes));
}

// One line a stage: what it cost and what it kept; the teacher first.
void print_stages(const distill::DistillReport& report) {
  if (report.stages.size() < 2 && !report.teacher_speed) return;
  fmt::print("  {:<16} {:>10} {:>10} {:>10} {:>7} {:>8} {:>9} {:>11} {:>10}\n", "stage", "weights", "latency", "memory", "steps", "time", "loss", "divergence", "accuracy");
  fmt::print("  {:<16} {:>10} {}\n", "teacher", human_bytes(report.teacher_bytes), speed_text(report.teacher_speed));
  for (const distill::StageReport& stage : report.stages) {
    const std::string name = std::string(distill::stage_name(stage.kind)) + (stage.level.empty() ? "" : " " + stage.level);
    std::string figures;
    if (stage.after) {
      figures = fmt::format("{:>9.4f} {:>11.4f}", stage.after->loss, stage.after->divergence);
      if (stage.after->labelled > 0) figures += fmt::format(" {:>8.2f} %", 100 * share(stage.after->right, stage.after->labelled));
    }
    fmt::print("  {:<16} {:>10} {} {:>7} {:>6.0f} s {}\n", name, human_bytes(stage.bytes), speed_text(stage.speed), stage.steps, stage.seconds, figures);
  }
  for (const distill::StageReport& stage : report.stages)
    if (!stage.warning.empty()) fmt::print("  warning: {}\n", stage.warning);
}

// The greatest classes; more than these say nothing at a glance (--json has them all).
constexpr std::size_t kClassesShown = 12;

void print_data(const distill::DataReport& data) {
  fmt::print("  {} tokens in lengths {} … {} (half below {}, 95 % below {}); {} different pieces, {:.0f} % of neighbouring pairs are new\n", data.tokens,
             data.shortest, data.longest, data.median, data.p95, data.pieces, 100 * data.new_pairs);
  if (data.learned_tokens < data.tokens - 1 && data.answers > 0)
    fmt::print("  {} answers to learn ({} tokens), {} prompts; {} failed responses and {} rejected answers left out\n", data.answers, data.learned_tokens, data.prompts, data.failed, data.rejected);
  if (data.given > 0) fmt::print("  {} tokens with stored probabilities\n", data.given);
  if (data.least_weight != data.greatest_weight) fmt::print("  examples count {:.3g} … {:.3g}, {:.4g} in all\n", data.least_weight, data.greatest_weight, data.weight);
  if (data.covered > 0) fmt::print("  {:.2f} % of the validation's tokens occur in the training texts\n", 100 * data.covered);
  if (!data.class_counts.empty() && data.class_counts.size() <= kClassesShown) fmt::print("  examples by class: {}\n", fmt::join(data.class_counts, " "));
}

// Where the student errs as its teacher does, class by class.
void print_bias(const distill::BatchLoss& loss) {
  std::vector<std::size_t> order;
  for (std::size_t c = 0; c < loss.classes.size(); ++c)
    if (loss.classes[c].labelled > loss.classes[c].right) order.push_back(c);
  if (loss.asked == 0 || order.empty()) return;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return loss.classes[a].repeated > loss.classes[b].repeated; });
  for (std::size_t i = 0; i < std::min(order.size(), kClassesShown); ++i) {
    const distill::AnswerCounts& c = loss.classes[order[i]];
    fmt::print("  class {}: {} of {} mistakes are the teacher's too ({:.0f} %)\n", order[i], c.repeated, c.labelled - c.right, 100 * share(c.repeated, c.labelled - c.right));
  }
  if (order.size() > kClassesShown) fmt::print("  and {} classes more (--json)\n", order.size() - kClassesShown);
}

void print_report(const distill::DistillReport& report, double seconds) {
  const auto& t = report.outcome;
  fmt::print("{} · {} · {:.1f} M of the teacher's {:.1f} M parameters · {:.0f} s · peak memory {}\n", report.student.output.string(),
             human_bytes(report.student.bytes), static_cast<double>(report.student.parameters) / 1e6,
             static_cast<double>(report.teacher_parameters) / 1e6, seconds, human_bytes(peak_memory_bytes()));
  fmt::print("  layers kept: {} · {} pieces\n", fmt::join(report.kept, " "), report.pieces);
  fmt::print("  {} examples, {} for validation; {} duplicates left out, {} cut\n", report.examples, report.validation_examples, report.duplicates, report.truncated);
  print_data(report.data);
  fmt::print("  {} steps{}{} · {:.0f} tokens/s\n", t.steps, t.resumed ? ", resumed" : "", t.stopped_early ? ", stopped early" : "", t.tokens_per_second);
  if (t.before) fmt::print("  before training: {}\n", loss_text(*t.before));
  if (t.after) fmt::print("  kept, step {}: {}\n", t.best_step, loss_text(*t.after));
  if (t.after && t.after->asked > 0)
    fmt::print("  the teacher: accuracy {:.2f} %, of which {:.1f} % are kept · same answer {:.1f} % · {} of {} mistakes are the teacher's too\n",
               100 * share(t.after->teacher_right, t.after->asked), 100 * share(t.after->right, t.after->teacher_right),
               100 * share(t.after->agreed, t.after->asked), t.after->repeated, t.after->labelled - t.after->right);
  if (t.after) print_bias(*t.after);
  if (t.after && t.after->contradicted > 0) fmt::print("  {} labels of the validation texts contradict the teacher\n", t.after->contradicted);
  if (t.after && t.after->targets > 0 && t.after->targets < t.after->count)
    fmt::print("  {:.1f} % of the tokens have soft targets\n", 100 * t.after->targets / t.after->count);
  if (report.contradicted >= 0) fmt::print("  {} of {} training labels contradict the teacher\n", report.contradicted, report.asked);
  print_stages(report);
  if (report.answers.bytes > 0) fmt::print("  teacher's answers: {} kept for the next student ({} of {} MB in all, {} without room); {} were known\n", human_bytes(report.answers.bytes), report.answers.folder_bytes / 1000000, report.answers.most_bytes / 1000000, report.answers.left_out, report.answers.known);
  fmt::print("  loss curve: {}\n", report.curve.string());
}

std::string time_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  return seconds < 5400 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

// What the student will be and cost; nothing is trained.
Result<void> predict(const DistillArguments& options, const distill::DistillRecipe& recipe) {
  RETORT_TRY(const Model teacher, open_model(parts_of(recipe)));
  RETORT_TRY(const distill::StudentPrediction p, distill::predict_student(teacher, recipe, options.common.threads));
  if (options.common.json) {
    const nlohmann::ordered_json out = {
        {"parameters", p.parameters}, {"teacher_parameters", teacher.parameters()}, {"bytes", p.bytes}, {"memory_bytes", p.memory},
        {"prefill_tokens_per_second", p.tokens_per_second}, {"latency_seconds", p.latency_seconds}, {"seconds_per_step", p.seconds_per_step}, {"training_seconds", p.training_seconds},
        {"training_memory_bytes", p.training_memory}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  fmt::print("{:.1f} M of the teacher's {:.1f} M parameters · {} on disk · {} of memory · {:.0f} tokens/s of a prompt\n", static_cast<double>(p.parameters) / 1e6,
             static_cast<double>(teacher.parameters()) / 1e6, human_bytes(p.bytes), human_bytes(p.memory), p.tokens_per_second);
  fmt::print("  training: {} with {} of memory ({:.2f} s a step); predicted, nothing was trained\n", time_text(p.training_seconds), human_bytes(p.training_memory), p.seconds_per_step);
  return {};
}

Result<void> run(const DistillArguments& options, Context& context) {
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(const distill::DistillRecipe recipe, recipe_of(options));
  if (options.predict) return predict(options, recipe);
  if (options.propose) {
    RETORT_TRY(const Model teacher, open_model(parts_of(recipe)));
    const distill::StudentTarget target{.bytes = static_cast<std::uint64_t>(options.most_bytes), .memory = static_cast<std::uint64_t>(options.most_memory),
                                        .latency_seconds = options.most_milliseconds / 1e3};
    return propose(teacher, recipe, target, options.common.threads, options.common.json);
  }
  if (options.output.empty()) return Error{.code = ErrorCode::kBadArgument, .place = "-o", .expected = "a folder or a .gguf file", .found = "none"};
  show_progress(context);
  auto report = distill::distill(recipe, options.output, options.common.threads, context.job);
  end_progress();
  if (!report.ok()) return std::move(report).error();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.common.json) print_json(recipe, *report, seconds);
  else print_report(*report, seconds);
  return {};
}

}  // namespace

void add_distill(CLI::App& app, Context& context) {
  auto options = std::make_shared<DistillArguments>();
  CLI::App* command = app.add_subcommand("distill", "Train a smaller student from a teacher");
  command->add_option("--recipe", options->recipe, "Recipe as JSON (docs/recipes.md); the options below go before it");
  command->add_option("--teacher", options->teacher, "GGUF file or Hugging Face folder");
  command->add_option("--student-layers", options->layers, "How many of the teacher's layers the student keeps")->check(CLI::PositiveNumber);
  command->add_option("--data", options->data, "Text, or JSONL with text and label for a classifier");
  command->add_option("--unlabelled", options->unlabelled, "More text, without labels");
  command->add_option("--validation", options->validation, "Data to validate on; otherwise a share of the training data");
  command->add_option("--epochs", options->epochs, "Times that the data is gone through")->check(CLI::PositiveNumber);
  command->add_option("--steps", options->steps, "Steps, instead of epochs")->check(CLI::PositiveNumber);
  command->add_option("--batch", options->batch, "Sequences of one step")->check(CLI::PositiveNumber);
  command->add_option("--rate", options->rate, "Greatest learning rate")->check(CLI::PositiveNumber);
  command->add_option("--temperature", options->temperature, "Of the soft targets")->check(CLI::Range(1.0, 20.0));
  command->add_option("--context", options->context, "Tokens of one chunk of text")->check(CLI::PositiveNumber);
  command->add_option("--max-tokens", options->max_tokens, "Tokens of one labelled example")->check(CLI::PositiveNumber);
  command->add_option("--seed", options->seed, "Of the order and the split")->check(CLI::NonNegativeNumber);
  command->add_option("-o,--output", options->output, "Folder to write; a .gguf file for a teacher in GGUF");
  command->add_flag("--predict", options->predict, "Only say what the student would be and cost");
  const CLI::AsNumberWithUnit sizes(std::map<std::string, double>{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}}, CLI::AsNumberWithUnit::CASE_INSENSITIVE);
  command->add_flag("--propose", options->propose, "Only say which students fit the --max- options, on this machine's processor");
  command->add_option("--max-bytes", options->most_bytes, "With --propose: of the file or folder, as 4.5MB")->transform(sizes)->check(CLI::Range(1.0, 1e15));
  command->add_option("--max-memory", options->most_memory, "With --propose: of inference, as 60MB")->transform(sizes)->check(CLI::Range(1.0, 1e15));
  command->add_option("--max-ms", options->most_milliseconds, "With --propose: milliseconds of a text (classifiers) or a token")->check(CLI::PositiveNumber);
  command->add_option("--threads", options->common.threads, "Threads; 0 takes all cores")->check(CLI::Range(0, 1024));
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
