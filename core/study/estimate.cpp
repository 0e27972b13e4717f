// What a run will take: from rates of what this study already measured, else from this machine's limits.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "core/distill/predict.h"
#include "core/formats/shape.h"
#include "core/measure/hardware.h"
#include "core/study/compare.h"
#include "core/study/runner.h"

namespace retort {
namespace {

bool stage_is_judged(const CandidateInfo& candidate, std::size_t stage) {
  return candidate.stages.size() > stage && candidate.stages[stage].figures.contains("accuracy");
}

// Share of the machine's multiply-add limit that evaluation reaches, and weights packed per second and thread: typical
// of the reference machine, used until the study has rates of its own.
constexpr double kEvaluationShare = 0.35;
constexpr double kDecodeShare = 0.5;
constexpr double kPackedPerSecond = 6e7;

// Measured once per process: it takes a second, and the machine does not change.
const MachineLimits& limits(int threads) {
  static std::mutex mutex;
  static std::map<int, MachineLimits> known;
  const std::lock_guard lock(mutex);
  auto found = known.find(threads);
  if (found == known.end()) found = known.emplace(threads, measure_limits(threads)).first;
  return found->second;
}

const DataInfo* find_data(const StudySnapshot& snapshot, const std::string& name) {
  for (const DataInfo& data : snapshot.data)
    if (data.name == name) return &data;
  return nullptr;
}

// Seconds per token of a full evaluation pass, from evaluations of this study when there are any.
double seconds_per_token(const StudySnapshot& snapshot, const Model& model) {
  double seconds = 0, tokens = 0;
  for (const CandidateInfo& candidate : snapshot.candidates)
    for (const auto& [name, evaluation] : candidate.evaluations)
      if (!is_answers_task(evaluation.task)) {
        seconds += evaluation.seconds;
        tokens += 2.0 * static_cast<double>(evaluation.n);   // half of each chunk is scored
      } else if (const DataInfo* data = find_data(snapshot, name); data && evaluation.task == "classification") {
        seconds += evaluation.seconds;
        tokens += static_cast<double>(data->tokens);
      }
  if (tokens > 0) return seconds / tokens;
  const double operations = 2.0 * static_cast<double>(model.parameters());
  return operations / std::max(1e9, kEvaluationShare * limits(snapshot.threads).f32_operations_per_second);
}

struct Sums {
  double seconds = 0;
  std::uint64_t disk = 0, memory = 0;
};

// The first `stages` stages of a student, from this machine's rates.
struct Training {
  double seconds = 0;
  std::uint64_t memory = 0, bytes = 0;
  std::int64_t parameters = 0;
};
Result<Training> predict_training(StudyImpl& study, const StudyDocument& document, const CandidateRecord& candidate, std::size_t stages, const Model& source) {
  if (stages == 0) return Training{};
  RETORT_TRY(const distill::DistillRecipe recipe, study.resolved_student(document, until_stage(candidate, stages)));
  Model other;
  const bool own = parts_of(recipe) == document.source->path;
  if (!own) {
    RETORT_TRY(other, open_model(parts_of(recipe)));
  }
  RETORT_TRY(const distill::StudentPrediction predicted, distill::predict_student(own ? source : other, recipe, document.threads));
  return Training{predicted.training_seconds, predicted.training_memory, predicted.bytes, predicted.parameters};
}

// Actual seconds per predicted one, of the students that are there; 1 without any.
double training_slowness(StudyImpl& study, const StudyDocument& document, const Model& source) {
  double actual = 0, predicted = 0;
  for (const CandidateRecord& candidate : document.candidates)
    for (std::size_t stage = 1; stage <= student_stages(candidate.recipe).size(); ++stage) {
      const auto made = study.student(candidate_digest(document, until_stage(candidate, stage)));
      if (!made || made->steps == 0 || made->seconds <= 0) continue;
      const auto before = predict_training(study, document, candidate, stage - 1, source), until = predict_training(study, document, candidate, stage, source);
      if (!before || !until || until->seconds <= before->seconds) continue;
      actual += made->seconds;
      predicted += until->seconds - before->seconds;
    }
  return predicted > 0 ? actual / predicted : 1;
}

void add_training(StudyImpl& study, const StudyDocument& document, const CandidateRecord& candidate, std::size_t stage, const Model& source, double slowness, Sums& sums) {
  if (study.student(candidate_digest(document, until_stage(candidate, stage)))) return;
  const auto before = predict_training(study, document, candidate, stage - 1, source), until = predict_training(study, document, candidate, stage, source);
  if (!before || !until) return;   // it fails by itself, and says why
  sums.seconds += slowness * std::max(0.0, until->seconds - before->seconds);
  sums.memory = std::max(sums.memory, until->memory);
  // Its files, and while it trains values, two moments and the best so far.
  sums.disk += until->bytes + 16 * static_cast<std::uint64_t>(until->parameters);
}

}  // namespace

RunEstimate estimate_run(const Study& study) {
  RunEstimate estimate;
  const auto* own = dynamic_cast<const StudyImpl*>(&study);
  const StudySnapshot snapshot = study.snapshot();
  const Hardware hardware = describe_hardware();
  estimate.free_memory_bytes = hardware.free_memory_bytes;
  estimate.free_disk_bytes = free_disk_bytes(study.store()->usage().folder);
  const auto source = own ? const_cast<StudyImpl*>(own)->source_model()
                          : Result<std::shared_ptr<const Model>>(Error{.code = ErrorCode::kNotFound, .place = "source"});
  if (!source) {
    estimate.problem = "The study has no model that opens.";
    return estimate;
  }
  const Model& model = **source;
  const StudyDocument document = own->document();
  const double token_seconds = seconds_per_token(snapshot, model);
  const auto parameters = static_cast<double>(model.parameters());
  const double bandwidth = std::max(1e9, kDecodeShare * limits(snapshot.threads).read_bytes_per_second);
  std::map<std::string, const DataInfo*> data;
  for (const DataInfo& info : snapshot.data) data[info.name] = &info;

  const double slowness = training_slowness(const_cast<StudyImpl&>(*own), document, model);
  Sums sums;
  std::set<Digest> counted;
  for (const RunStep& step : plan_steps(document)) {
    const CandidateRecord* candidate = document.find(step.candidate);
    const auto info = std::find_if(snapshot.candidates.begin(), snapshot.candidates.end(), [&](const CandidateInfo& one) { return one.id == step.candidate; });
    const bool known = candidate && info != snapshot.candidates.end();
    switch (step.kind) {
      case StepKind::kImportance: {
        std::error_code ignored;
        if (std::filesystem::exists(own->artifact(importance_key(document), ".imatrix.gguf"), ignored)) break;
        double tokens = 0;
        for (const DataInfo& one : snapshot.data)
          if (one.role == DataRole::kCalibration && one.kind == DataKind::kText) tokens += static_cast<double>(one.tokens);
        sums.seconds += std::min(tokens, static_cast<double>(kCalibrationChunks * document.context)) * token_seconds;
        break;
      }
      case StepKind::kTensors: {
        const auto plan = const_cast<StudyImpl*>(own)->plan(step.candidate);
        if (!plan) break;
        double weights = 0;
        for (const DerivedTensor& tensor : (*plan)->tensors) {
          if (!counted.insert(tensor.key).second || own->store()->contains(tensor.key)) continue;
          const WeightHandle& weight = model.weights[static_cast<std::size_t>(tensor.weight)];
          const auto elements = static_cast<double>(shape_elements(weight.shape));
          weights += elements;
          sums.disk += static_cast<std::uint64_t>(elements * kernels::traits(tensor.type).bits_per_weight() / 8) + 256;
        }
        sums.seconds += weights / (kPackedPerSecond * std::max(1, snapshot.threads));
        break;
      }
      case StepKind::kTrain:
        if (candidate) add_training(const_cast<StudyImpl&>(*own), document, *candidate, step.stage, model, slowness, sums);
        break;
      case StepKind::kClasses:
        if (known && !(step.stage > 0 ? stage_is_judged(*info, step.stage) : info->evaluations.contains(step.data)))
          sums.seconds += static_cast<double>(data[step.data]->tokens) * token_seconds;
        break;
      case StepKind::kText:
        if (known && !info->evaluations.contains(step.data)) sums.seconds += static_cast<double>(data[step.data]->tokens) * token_seconds;
        break;
      case StepKind::kAnswers:
        // Tokens of an example are read once per choice or spoken one by one: about three times its length.
        if (known && !info->evaluations.contains(step.data)) sums.seconds += 3 * static_cast<double>(data[step.data]->tokens) * token_seconds;
        break;
      case StepKind::kSpeed:
        if (known && step.device.empty() && !info->bench) {
          const BenchOptions options = bench_options(document, candidate->recipe);
          if (document.source->kind != SourceKind::kLanguageModel) {
            // Examples one by one, and three times many at once.
            sums.seconds += 1 + (static_cast<double>(options.generate * options.prompt) + 4 * 4096) * token_seconds;
            break;
          }
          const double per_token = parameters * std::max(1.0, info->bits_per_weight) / 8 / bandwidth;
          sums.seconds += 1 + 4 * static_cast<double>(options.prompt) * token_seconds + static_cast<double>(options.generate) * per_token;
        }
        break;
    }
    if (known) sums.memory = std::max(sums.memory, info->predicted_memory);
  }
  // Two models at once while text is compared: the candidate and the original.
  std::uint64_t original = 0;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (candidate.is_original) original = candidate.predicted_memory;
  estimate.memory_bytes = sums.memory + original;
  estimate.disk_bytes = sums.disk;
  estimate.seconds_low = 0.6 * sums.seconds;
  estimate.seconds_high = 1.8 * sums.seconds;
  const auto gigabytes = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; };
  if (estimate.disk_bytes > estimate.free_disk_bytes)
    estimate.problem = fmt::format("The tensors need {:.2f} GB on the disk, {:.2f} GB are free.", gigabytes(estimate.disk_bytes), gigabytes(estimate.free_disk_bytes));
  else if (estimate.memory_bytes > estimate.free_memory_bytes && estimate.free_memory_bytes > 0)
    estimate.problem = fmt::format("Measuring needs {:.2f} GB of memory, {:.2f} GB are free.", gigabytes(estimate.memory_bytes), gigabytes(estimate.free_memory_bytes));
  return estimate;
}

}  // namespace retort
