// The students of a study: what they learn from, where they lie in the cache, and the models that they are.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error_text.h"
#include "core/distill/packed_forms.h"
#include "core/distill/predict.h"
#include "core/formats/json_text.h"
#include "core/model/backend.h"
#include "core/study/compare.h"
#include "core/study/student.h"
#include "core/study/study_impl.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kResult = ".student.json";

Error not_trained(const std::string& name) {
  return Error{.code = ErrorCode::kNotFound, .place = name, .found = "not trained yet",
               .next_step = "run the study; what is there is not made again"};
}

bool default_columns(const Columns& columns) {
  return columns.text.empty() && columns.label.empty();
}

// One JSON object a line, as distillation reads it.
std::string lines_of(const DataSet& set) {
  std::string lines;
  for (const Example& example : set.examples) {
    nlohmann::ordered_json line = {{"text", example.text}};
    if (set.kind == DataKind::kLabelled) line["label"] = example.answer;
    lines += formats::json_text(line) + "\n";
  }
  return lines;
}

// What a staircase shows of each step, by the names of CandidateInfo::figure.
constexpr const char* kStageMeasures[] = {"accuracy", "macro_f1", "kld_mean", "perplexity", "top1_agreement", "prefill", "decode",
                                          "time_to_first_token", "p50", "p95", "p99", "peak_memory"};
// Less than this share of the damage before is noise to a person, however sure the test is.
constexpr double kMaterial = 0.1;

// Said only where a paired test on the same rows stands behind it.
std::string compounding(const CandidateInfo& before, const CandidateInfo& after, const std::string& earlier, const std::string& later) {
  const Comparison answers = compare_answers(after.evaluations, before.evaluations);
  if (answers.verdict == Verdict::kWorse)
    return fmt::format("{} adds to what {} lost: {:.1f} points of accuracy more{}.", later, earlier, -100 * answers.difference,
                       answers.p ? fmt::format(" (p = {:.2g})", *answers.p) : "");
  const Comparison loss = compare_loss(after.evaluations, before.evaluations);
  const auto damage = before.figure("kld_mean");
  if (loss.verdict != Verdict::kWorse || !damage || damage->value <= 0 || loss.difference < kMaterial * damage->value) return {};
  return fmt::format("{} adds to what {} lost: a KL divergence {:.4f} nats higher, {:.0f} % on top of {:.4f}.", later, earlier, loss.difference,
                     100 * loss.difference / damage->value, damage->value);
}

}  // namespace

std::vector<const DataRecord*> training_sets(const StudyDocument& document) {
  const bool classes = document.source && document.source->kind == SourceKind::kClassifier;
  std::vector<const DataRecord*> sets;
  for (const DataRecord& data : document.data)
    if (data.info.role == DataRole::kTraining && (data.info.kind == DataKind::kText || (classes && data.info.kind == DataKind::kLabelled))) sets.push_back(&data);
  return sets;
}

// With file_mutex_ held. A file that isn't there has no digest: the student's run will say so.
void StudyImpl::note_named_files(StudyDocument& document) {
  document.named_files.clear();
  for (const CandidateRecord& candidate : document.candidates) {
    if (!is_student(candidate.recipe)) continue;
    const auto student = student_recipe(candidate.recipe);
    if (!student) continue;
    for (const fs::path& path : named_texts(*student)) {
      std::error_code ignored;
      if (document.named_files.contains(path.string()) || !fs::is_regular_file(path, ignored)) continue;
      if (const auto digest = file_digest(path, JobContext())) document.named_files[path.string()] = *digest;
    }
    for (const fs::path& path : named_models(*student)) {
      if (document.named_files.contains(path.string())) continue;
      const auto checkpoint = open_checkpoint(path);
      if (!checkpoint) continue;
      const auto digest = checkpoint_digest(**checkpoint, [this](const fs::path& one, const JobContext& job) { return file_digest(one, job); }, JobContext());
      if (digest) document.named_files[path.string()] = *digest;
    }
  }
}

// The study's training texts as the one file that a distillation reads: the set's own where there is only one, else all of
// them, written into the cache. `kind` labelled or text.
Result<fs::path> StudyImpl::training_file(const StudyDocument& document, DataKind kind) {
  std::vector<const DataRecord*> sets;
  for (const DataRecord* data : training_sets(document))
    if (data->info.kind == kind) sets.push_back(data);
  if (sets.empty()) return fs::path();
  if (sets.size() == 1 && default_columns(sets.front()->columns)) {
    // A file of several kinds is read by kind there, too.
    RETORT_TRY([[maybe_unused]] const auto unchanged, data_set(sets.front()->info.name));
    return sets.front()->info.path;
  }
  DigestBuilder key;
  key.text("training text 1");
  std::string lines;
  for (const DataRecord* data : sets) {
    RETORT_TRY(const auto set, data_set(data->info.name));
    key.digest(data->digest).text(data->columns.text).text(data->columns.label);
    lines += lines_of(*set);
  }
  const fs::path path = artifact(key.finish(), ".jsonl");
  std::error_code ignored;
  if (fs::exists(path, ignored)) return path;
  fs::create_directories(path.parent_path(), ignored);
  RETORT_CHECK(write_text_file(path, lines));
  return path;
}

