#include "core/study/runner.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "core/base/error_text.h"
#include "core/study/file_lock.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kNotifyEvery = std::chrono::milliseconds(100);

// One job of ours at a time may need the machine alone; the others share it. Beside the user's other caches, so that
// it holds between programs.
Result<FileLock> machine(bool alone, const JobContext& job) {
  const auto folder = user_cache_folder();
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  return FileLock::take(folder / "machine.lock", !alone, job);
}

// Steps that a candidate's model comes from.
bool makes(StepKind kind) noexcept { return kind == StepKind::kTensors || kind == StepKind::kTrain; }

StepKind step_of(DataKind kind) {
  if (kind == DataKind::kText) return StepKind::kText;
  return kind == DataKind::kLabelled ? StepKind::kClasses : StepKind::kAnswers;
}

// Text first: it gives the first point of the chart.
void plan_measures(const StudyDocument& document, const RunStep& of, std::vector<RunStep>& steps) {
  RunStep step = of;
  for (const bool text : {true, false})
    for (const DataRecord& data : document.data) {
      step.kind = step_of(data.info.kind);
      step.data = data.info.name;
      if (measures(document, data) && (step.kind == StepKind::kText) == text) steps.push_back(step);
    }
  step.kind = StepKind::kSpeed;
  step.data.clear();
  steps.push_back(step);
  // Of a student that isn't finished the processor's figures do.
  if (document.device.empty() || step.stage > 0) return;
  step.device = document.device;
  steps.push_back(step);
}

void plan_student(const StudyDocument& document, const CandidateRecord& candidate, std::vector<RunStep>& steps) {
  const std::vector<std::string> stages = student_stages(candidate.recipe);
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const RunStep step{.kind = StepKind::kTrain, .candidate = candidate.id, .stage = i + 1, .stage_name = stages[i]};
    steps.push_back(step);
    if (i + 1 < stages.size()) plan_measures(document, step, steps);
  }
}

}  // namespace

std::vector<RunStep> plan_steps(const StudyDocument& document) {
  std::vector<RunStep> steps;
  bool importance_planned = false;
  for (const CandidateRecord& candidate : document.candidates) {
    if (!candidate.chosen && !candidate.is_original) continue;
    if (uses_importance(candidate.recipe) && !importance_planned) {
      steps.push_back({.kind = StepKind::kImportance});
      importance_planned = true;
    }
    if (has_tensors(candidate.recipe)) steps.push_back({.kind = StepKind::kTensors, .candidate = candidate.id});
    if (is_student(candidate.recipe)) plan_student(document, candidate, steps);
    plan_measures(document, {.kind = StepKind::kSpeed, .candidate = candidate.id}, steps);
  }
  return steps;
}

std::string step_name(const RunStep& step) {
  const std::string after = step.stage > 0 ? " after " + step.stage_name : "";
  switch (step.kind) {
    case StepKind::kImportance: return "importance matrix";
    case StepKind::kTensors: return "quantize";
    case StepKind::kTrain: return step.stage_name.substr(0, step.stage_name.find(' '));   // its kind, without the level
    case StepKind::kText: return "text: " + step.data + after;
    case StepKind::kAnswers: return "prompts: " + step.data + after;
    case StepKind::kClasses: return "classes: " + step.data + after;
    case StepKind::kSpeed: return "speed and memory" + (step.device.empty() ? "" : " on " + step.device) + after;
  }
  return {};
}

Runner::Runner(std::shared_ptr<StudyImpl> study, const JobContext& job, const std::function<void()>& changed)
    : study_(std::move(study)), job_(job), changed_(changed), document_(study_->document()), steps_(plan_steps(document_)) {}

