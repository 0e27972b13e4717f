#include "core/distill/distill.h"

#include <chrono>

#include <fmt/format.h>

#include "core/distill/bench_teachers.h"
#include "core/distill/choose_codes.h"
#include "core/distill/classifier_head.h"
#include "core/distill/student_importance.h"
#include "core/distill/student_shape.h"
#include "core/distill/vocabulary.h"
#include "core/model/backend.h"

namespace retort::distill {
namespace {

// Everything that lives as long as a run.
struct Bench {
  Model teacher, student;    // the model that the student is made of, and the student
  BenchTeachers teachers;
  Readers readers;
  std::unique_ptr<kernels::ThreadPool> pool;
  Parameters student_parameters;
  TrainingData data;
  Digest models;             // of the files of all of them
  std::optional<PackedWeights> packed;
  std::optional<ImportanceMatrix> importance;
  std::unique_ptr<PolicySampler> policy;
  std::unique_ptr<Objective> objective;

  // Texts to time on.
  std::span<const TrainingExample> timed() const noexcept { return data.validation.empty() ? data.train : data.validation; }
};

// What only one kind of model can do, and what the data must have for it.
Result<void> check_kind(const DistillRecipe& recipe, const Bench& bench, const Model& reader) {
  const auto refused = [](std::string place, std::string expected, std::string found) {
    return Error{.code = ErrorCode::kBadRecipe, .place = std::move(place), .expected = std::move(expected), .found = std::move(found)};
  };
  const bool classifier = reader.graph.head == HeadKind::kSequenceLabels;
  if (classifier && recipe.on_policy.share > 0) return refused("on_policy.share", "a language model, which can write", "a classifier");
  if (classifier && recipe.loss.top > 0) return refused("loss.top", "a language model: a classifier's answers are kept whole", "a classifier");
  if (!classifier && (recipe.loss.contradicted_weight != 1 || recipe.loss.contradicted_answer != 1))
    return refused("data.contradicted_weight", "a classifier, whose examples have labels", "a language model");
  const DataReport& data = bench.data.report;
  if (data.given > 0 && recipe.loss.logits.temperature != 1)
    return refused("loss.temperature", "1: the probabilities in the data are at temperature 1, and the rest can't be tempered", fmt::format("{}", recipe.loss.logits.temperature));
  if (recipe.loss.needs_teacher() && bench.teachers.empty() && data.given == 0)
    return refused("loss", "cross_entropy alone, without a teacher to ask and without probabilities in the data", "a loss on a teacher's answers");
  if (data.prompts > 0 && recipe.on_policy.share == 0)
    return refused("data", "answers to the prompts, or on_policy.share above 0", fmt::format("{} prompts without an answer", data.prompts));
  return {};
}

// `reader`: whose tokenizer the student has.
Result<void> read_training_data(const DistillRecipe& recipe, Bench& bench, const Model& reader, const JobContext& job) {
  if (!reader.tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = bench.teacher.checkpoint->path.string(), .expected = "a tokenizer", .found = "none"};
  bench.readers = bench.teachers.readers(reader);
  bench.readers.probabilities = recipe.loss.logits.needs_teacher();
  const std::int64_t outputs = reader.graph.outputs();
  if (reader.graph.head == HeadKind::kSequenceLabels) {
    RETORT_TRY(bench.data, read_labelled(recipe.data, recipe.training.seed, bench.readers, outputs, job));
  } else {
    RETORT_TRY(bench.data, read_text(recipe.data, recipe.training.seed, bench.readers, outputs, job));
  }
  return check_kind(recipe, bench, reader);
}

// Fewer pieces: the texts are read once more with the student's tokenizer; teachers go on reading their own pieces.
Result<void> trim(const DistillRecipe& recipe, Bench& bench, const JobContext& job) {
  RETORT_TRY(const std::vector<TokenId> pieces, needed_pieces(bench.teacher, bench.data.train, recipe.student.most_pieces));
  RETORT_TRY(bench.student, trim_vocabulary(bench.student, pieces));
  return read_training_data(recipe, bench, bench.student, job);
}

// Of all that the values after stage `index` depend on: what comes later changes nothing about them.
Result<Digest> run_key(const DistillRecipe& recipe, std::size_t index, const Bench& bench, const std::vector<std::int64_t>& kept) {
  DistillRecipe until = recipe;
  until.stages.resize(index + 1);
  DigestBuilder key;
  key.text("training 3").digest(distill_recipe_digest(until)).digest(bench.data.digest).digest(bench.models);
  for (const std::int64_t layer : kept) key.number(static_cast<std::uint64_t>(layer));
  for (const WeightSpec& spec : bench.student.graph.weights) {
    key.text(spec.source_name);
    for (const std::int64_t size : spec.shape) key.number(static_cast<std::uint64_t>(size));
  }
  return key.finish();
}

Result<void> check_output(const Model& teacher, std::string_view level, const std::filesystem::path& output) {
  const bool gguf = level.empty() ? teacher.checkpoint->format == CheckpointFormat::kGguf : !folder_level(level);
  if (gguf == (output.extension() == ".gguf")) return {};
  const std::string why = level.empty() ? ", as the teacher is" : fmt::format(", as {} is written", level);
  return Error{.code = ErrorCode::kBadArgument, .file = output.string(), .place = "output", .expected = (gguf ? "a .gguf file" : "a folder") + why,
               .found = gguf ? "another name" : "a .gguf file", .next_step = gguf ? "give a name that ends in .gguf" : "give a folder's name"};
}

// The stages of a run, one after the other on the same parameters. Each leaves its values in a file when it is done, so that
// a run that is stopped in the third needn't make the first two again.
class Chain {
 public:
  Chain(const DistillRecipe& recipe, Bench& bench, DistillReport& report, const std::filesystem::path& output,
        const DistillOptions& options, const JobContext& job)
      : recipe_(recipe), bench_(bench), report_(report), output_(output), options_(options), job_(job) {}