Result<distill::DistillRecipe> StudyImpl::resolved_student(const StudyDocument& now, const CandidateRecord& candidate) {
  if (!now.source) return Error{.code = ErrorCode::kNotFound, .place = "source"};
  RETORT_TRY(distill::DistillRecipe student, student_recipe(candidate.recipe));
  if (student.teacher.empty()) student.teacher = now.source->path;
  if (student.data.train.empty() && student.data.unlabelled.empty()) {
    const bool classes = now.source->kind == SourceKind::kClassifier;
    RETORT_TRY(student.data.train, training_file(now, classes ? DataKind::kLabelled : DataKind::kText));
    // Texts without labels teach only through the teacher's answers.
    if (classes && student.loss.needs_teacher()) {
      RETORT_TRY(student.data.unlabelled, training_file(now, DataKind::kText));
    }
    if (student.data.train.empty() && student.data.unlabelled.empty())
      return Error{.code = ErrorCode::kBadData, .place = candidate.name, .expected = "something to learn from", .found = "no text with the role training",
                   .next_step = "add text with the role training, or name it in the recipe: data.train"};
  }
  if (auto checked = distill::check_recipe(student); !checked) return std::move(checked).error();
  return student;
}

fs::path StudyImpl::student_output(const Digest& candidate, const distill::DistillRecipe& student) const {
  const std::string_view level = distill::final_level(student);
  const bool gguf = level.empty() ? parts_of(student).extension() == ".gguf" : !distill::folder_level(level);
  return artifact(candidate, gguf ? ".student.gguf" : ".student");
}

fs::path StudyImpl::training_folder(const StudyDocument& document, const CandidateRecord& candidate) const {
  Digest teacher = document.source ? document.source->digest : Digest{};
  if (const auto student = student_recipe(candidate.recipe); student && !student->teacher.empty())
    if (const auto named = document.named_files.find(student->teacher.string()); named != document.named_files.end()) teacher = named->second;
  return artifact(teacher, ".training");
}

std::shared_ptr<const StudentResult> StudyImpl::student(const Digest& candidate) const {
  const std::lock_guard state(state_mutex_);
  const auto found = students_.find(candidate);
  return found == students_.end() ? nullptr : found->second;
}

Result<void> StudyImpl::keep(const Digest& candidate, const StudentResult& result) {
  RETORT_CHECK(write_text_file(artifact(candidate, kResult), student_result_to_json(result)));
  StudentResult kept = result;
  kept.points = read_curve(result.curve);
  const std::lock_guard state(state_mutex_);
  students_[candidate] = std::make_shared<const StudentResult>(std::move(kept));
  return {};
}

// What the cache holds of a student's stages, read again.
void StudyImpl::look_at_student(const StudyDocument& document, const CandidateRecord& candidate) {
  const std::size_t stages = student_stages(candidate.recipe).size();
  for (std::size_t stage = 1; stage <= stages; ++stage) {
    const Digest digest = candidate_digest(document, until_stage(candidate, stage));
    std::shared_ptr<const StudentResult> result;
    std::error_code ignored;
    if (const auto text = read_text_file(artifact(digest, kResult)))
      if (auto read = student_result_from_json(*text); read && fs::exists(read->output, ignored)) {
        read->points = read_curve(read->curve);
        result = std::make_shared<const StudentResult>(*std::move(read));
      }
    const std::lock_guard state(state_mutex_);
    if (result) students_[digest] = std::move(result);
    else students_.erase(digest);
  }
}

// What it will be, by arithmetic on the teacher's shape; once trained, what it is.
StudyImpl::Made StudyImpl::student_entry(const StudyDocument& document, const CandidateRecord& candidate, const Model& source) const {
  Made entry;
  const auto made = student(candidate_digest(document, candidate));
  Result<CandidatePlan> plan = made ? trained_plan(*made, document, entry) : predicted_plan(document, candidate, source, entry);
  if (plan) entry.plan = std::make_shared<const CandidatePlan>(*std::move(plan));
  else entry.problem = error_text(plan.error());
  return entry;
}

Result<CandidatePlan> StudyImpl::trained_plan(const StudentResult& made, const StudyDocument& document, Made& entry) const {
  RETORT_TRY(const Model model, open_student(made.output));
  RETORT_TRY(CandidatePlan plan, plan_candidate(model, Digest{}, Recipe{}, Digest{}));
  plan.bytes = made.bytes;
  for (std::size_t i = 0; i < model.weights.size(); ++i) {
    const WeightHandle& weight = model.weights[i];
    entry.types[model.graph.weights[i].name] = weight.coded ? weight.coded->scheme() : std::string(kernels::traits(weight.type).name);
  }
  if (const auto backend = make_backend("cpu", document.threads)) entry.memory = (*backend)->predict_memory(model, memory_options(document)).total();
  return plan;
}