Result<void> Runner::run() {
  if (!study_->begin_run(job_))
    return Error{.code = ErrorCode::kConflict, .place = "run", .found = "this study is running already"};
  struct End {
    StudyImpl& study;
    ~End() { study.end_run(); }
  } const end{*study_};
  std::vector<RunRow> rows;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const CandidateRecord* candidate = document_.find(steps_[i].candidate);
    rows.push_back({.id = static_cast<std::int64_t>(i) + 1, .candidate = steps_[i].candidate,
                    .candidate_name = candidate ? candidate->name : "", .step = step_name(steps_[i]), .unit = {},
                    .working_on = {}, .message = {}});
  }
  study_->set_rows(std::move(rows));
  notify(true);
  RETORT_TRY(const auto source, study_->source_model());
  RETORT_CHECK(study_->pin_tensors());
  for (const CandidateRecord& candidate : document_.candidates)
    if (!candidate.failure.empty()) RETORT_CHECK(study_->set_failure(candidate.id, ""));

  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (i > 0 && steps_[i].candidate != steps_[i - 1].candidate) follow_edits(i);
    if (i == steps_.size()) break;   // all that waited was left out
    const Result<void> done = run_step(i);
    if (!done) {   // stopped: whatever waits will not run now
      for (std::size_t j = i; j < steps_.size(); ++j)
        study_->change_row(j, [](RunRow& row) { row.state = JobState::kStopped; });
      notify(true);
      return done;
    }
    const std::int64_t candidate = steps_[i].candidate;
    const bool last = i + 1 == steps_.size() || steps_[i + 1].candidate != candidate;
    if (last && candidate != 0) study_->set_state(candidate, std::nullopt);
    job_.report({static_cast<double>(i) + 1, static_cast<double>(steps_.size()), "steps", step_name(steps_[i])});
    notify(true);
  }
  return {};
}

void Runner::follow_edits(std::size_t from) {
  const StudyDocument now = study_->document();
  constexpr std::size_t kLeftOut = static_cast<std::size_t>(-1);
  const auto place = [&](const RunStep& step) -> std::size_t {
    if (step.candidate == 0) return 0;   // the importance matrix comes before all that may need it
    for (std::size_t i = 0; i < now.candidates.size(); ++i)
      if (now.candidates[i].id == step.candidate) return now.candidates[i].chosen || now.candidates[i].is_original ? i + 1 : kLeftOut;
    return kLeftOut;
  };
  std::vector<std::size_t> order(steps_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin() + static_cast<std::ptrdiff_t>(from), order.end(), [&](std::size_t a, std::size_t b) { return place(steps_[a]) < place(steps_[b]); });
  std::vector<RunStep> steps;
  for (const std::size_t i : order) steps.push_back(steps_[i]);
  study_->order_rows(order);
  const auto left_out = std::find_if(steps.begin() + static_cast<std::ptrdiff_t>(from), steps.end(), [&](const RunStep& step) { return place(step) == kLeftOut; });
  for (auto step = left_out; step != steps.end(); ++step)
    study_->change_row(static_cast<std::size_t>(step - steps.begin()), [](RunRow& row) {
      row.state = JobState::kStopped;
      row.message = "left out";
    });
  steps.erase(left_out, steps.end());
  steps_ = std::move(steps);
}

bool Runner::blocked(const RunStep& step) const {
  const auto found = without_tensors_.find(step.candidate);
  return found != without_tensors_.end() && found->second;
}

// kCanceled only; every other failure is the candidate's own.
Result<void> Runner::run_step(std::size_t index) {
  const RunStep& step = steps_[index];
  RunRow outcome;
  row_ = index;
  if (blocked(step)) {
    outcome.message = "not run: it could not be made";
    settle(index, JobState::kFailed, outcome);
    return {};
  }
  RETORT_CHECK(job_.check(step_name(step)));
  if (step.candidate != 0)
    study_->set_state(step.candidate, makes(step.kind) ? CandidateState::kQuantizing : CandidateState::kMeasuring);
  step_start_ = Clock::now();
  first_done_.reset();
  study_->change_row(index, [](RunRow& row) { row.state = JobState::kRunning; });
  notify(true);
  const JobContext job = job_.with_progress([this, index](const Progress& now) { progress(index, now); });
  Result<void> done;
  try {
    done = perform(step, job, outcome);
  } catch (const std::bad_alloc&) {
    release_sessions();
    done = Error{.code = ErrorCode::kOutOfMemory, .place = step_name(step)};
  } catch (const std::exception& exception) {
    done = Error{.code = ErrorCode::kInternal, .place = step_name(step), .found = exception.what()};
  }
  if (done) {
    settle(index, JobState::kDone, outcome);
    return {};
  }
  if (done.error().code == ErrorCode::kCanceled) return done;
  outcome.message = error_text(done.error());
  settle(index, JobState::kFailed, outcome);
  if (makes(step.kind)) without_tensors_[step.candidate] = true;
  // What a device can't do, or doesn't hold, is no fault of the candidate: the row says it.
  if (step.candidate != 0 && step.device.empty()) fail_candidate(step.candidate, done.error());
  return {};
}