  Result<void> run() {
    for (std::size_t i = 0; i < recipe_.stages.size(); ++i) RETORT_CHECK(run_stage(i));
    return {};
  }
  static std::filesystem::path folder(const std::filesystem::path& output) { return output.string() + ".training"; }

 private:
  using Clock = std::chrono::steady_clock;

  Result<void> run_stage(std::size_t index) {
    const auto start = Clock::now();
    const TrainStage& stage = recipe_.stages[index];
    StageReport result{.kind = stage.kind, .level = stage.level};
    if (stage.kind == StageKind::kQat || stage.kind == StageKind::kQuantize) RETORT_CHECK(pack(stage));
    if (stage.kind == StageKind::kRepair) RETORT_CHECK(hold(stage));
    if (index == 0 || recipe_.stages[index - 1].kind == StageKind::kProbe) train_head_alone(stage.kind == StageKind::kProbe);
    RETORT_CHECK(make_objective());
    RETORT_TRY(const Digest key, run_key(recipe_, index, bench_, report_.kept));
    const Files files = files_of(index, key);
    if (stage.kind == StageKind::kQuantize || std::filesystem::exists(files.values)) {
      if (stage.kind != StageKind::kQuantize) {
        RETORT_CHECK(load_values(files.values, bench_.student_parameters));
        if (bench_.packed) RETORT_CHECK(bench_.packed->after_step(bench_.student_parameters, job_.with_progress({})));
        report_.curve = files.curve;
      }
      RETORT_CHECK(judge(result));
    } else {
      RETORT_CHECK(train(stage, files, key, result));
      if (recipe_.stages.size() > 1 || shared()) RETORT_CHECK(save_values(files.values, bench_.student_parameters, job_.with_progress({})));
      std::error_code ignored;
      if (shared()) std::filesystem::remove_all(files.state, ignored);
    }
    RETORT_CHECK(measure(index, result));
    result.bytes = student_bytes(bench_.student, bench_.packed ? &*bench_.packed : nullptr, recipe_.type);
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report_.stages.push_back(std::move(result));
    return {};
  }

