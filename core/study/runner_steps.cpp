// What each step of a run does. A step looks first whether its result is there already.
#include <algorithm>

#include <fmt/format.h>

#include "core/measure/bench.h"
#include "core/study/runner.h"

namespace retort {
namespace {

const DataRecord* find_data(const StudyDocument& document, const std::string& name) {
  for (const DataRecord& data : document.data)
    if (data.info.name == name) return &data;
  return nullptr;
}

Error no_data(const std::string& name) { return Error{.code = ErrorCode::kNotFound, .place = "data set " + name}; }

EvaluateOptions evaluate_options(const StudyDocument& document) {
  EvaluateOptions options;
  options.context = document.context;
  options.threads = document.threads;
  return options;
}

constexpr const char* kMeasured = "measured before";

}  // namespace

RunOptions Runner::run_options() const {
  RunOptions options;
  options.activations = kernels::Activations::kF32;   // quality is of the weights alone; speed is measured as it is run
  options.context = document_.context;
  options.batch = std::min<std::int64_t>(512, document_.context);
  return options;
}

Result<Backend*> Runner::backend() {
  if (!backend_) {
    RETORT_TRY(backend_, make_backend("cpu", document_.threads));
  }
  return backend_.get();
}

void Runner::release_sessions() {
  session_.reset();
  original_session_.reset();
  model_.reset();
  original_model_.reset();
  session_candidate_.reset();
}

Result<CandidateRecord> Runner::record(const RunStep& step) const {
  const CandidateRecord* candidate = document_.find(step.candidate);
  if (!candidate) return Error{.code = ErrorCode::kNotFound, .place = "candidate"};
  return step.stage > 0 ? until_stage(*candidate, step.stage) : *candidate;
}

Result<void> Runner::prepare_session(const CandidateRecord& candidate) {
  const Digest digest = candidate_digest(document_, candidate);
  if (session_ && session_candidate_ == digest) return {};
  session_.reset();
  session_candidate_.reset();
  RETORT_TRY(Backend* const on, backend());
  RETORT_TRY(model_, study_->model_of(document_, candidate));
  RETORT_TRY(session_, on->compile(model_, run_options()));
  session_candidate_ = digest;
  return {};
}

Result<Session*> Runner::original_session() {
  if (!original_session_) {
    const CandidateRecord* original = document_.original();
    if (!original) return Error{.code = ErrorCode::kNotFound, .place = "original"};
    RETORT_TRY(Backend* const on, backend());
    RETORT_TRY(original_model_, study_->model_of(document_, *original));
    RETORT_TRY(original_session_, on->compile(original_model_, run_options()));
  }
  return original_session_.get();
}

// Text tokens of all calibration sets, in the study's order.
Result<void> Runner::importance_step(const JobContext& job, RunRow& outcome) {
  const auto path = study_->artifact(importance_key(document_), ".imatrix.gguf");
  const auto make = [&]() -> Result<void> {
    if (auto kept = read_importance(path)) {
      importance_ = *std::move(kept);
      outcome.reused = 1;
      outcome.message = "collected before";
      return {};
    }
    const CandidateRecord* original = document_.original();
    if (!original) return Error{.code = ErrorCode::kNotFound, .place = "original"};
    RETORT_TRY(const auto model, study_->candidate_model(original->id));
    if (!model->tokenizer)
      return Error{.code = ErrorCode::kMissingPart, .place = "importance matrix", .expected = "a tokenizer", .found = "none"};
    std::string text;
    for (const DataRecord& data : document_.data) {
      if (data.info.role != DataRole::kCalibration || data.info.kind != DataKind::kText) continue;
      RETORT_TRY(const auto set, study_->data_set(data.info.name));
      text += (text.empty() ? "" : "\n\n") + set->joined_text();
    }
    if (text.empty())
      return Error{.code = ErrorCode::kBadData, .place = "importance matrix", .expected = "a calibration text", .found = "none",
                   .next_step = "add a text with the role calibration, or switch the importance matrix off"};
    RETORT_TRY(Backend* const on, backend());
    const auto tokens = model->tokenizer->encode(text, true);
    RETORT_TRY(ImportanceMatrix made, collect_importance(model, *on, tokens, document_.context, kCalibrationChunks, job));
    made.data_name = "calibration";
    std::error_code ignored;
    std::filesystem::create_directories(path.parent_path(), ignored);
    RETORT_CHECK(write_importance(path, made));
    // What a later run will read: the same numbers for both.
    RETORT_TRY(importance_, read_importance(path));
    return {};
  };
  const Result<void> made = make();
  if (!made && made.error().code != ErrorCode::kCanceled) importance_failed_ = made.error();
  return made;
}

Result<void> Runner::tensors_step(const RunStep& step, const JobContext& job, RunRow& outcome) {
  const CandidateRecord* candidate = document_.find(step.candidate);
  if (!candidate) return Error{.code = ErrorCode::kNotFound, .place = "candidate"};
  if (uses_importance(candidate->recipe) && importance_failed_) return *importance_failed_;
  RETORT_TRY(const auto source, study_->source_model());
  RETORT_TRY(const auto plan, study_->plan(step.candidate));
  if (!pool_) pool_ = std::make_unique<kernels::ThreadPool>(document_.threads);
  const auto store = study_->store();
  const Result<void> made =
      make_tensors(*source, *plan, importance_ ? &*importance_ : nullptr, *store, *pool_, job,
                   [&](std::size_t done, std::size_t total, std::size_t reused, const std::string& name) {
                     outcome.reused = static_cast<std::int64_t>(reused);
                     job.report({static_cast<double>(done), static_cast<double>(total), "tensors", name});
                   });
  study_->look_at_tensors(step.candidate);
  if (made && outcome.reused > 0) outcome.message = fmt::format("{} of {} tensors from the store", outcome.reused, plan->tensors.size());
  return made;
}

// Perplexity of the original, keeping its states for those that are compared with it.
Result<Evaluation> Runner::measure_original(const DataRecord& data, const JobContext& job) {
  RETORT_TRY(Session* const session, original_session());
  RETORT_TRY(const auto set, study_->data_set(data.info.name));
  Reference record;
  RETORT_TRY(Evaluation evaluation, evaluate_text(*session, *original_model_, *set, evaluate_options(document_), nullptr, nullptr, &record, job));
  evaluation.activations = "f32";
  record.model = original_model_;
  RETORT_CHECK(keep_reference(data, record));
  references_[data.info.name] = std::move(record);
  return evaluation;
}

// What candidates are compared with, for this run and the next.
Result<void> Runner::keep_reference(const DataRecord& data, const Reference& reference) {
  const auto path = study_->artifact(study_->evaluation_key(document_, *document_.original(), data), ".reference");
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const Result<void> written = write_reference(path, reference);
  if (written) return {};
  Error error = written.error();
  if (error.code == ErrorCode::kDiskFull || error.code == ErrorCode::kWrite)
    error.next_step = fmt::format("make room for {:.1f} MB in {}, or name a folder on another disk in RETORT_STORE, then run the study again; what is done is kept",
                                  static_cast<double>(reference.hidden.size() * sizeof(float)) / 1e6, path.parent_path().string());
  return error;
}

Result<const Reference*> Runner::reference(const DataRecord& data, const JobContext& job) {
  RETORT_TRY([[maybe_unused]] Session* const session, original_session());
  auto found = references_.find(data.info.name);
  if (found == references_.end()) {
    auto kept = read_reference(study_->artifact(study_->evaluation_key(document_, *document_.original(), data), ".reference"));
    if (kept) {
      found = references_.emplace(data.info.name, *std::move(kept)).first;
    } else {
      // The file went with the cache: the states are made again, the figures stay.
      RETORT_TRY(const Evaluation again, measure_original(data, job));
      found = references_.find(data.info.name);
    }
  }
  found->second.model = original_model_;
  return &found->second;
}

Result<void> Runner::evaluation_step(const RunStep& step, const JobContext& job, RunRow& outcome, Measure measure) {
  RETORT_TRY(const CandidateRecord candidate, record(step));
  const DataRecord* data = find_data(document_, step.data);
  if (!data) return no_data(step.data);
  const Digest key = study_->evaluation_key(document_, candidate, *data);
  if (study_->evaluation(key)) {
    outcome.reused = 1;
    outcome.message = kMeasured;
    return {};
  }
  RETORT_TRY(const Evaluation evaluation, (this->*measure)(candidate, *data, job));
  return study_->keep(key, evaluation);
}

Result<Evaluation> Runner::measure_text(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job) {
  if (candidate.is_original) return measure_original(data, job);
  RETORT_TRY(const auto set, study_->data_set(data.info.name));
  RETORT_TRY(const Reference* const against, reference(data, job));
  RETORT_CHECK(prepare_session(candidate));
  RETORT_TRY(Evaluation evaluation, evaluate_text(*session_, *model_, *set, evaluate_options(document_), against, original_session_.get(), nullptr, job));
  evaluation.activations = "f32";
  return evaluation;
}

Result<Evaluation> Runner::measure_answers(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job) {
  RETORT_TRY(const auto set, study_->data_set(data.info.name));
  Session* session = nullptr;
  std::shared_ptr<const Model> model;
  if (candidate.is_original) {
    RETORT_TRY(session, original_session());
    model = original_model_;
  } else {
    RETORT_CHECK(prepare_session(candidate));
    session = session_.get();
    model = model_;
  }
  const auto evaluate = data.info.kind == DataKind::kChoice ? evaluate_choice : evaluate_exact;
  RETORT_TRY(Evaluation evaluation, evaluate(*session, *model, *set, evaluate_options(document_), job));
  evaluation.activations = "f32";
  return evaluation;
}

// The original's class logits are kept in the form of its states: an example a row.
Result<Evaluation> Runner::measure_original_classes(const DataRecord& data, const JobContext& job) {
  RETORT_TRY(Session* const session, original_session());
  RETORT_TRY(const auto set, study_->data_set(data.info.name));
  ClassReference made;
  RETORT_TRY(Evaluation evaluation, evaluate_classification(*session, *original_model_, *set, evaluate_options(document_), nullptr, &made, job));
  evaluation.activations = "f32";
  RETORT_CHECK(keep_reference(data, {.model = {}, .hidden = made.logits, .context = made.labels, .chunks = evaluation.n, .scored_per_chunk = 1, .text = made.data}));
  class_references_[data.info.name] = std::move(made);
  return evaluation;
}

Result<const ClassReference*> Runner::class_reference(const DataRecord& data, const JobContext& job) {
  auto found = class_references_.find(data.info.name);
  if (found != class_references_.end()) return &found->second;
  auto kept = read_reference(study_->artifact(study_->evaluation_key(document_, *document_.original(), data), ".reference"));
  if (kept) {
    ClassReference reference{.logits = std::move(kept->hidden), .labels = kept->context, .data = kept->text};
    return &class_references_.emplace(data.info.name, std::move(reference)).first->second;
  }
  // The file went with the cache: the answers are made again, the figures stay.
  RETORT_TRY(const Evaluation again, measure_original_classes(data, job));
  return &class_references_.find(data.info.name)->second;
}

Result<Evaluation> Runner::measure_classes(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job) {
  if (candidate.is_original) return measure_original_classes(data, job);
  RETORT_TRY(const auto set, study_->data_set(data.info.name));
  RETORT_TRY(const ClassReference* const against, class_reference(data, job));
  RETORT_CHECK(prepare_session(candidate));
  RETORT_TRY(Evaluation evaluation, evaluate_classification(*session_, *model_, *set, evaluate_options(document_), against, nullptr, job));
  evaluation.activations = "f32";
  return evaluation;
}

Result<void> Runner::speed_step(const RunStep& step, const JobContext& job, RunRow& outcome) {
  RETORT_TRY(const CandidateRecord candidate, record(step));
  const Digest key = study_->bench_key(document_, candidate, step.device);
  if (study_->bench(key)) {
    outcome.reused = 1;
    outcome.message = kMeasured;
    return {};
  }
  release_sessions();   // the child has the memory to itself, too
  RETORT_TRY(const auto manifest, study_->write_manifest_of(document_, candidate));
  RETORT_TRY(const BenchResult result, run_bench_child(worker_program(), manifest, bench_options(document_, candidate.recipe, step.device), job));
  return study_->keep(key, result);
}

}  // namespace retort