Result<void> Runner::perform(const RunStep& step, const JobContext& job, RunRow& outcome) {
  RETORT_TRY(const auto lock, machine(step.kind == StepKind::kSpeed, job));
  switch (step.kind) {
    case StepKind::kImportance: return importance_step(job, outcome);
    case StepKind::kTensors: return tensors_step(step, job, outcome);
    case StepKind::kTrain: return train_step(step, job, outcome);
    case StepKind::kText: return evaluation_step(step, job, outcome, &Runner::measure_text);
    case StepKind::kAnswers: return evaluation_step(step, job, outcome, &Runner::measure_answers);
    case StepKind::kClasses: return evaluation_step(step, job, outcome, &Runner::measure_classes);
    case StepKind::kSpeed: return speed_step(step, job, outcome);
  }
  return {};
}

void Runner::fail_candidate(std::int64_t candidate, const Error& error) {
  std::string& failure = failures_[candidate];
  if (!failure.empty()) return;   // the first says why
  failure = error_text(error);
  // If even this cannot be written, the row still says it.
  (void)study_->set_failure(candidate, failure);
}

void Runner::settle(std::size_t index, JobState state, const RunRow& outcome) {
  study_->change_row(index, [&](RunRow& row) {
    row.state = state;
    row.reused = outcome.reused;
    row.message = outcome.message;
    row.working_on.clear();
    row.seconds_left = -1;
    if (state == JobState::kDone && row.total > 0) row.done = row.total;
    if (state == JobState::kDone && row.total <= 0) row.done = row.total = 1;
  });
}

void Runner::progress(std::size_t index, const Progress& now) {
  if (!first_done_ && now.total > 0) first_done_ = steps_[index].kind == StepKind::kTrain ? std::max(0.0, now.done - 1) : 0;
  const double seconds = std::chrono::duration<double>(Clock::now() - step_start_).count();
  study_->change_row(index, [&](RunRow& row) {
    row.done = std::max(row.done, now.done);
    row.total = now.total;
    row.unit = now.unit;
    row.working_on = now.step;
    row.rate = seconds > 0 ? (row.done - first_done_.value_or(0)) / seconds : 0;
    row.seconds_left = row.rate > 0 && now.total > 0 ? (now.total - row.done) / row.rate : -1;
  });
  const double part = now.total > 0 ? std::min(1.0, now.done / now.total) : 0;
  const CandidateRecord* candidate = document_.find(steps_[index].candidate);
  job_.report({static_cast<double>(index) + part, static_cast<double>(steps_.size()), "steps",
               (candidate ? candidate->name + ": " : "") + step_name(steps_[index])});
  notify(false);
}

void Runner::notify(bool now) {
  {
    const std::lock_guard lock(notify_mutex_);
    const auto time = Clock::now();
    if (!now && time - last_notify_ < kNotifyEvery) return;
    last_notify_ = time;
  }
  if (changed_) changed_();
}

Result<void> run_study(std::shared_ptr<Study> study, const JobContext& job, const std::function<void()>& changed) {
  auto own = std::dynamic_pointer_cast<StudyImpl>(study);
  if (!own) return Error{.code = ErrorCode::kInternal, .place = "run_study", .found = "a study of another kind"};
  Runner runner(std::move(own), job, changed);
  const Result<void> done = runner.run();
  if (changed) changed();
  return done;
}

}  // namespace retort
