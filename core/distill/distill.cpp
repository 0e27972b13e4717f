#include "core/distill/distill.h"

#include <fmt/format.h>

namespace retort::distill {
namespace {

// Everything that lives as long as a run.
struct Bench {
  Model teacher, student;
  std::unique_ptr<kernels::ThreadPool> pool;
  Parameters teacher_parameters, student_parameters;
  TrainingData data;
  std::unique_ptr<Objective> objective;
  std::optional<TeacherCache> cache;
};

Result<void> read_training_data(const DistillRecipe& recipe, Bench& bench, const JobContext& job) {
  if (!bench.teacher.tokenizer)
    return Error{.code = ErrorCode::kMissingPart, .file = recipe.teacher.string(), .expected = "a tokenizer", .found = "none"};
  const Tokenizer& tokenizer = *bench.teacher.tokenizer;
  if (bench.objective->classifies()) {
    RETORT_TRY(bench.data, read_labelled(recipe.data, recipe.training.seed, tokenizer, bench.student.graph.outputs(), job));
  } else {
    RETORT_TRY(bench.data, read_text(recipe.data, recipe.training.seed, tokenizer, job));
  }
  return {};
}

// The digest of the teacher's files and of what it is asked.
Result<Digest> cache_key(const DistillRecipe& recipe, const Bench& bench, const JobContext& job) {
  DigestBuilder key;
  key.text("teacher logits 1").digest(bench.data.digest);
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
  bench.objective->use_cache(&*bench.cache);
  return path;
}

// The cache saves time for the next student; this one has what it needs, so a failure costs it nothing.
void save_cache(const Bench& bench, const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  if (!failed) (void)bench.cache->save(path, {}).ok();
}

Result<Digest> run_key(const DistillRecipe& recipe, const Bench& bench, const std::vector<std::int64_t>& kept) {
  DigestBuilder key;
  key.text("training 1").digest(distill_recipe_digest(recipe)).digest(bench.data.digest);
  for (const std::int64_t layer : kept) key.number(static_cast<std::uint64_t>(layer));
  for (const WeightSpec& spec : bench.student.graph.weights) {
    key.text(spec.source_name);
    for (const std::int64_t size : spec.shape) key.number(static_cast<std::uint64_t>(size));
  }
  return key.finish();
}

Result<void> check_output(const Model& teacher, const std::filesystem::path& output) {
  const bool gguf = teacher.checkpoint->format == CheckpointFormat::kGguf;
  if (gguf == (output.extension() == ".gguf")) return {};
  return Error{.code = ErrorCode::kBadArgument, .file = output.string(), .place = "output", .expected = gguf ? "a .gguf file, as the teacher is" : "a folder, as the teacher is",
               .found = gguf ? "another name" : "a .gguf file", .next_step = gguf ? "" : "write a folder, then retort export it"};
}

}  // namespace

Result<DistillReport> distill(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, const JobContext& job,
                              const std::function<void(const CurvePoint&)>& on_point) {
  RETORT_CHECK(check_recipe(recipe));
  Bench bench;
  DistillReport report;
  RETORT_TRY(bench.teacher, open_model(recipe.teacher));
  RETORT_CHECK(check_output(bench.teacher, output));
  RETORT_TRY(report.kept, kept_layers(recipe.student, bench.teacher.config.layers));
  RETORT_TRY(bench.student, make_student(bench.teacher, report.kept));
  report.teacher_parameters = bench.teacher.parameters();
  bench.pool = std::make_unique<kernels::ThreadPool>(threads);
  const bool teaches = recipe.loss.needs_teacher();
  if (teaches) {
    RETORT_TRY(bench.teacher_parameters, Parameters::from_model(bench.teacher, true, *bench.pool));
  }
  RETORT_TRY(bench.student_parameters, Parameters::from_model(bench.student, false, *bench.pool));
  RETORT_TRY(bench.objective, Objective::make(bench.student, bench.student_parameters, teaches ? &bench.teacher : nullptr,
                                              &bench.teacher_parameters, report.kept, recipe.loss, recipe.training.recompute, *bench.pool));
  RETORT_CHECK(read_training_data(recipe, bench, job));
  report.examples = static_cast<std::int64_t>(bench.data.train.size());
  report.validation_examples = static_cast<std::int64_t>(bench.data.validation.size());
  report.duplicates = bench.data.duplicates;
  report.truncated = bench.data.truncated;
  std::filesystem::path cache;
  if (teaches && bench.objective->classifies() && recipe.loss.logits.needs_teacher()) {
    RETORT_TRY(cache, open_cache(recipe, bench, report, job));
  }
  RETORT_TRY(const Digest key, run_key(recipe, bench, report.kept));
  const std::filesystem::path folder = output.string() + ".training";
  report.curve = output.string() + ".curve.jsonl";
  Trainer trainer(recipe.training, bench.data, *bench.objective, bench.student_parameters, *bench.pool, {folder, report.curve}, key);
  trainer.on_point(on_point);
  auto outcome = trainer.run(job);
  if (bench.cache) save_cache(bench, cache);
  if (!outcome.ok()) return std::move(outcome).error();
  report.outcome = std::move(outcome).value();
  RETORT_TRY(report.student, write_student(bench.student, bench.student_parameters, recipe.type, output, job.with_progress({})));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return report;
}

}  // namespace retort::distill