  // Latency and memory, and what the stage did to each validation example beside the state before it.
  Result<void> measure(std::size_t index, StageReport& result) {
    if (options_.measure_speed) {
      const Model model = model_as_written(bench_.student, bench_.student_parameters, bench_.packed ? &*bench_.packed : nullptr);
      RETORT_TRY(result.speed, measure_speed(model, bench_.timed(), bench_.pool->threads(), job_));
    }
    if (recipe_.stages.size() < 2 || bench_.data.validation.empty()) return {};
    RETORT_TRY(std::vector<double> losses, example_losses(*bench_.objective, bench_.data.validation, job_));
    if (index > 0) result.warning = compounded_damage(losses_, losses, stage_title(recipe_.stages[index]), stage_title(recipe_.stages[index - 1]));
    losses_ = std::move(losses);
    return {};
  }

  static std::string stage_title(const TrainStage& stage) {
    return std::string(stage_name(stage.kind)) + (stage.level.empty() ? "" : " " + stage.level);
  }

  // A probe trains the head's weights only; what comes after it, all.
  void train_head_alone(bool alone) {
    if (recipe_.student.classes == 0) return;
    const std::vector<bool> head = head_weights(bench_.student.graph);
    for (std::size_t id = 0; id < head.size(); ++id) bench_.student_parameters[id].trainable = !alone || head[id];
  }

  Result<void> make_objective() {
    bench_.objective.reset();   // its room first
    const std::vector<Teacher> teachers = recipe_.loss.needs_teacher() ? bench_.teachers.list() : std::vector<Teacher>();
    RETORT_TRY(bench_.objective, Objective::make(bench_.student, bench_.student_parameters, teachers, report_.stands_for, recipe_.loss,
                                                 recipe_.training, *bench_.pool, bench_.teachers.rows()));
    if (recipe_.on_policy.share > 0) {
      const TextSide side = bench_.readers.teachers.empty() ? TextSide{} : bench_.readers.teachers.front();
      bench_.policy = std::make_unique<PolicySampler>(bench_.student, bench_.student_parameters, bench_.packed ? &*bench_.packed : nullptr,
                                                      recipe_.on_policy, side, recipe_.training.seed, bench_.pool->threads());
      bench_.objective->use_policy(bench_.policy.get());
    }
    return {};
  }

  Result<void> hold(const TrainStage& stage) {
    if (stage.new_codes > 0) {
      const CodeChoice choice{.tokens = stage.new_codes, .seed = recipe_.training.seed};
      RETORT_CHECK(choose_codes(bench_.student, bench_.student_parameters, *bench_.packed, bench_.data.train, choice, *bench_.pool, job_));
    }
    return bench_.packed->hold_codes(bench_.student_parameters);
  }

  Result<void> pack(const TrainStage& stage) {
    if (stage.importance) {
      // The student's own activations on the training text, as it stands now.
      std::vector<TokenId> tokens;
      for (const TrainingExample& example : bench_.data.train) tokens.insert(tokens.end(), example.ids.begin(), example.ids.end());
      const auto model = std::make_shared<const Model>(model_of(bench_.student, bench_.student_parameters, nullptr));
      RETORT_TRY(const auto backend, make_backend("cpu", bench_.pool->threads()));
      RETORT_TRY(bench_.importance, collect_importance(model, *backend, tokens, recipe_.data.context, kImportanceChunks, job_));
    }
    RETORT_TRY(PackedWeights packed, PackedWeights::make(bench_.student, bench_.student_parameters, stage,
                                                         bench_.importance ? &*bench_.importance : nullptr, *bench_.pool));
    bench_.packed.emplace(std::move(packed));
    RETORT_CHECK(bench_.packed->round(bench_.student_parameters, job_));
    return stage.learned_scales ? bench_.packed->learn_scales(bench_.student_parameters) : Result<void>();
  }

  // What one stage leaves. In a shared folder the key tells stages of different runs apart; in a run's own folder the state of
  // another recipe is refused by its key.
  struct Files {
    std::filesystem::path state, values, curve;
  };
  bool shared() const noexcept { return !options_.shared.empty(); }
  Files files_of(std::size_t index, const Digest& key) const {
    const std::string name = fmt::format("{}-{}", index + 1, stage_name(recipe_.stages[index].kind));
    const std::string keyed = name + "." + key.hex().substr(0, 16);
    if (shared()) return {options_.shared / keyed, options_.shared / (keyed + ".safetensors"), options_.shared / (keyed + ".curve.jsonl")};
    return {folder(output_) / name, folder(output_) / (keyed + ".safetensors"),
            output_.string() + (recipe_.stages.size() > 1 ? "." + name : std::string()) + ".curve.jsonl"};
  }

