#include "core/distill/distill.h"

#include <chrono>

#include <fmt/format.h>

#include "core/distill/student_importance.h"
#include "core/distill/student_shape.h"
#include "core/distill/vocabulary.h"
#include "core/model/backend.h"

namespace retort::distill {
namespace {

// Everything that lives as long as a run.
struct Bench {
  Model teacher, student;
  std::unique_ptr<kernels::ThreadPool> pool;
  Parameters teacher_parameters, student_parameters;
  TrainingData data;
  Digest asked;              // of the texts as the teacher reads them
  std::optional<PackedWeights> packed;
  std::optional<ImportanceMatrix> importance;
  std::unique_ptr<Objective> objective;
  std::optional<TeacherCache> cache;

  // Texts to time on.
  std::span<const TrainingExample> timed() const noexcept { return data.validation.empty() ? data.train : data.validation; }
};

Result<void> read_training_data(const DistillRecipe& recipe, Bench& bench, const JobContext& job) {
  if (!bench.teacher.tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = recipe.teacher.string(), .expected = "a tokenizer", .found = "none"};
  const Tokenizer& tokenizer = *bench.teacher.tokenizer;
  if (bench.teacher.graph.head == HeadKind::kSequenceLabels) {
    RETORT_TRY(bench.data, read_labelled(recipe.data, recipe.training.seed, tokenizer, bench.teacher.graph.outputs(), job));
  } else {
    RETORT_TRY(bench.data, read_text(recipe.data, recipe.training.seed, tokenizer, job));
  }
  return {};
}

// Fewer pieces: the texts are read once more with the student's tokenizer, and keep what the teacher reads.
Result<void> trim(const DistillRecipe& recipe, Bench& bench, const JobContext& job) {
  RETORT_TRY(const std::vector<TokenId> pieces, needed_pieces(bench.teacher, bench.data.train, recipe.student.most_pieces));
  RETORT_TRY(bench.student, trim_vocabulary(bench.student, pieces));
  RETORT_TRY(TrainingData data, read_labelled(recipe.data, recipe.training.seed, *bench.student.tokenizer, bench.student.graph.outputs(), job));
  for (const auto side : {&TrainingData::train, &TrainingData::validation})
    for (std::size_t i = 0; i < (data.*side).size(); ++i) (data.*side)[i].teacher_ids = std::move((bench.data.*side)[i].ids);
  bench.data = std::move(data);
  return {};
}

// The digest of the teacher's files and of what it is asked.
Result<Digest> cache_key(const DistillRecipe& recipe, const Bench& bench, const JobContext& job) {
  DigestBuilder key;
  key.text("teacher logits 1").digest(bench.asked);
  for (const auto& file : bench.teacher.checkpoint->files) {
    RETORT_TRY(const Digest digest, digest_of_file(file->path(), job));
    key.digest(digest);
  }
  key.text(recipe.teacher.extension().string());
  return key.finish();
}

// A classifier is asked for each example once; what earlier runs asked is taken from their file.
Result<std::filesystem::path> open_cache(const DistillRecipe& recipe, Bench& bench, DistillReport& report, const JobContext& job) {
  const std::int64_t classes = bench.student.graph.outputs();
  std::vector<const TrainingExample*> all;
  for (const auto* side : {&bench.data.train, &bench.data.validation})
    for (const TrainingExample& example : *side) all.push_back(&example);
  RETORT_TRY(const Digest key, cache_key(recipe, bench, job));
  const std::filesystem::path path = user_cache_folder() / "teacher" / (key.hex() + ".safetensors");
  report.cache_bytes = all.size() * static_cast<std::uint64_t>(classes) * sizeof(float);
  auto kept = TeacherCache::open(path, classes, all.size());
  if (kept.ok()) bench.cache.emplace(std::move(kept).value());
  else bench.cache.emplace(classes, all.size());
  report.cache_known = bench.cache->known();
  for (std::size_t i = 0; i < all.size(); ++i) bench.cache->name(all[i], i);
  return path;
}

// The cache saves time for the next student; this one has what it needs, so a failure costs it nothing.
void save_cache(const Bench& bench, const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (!failed) (void)bench.cache->save(path, {}).ok();
}

// Of all that the values after stage `index` depend on: what comes later changes nothing about them.
Result<Digest> run_key(const DistillRecipe& recipe, std::size_t index, const Bench& bench, const std::vector<std::int64_t>& kept) {
  DistillRecipe until = recipe;
  until.stages.resize(index + 1);
  DigestBuilder key;
  key.text("training 2").digest(distill_recipe_digest(until)).digest(bench.data.digest);
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
    if (stage.kind == StageKind::kRepair) RETORT_CHECK(bench_.packed->hold_codes(bench_.student_parameters));
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

  Result<void> make_objective() {
    bench_.objective.reset();   // its room first
    RETORT_TRY(bench_.objective, Objective::make(bench_.student, bench_.student_parameters, recipe_.loss.needs_teacher() ? &bench_.teacher : nullptr,
                                                 &bench_.teacher_parameters, report_.kept, recipe_.loss, recipe_.training.recompute, *bench_.pool));
    if (bench_.cache) bench_.objective->use_cache(&*bench_.cache);
    return {};
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

Result<Bench> open_bench(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, DistillReport& report, const JobContext& job) {
  Bench bench;
  RETORT_TRY(bench.teacher, open_model(recipe.teacher));
  RETORT_CHECK(check_models(recipe, bench.teacher, output));
  report.teacher_parameters = bench.teacher.parameters();
  report.teacher_bytes = bench.teacher.weight_bytes();
  bench.pool = std::make_unique<kernels::ThreadPool>(threads);
  RETORT_CHECK(read_training_data(recipe, bench, job));
  RETORT_CHECK(make_bench_student(recipe, bench, report, job));
  bench.asked = bench.data.digest;
  if (recipe.student.trim_vocabulary) RETORT_CHECK(trim(recipe, bench, job));
  if (recipe.student.trim_positions) {
    RETORT_TRY(bench.student, trim_positions(bench.student, recipe.data.max_tokens));
  }
  report.pieces = bench.student.config.vocabulary;
  if (recipe.loss.needs_teacher()) {
    RETORT_TRY(bench.teacher_parameters, Parameters::from_model(bench.teacher, true, *bench.pool));
  }
  RETORT_TRY(bench.student_parameters, Parameters::from_model(bench.student, false, *bench.pool));
  report.examples = static_cast<std::int64_t>(bench.data.train.size());
  report.validation_examples = static_cast<std::int64_t>(bench.data.validation.size());
  report.duplicates = bench.data.duplicates;
  report.truncated = bench.data.truncated;
  return bench;
}

}  // namespace

Result<DistillReport> distill(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, const JobContext& job,
                              const DistillOptions& options) {
  RETORT_CHECK(check_recipe(recipe));
  DistillReport report;
  RETORT_TRY(Bench bench, open_bench(recipe, output, threads, report, job));
  std::filesystem::path cache;
  if (bench.student.graph.head == HeadKind::kSequenceLabels && recipe.loss.logits.needs_teacher()) {
    RETORT_TRY(cache, open_cache(recipe, bench, report, job));
  }
  if (options.measure_speed) {
    std::vector<TrainingExample> texts(bench.timed().begin(), bench.timed().begin() + static_cast<std::ptrdiff_t>(std::min(kTimedTexts, bench.timed().size())));
    for (TrainingExample& text : texts)
      if (!text.teacher_ids.empty()) text.ids = text.teacher_ids;
    RETORT_TRY(report.teacher_speed, measure_speed(bench.teacher, texts, threads, job));
  }
  const auto done = Chain(recipe, bench, report, output, options, job).run();
  if (bench.cache) save_cache(bench, cache);
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