Result<CandidatePlan> StudyImpl::predicted_plan(const StudyDocument& document, const CandidateRecord& candidate, const Model& source, Made& entry) const {
  RETORT_TRY(const distill::DistillRecipe recipe, student_recipe(candidate.recipe));
  Model other;
  const fs::path& parts = parts_of(recipe);
  if (!parts.empty()) {
    RETORT_TRY(other, open_model(parts));
  }
  const Model& teacher = parts.empty() ? source : other;
  RETORT_TRY(const distill::StudentPrediction predicted, distill::predict_student(teacher, recipe, document.threads));
  RETORT_TRY(const Model shape, distill::shape_student(teacher, recipe.student, recipe.student.trim_positions ? recipe.data.max_tokens : 0));
  const std::string_view level = distill::final_level(recipe);
  CandidatePlan plan;
  // Grids for folders are no levels of the tensor store: their types are known once they are there.
  if (level.empty() || find_level(level)) {
    Recipe packed;
    if (!level.empty()) packed.stages.push_back(Stage{.kind = "quantize", .level = std::string(level), .importance = false, .overrides = {}});
    RETORT_TRY(plan, plan_candidate(shape, Digest{}, packed, Digest{}));
    for (std::size_t i = 0; i < plan.types.size(); ++i) entry.types[shape.graph.weights[i].name] = std::string(kernels::traits(plan.types[i]).name);
  }
  plan.tensors.clear();   // nothing of it goes through the tensor store
  plan.bytes = predicted.bytes;
  plan.bits_per_weight = predicted.parameters > 0 ? 8.0 * static_cast<double>(predicted.bytes) / static_cast<double>(predicted.parameters) : 0;
  entry.memory = predicted.memory;
  return plan;
}

Result<std::shared_ptr<const Model>> StudyImpl::model_of(const StudyDocument& now, const CandidateRecord& candidate) {
  RETORT_TRY(const auto source, source_model());
  if (is_student(candidate.recipe)) {
    const auto made = student(candidate_digest(now, candidate));
    if (!made) return not_trained(candidate.name);
    RETORT_TRY(Model model, open_student(made->output));
    return std::make_shared<const Model>(std::move(model));
  }
  RETORT_TRY(const CandidatePlan wanted, plan_candidate(*source, now.source->digest, candidate.recipe, importance_key(now)));
  if (wanted.tensors.empty()) return source;
  return assemble_model(*source, wanted, *store_);
}

Result<fs::path> StudyImpl::write_manifest_of(const StudyDocument& now, const CandidateRecord& candidate) {
  RETORT_TRY(const auto source, source_model());
  const Digest digest = candidate_digest(now, candidate);
  Manifest manifest{.name = candidate.name, .source = now.source->path, .source_digest = now.source->digest,
                    .store = store_->usage().folder, .recipe = candidate.recipe, .tensors = {}};
  if (is_student(candidate.recipe)) {
    const auto made = student(digest);
    if (!made) return not_trained(candidate.name);
    manifest.source = made->output;
    manifest.source_digest = digest;
  } else {
    RETORT_TRY(const CandidatePlan wanted, plan_candidate(*source, now.source->digest, candidate.recipe, importance_key(now)));
    manifest.tensors = wanted.tensors;
  }
  const fs::path path = artifact(digest, ".candidate");
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  RETORT_CHECK(write_text_file(path, manifest_to_json(manifest)));
  return path;
}

// The staircase: the source, then what each stage left, with whatever is measured of it.
std::vector<StageInfo> StudyImpl::stages_of(const CandidateRecord& candidate) const {
  std::vector<StageInfo> stages;
  const std::vector<std::string> names = student_stages(candidate.recipe);
  const CandidateRecord* original = document_.original();
  std::vector<CandidateInfo> steps;
  for (std::size_t i = 0; i <= names.size(); ++i) {
    CandidateInfo step;
    if (i == 0 && original) {
      step.is_original = true;
      add_figures(*original, step);
      if (const auto made = made_.find(candidate_digest(document_, *original)); made != made_.end() && made->second.plan) step.bytes = made->second.plan->bytes;
    } else if (i > 0) {
      add_figures(until_stage(candidate, i), step);
    }
    StageInfo stage{.name = i == 0 ? "source" : names[i - 1], .bytes = step.bytes};
    if (i > 0)
      if (const auto found = students_.find(candidate_digest(document_, until_stage(candidate, i))); found != students_.end()) {
        const StudentResult& result = *found->second;
        stage.bytes = step.bytes = result.bytes;
        const auto exactly = [&](const char* name, const std::optional<double>& value) {
          if (value) stage.figures[name] = {*value, *value, *value};
        };
        stage.curve = result.points;
        exactly("validation_loss", result.loss);
        exactly("validation_accuracy", result.accuracy);
      }
    for (const char* name : kStageMeasures)
      if (const auto figure = step.figure(name)) stage.figures[name] = *figure;
    if (i > 1) stage.warning = compounding(steps[i - 1], step, names[i - 2], names[i - 1]);
    steps.push_back(std::move(step));
    stages.push_back(std::move(stage));
  }
  return stages;
}

}  // namespace retort