  Result<void> train(const TrainStage& stage, const Files& files, const Digest& key, StageReport& result) {
    Trainer trainer(plan_of_stage(recipe_.training, stage), bench_.data, *bench_.objective, bench_.student_parameters, *bench_.pool,
                    {files.state, files.curve}, key);
    if (bench_.packed) trainer.use_packed(&*bench_.packed);
    trainer.on_point(options_.on_point);
    RETORT_TRY(report_.outcome, trainer.run(job_));
    report_.curve = files.curve;
    result.steps = report_.outcome.steps;
    result.tokens_per_second = report_.outcome.tokens_per_second;
    result.after = report_.outcome.after;
    return {};
  }

  Result<void> judge(StageReport& result) {
    if (bench_.data.validation.empty()) return {};
    RETORT_TRY(result.after, validate(*bench_.objective, bench_.data.validation, 2 * recipe_.training.batch, job_));
    return {};
  }

  static constexpr std::int64_t kImportanceChunks = 64;
  const DistillRecipe& recipe_;
  Bench& bench_;
  DistillReport& report_;
  const std::filesystem::path& output_;
  const DistillOptions& options_;
  const JobContext& job_;
  std::vector<double> losses_;   // of the validation examples after the stage before
};

// What can be refused before any time is spent: by the shape that the student will have.
Result<void> check_models(const DistillRecipe& recipe, const Model& teacher, const std::filesystem::path& output) {
  RETORT_CHECK(check_output(teacher, final_level(recipe), output));
  RETORT_TRY(const Model shape, shape_student(teacher, recipe.student, recipe.student.trim_positions ? recipe.data.max_tokens : 0));
  if (const TrainStage* stage = packing_stage(recipe)) RETORT_CHECK(check_packed(shape, *stage));
  const bool importance = std::any_of(recipe.stages.begin(), recipe.stages.end(), [](const TrainStage& stage) { return stage.importance; });
  if (importance && teacher.graph.head != HeadKind::kNextToken)
    return Error{.code = ErrorCode::kBadRecipe, .place = "stages: importance", .expected = "a language model", .found = "a classifier"};
  if (recipe.student.trim_vocabulary && (teacher.graph.head != HeadKind::kSequenceLabels || teacher.checkpoint->format == CheckpointFormat::kGguf))
    return Error{.code = ErrorCode::kUnsupported, .place = "student.trim_vocabulary", .expected = "a text classifier in a folder", .found = "another model"};
  return {};
}

// The teacher's parts that stay: which, is measured on the training text where the design says so.
Result<void> make_bench_student(const DistillRecipe& recipe, Bench& bench, DistillReport& report, const JobContext& job) {
  RETORT_TRY(report.kept, measured_layers(recipe.student, bench.teacher, bench.data.train, *bench.pool, job));
  if (!recipe.student.narrower()) {
    RETORT_TRY(bench.student, make_student(bench.teacher, report.kept));
    return {};
  }
  RETORT_TRY(const Model narrower, narrow(bench.teacher, recipe.student, bench.data.train, *bench.pool, job));
  RETORT_TRY(bench.student, make_student(narrower, report.kept));
  return {};
}

// Where the student isn't made of the teacher, its layers stand for stretches of the teacher's of the same length.
std::vector<std::int64_t> even_stretches(std::int64_t theirs, std::int64_t mine) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < mine; ++i) out.push_back(i * theirs / mine);
  return out;
}

Result<Bench> open_bench(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, DistillReport& report, const JobContext& job) {
  Bench bench;
  RETORT_TRY(bench.teacher, open_model(parts_of(recipe)));
  if (recipe.student.classes > 0) {
    RETORT_TRY(bench.teacher, with_classifier(bench.teacher, recipe.student.classes, recipe.training.seed));
  }
  RETORT_CHECK(check_models(recipe, bench.teacher, output));
  RETORT_TRY(bench.teachers, BenchTeachers::open(recipe, bench.teacher));
  const bool taught = !bench.teachers.empty();
  report.teacher_parameters = taught ? bench.teachers.first().parameters() : 0;
  report.teacher_bytes = taught ? bench.teachers.first().weight_bytes() : 0;
  bench.pool = std::make_unique<kernels::ThreadPool>(threads);
  RETORT_CHECK(read_training_data(recipe, bench, bench.teacher, job));
  RETORT_CHECK(make_bench_student(recipe, bench, report, job));
  report.stands_for = recipe.student.model.empty() || !taught ? report.kept : even_stretches(bench.teachers.first().config.layers, bench.student.config.layers);
  if (recipe.student.trim_vocabulary) RETORT_CHECK(trim(recipe, bench, job));
  if (recipe.student.trim_positions) {
    RETORT_TRY(bench.student, trim_positions(bench.student, recipe.data.max_tokens));
  }
  report.pieces = bench.student.config.vocabulary;
  if (recipe.loss.needs_teacher()) RETORT_CHECK(bench.teachers.load(*bench.pool));
  RETORT_TRY(bench.models, bench.teachers.digest(bench.teacher, job));
  RETORT_TRY(bench.student_parameters, Parameters::from_model(bench.student, false, *bench.pool));
  report.examples = static_cast<std::int64_t>(bench.data.train.size());
  report.validation_examples = static_cast<std::int64_t>(bench.data.validation.size());
  report.duplicates = bench.data.duplicates;
  report.truncated = bench.data.truncated;
  report.data = bench.data.report;
  return bench;
}

// Of the training labels that the teachers were asked about.
void count_contradictions(const Bench& bench, const LossMix& mix, DistillReport& report) {
  if (bench.student.graph.head != HeadKind::kSequenceLabels) return;
  for (const TrainingExample& example : bench.data.train) {
    const std::optional<std::int64_t> answer = example.label >= 0 ? bench.teachers.known_answer(example, mix) : std::nullopt;
    if (!answer) continue;
    ++report.asked;
    report.contradicted = std::max<std::int64_t>(report.contradicted, 0) + (*answer != example.label);
  }
}

}  // namespace

Result<DistillReport> distill(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, const JobContext& job,
                              const DistillOptions& options) {
  RETORT_CHECK(check_recipe(recipe));
  DistillReport report;
  RETORT_TRY(Bench bench, open_bench(recipe, output, threads, report, job));
  const bool asks = recipe.loss.logits.needs_teacher() && !bench.teachers.empty();
  if (asks) RETORT_CHECK(bench.teachers.open_answers(recipe, bench.student, bench.data, report.answers, job));
  if (options.measure_speed && !bench.teachers.empty()) {
    std::vector<TrainingExample> texts(bench.timed().begin(), bench.timed().begin() + static_cast<std::ptrdiff_t>(std::min(kTimedTexts, bench.timed().size())));
    for (TrainingExample& text : texts)
      if (!text.teachers.empty() && !text.teachers.front().ids.empty()) text.ids = text.teachers.front().ids;
    RETORT_TRY(report.teacher_speed, measure_speed(bench.teachers.first(), texts, threads, job));
  }
  const auto done = Chain(recipe, bench, report, output, options, job).run();
  if (asks) {
    bench.teachers.save_answers(report.answers);
    count_contradictions(bench, recipe.loss, report);
  }
  if (!done.ok()) return done.error();
  if (bench.packed) {
    RETORT_TRY(report.student, write_packed(bench.student, bench.student_parameters, *bench.packed, *packing_stage(recipe), output, job.with_progress({})));
  } else {
    RETORT_TRY(report.student, write_student(bench.student, bench.student_parameters, recipe.type, output, job.with_progress({})));
  }
  std::error_code ignored;
  if (options.shared.empty()) std::filesystem::remove_all(Chain::folder(output), ignored);
  return report;
}

}  // namespace retort::distill
