// One run of a study: its steps in order, each with a row that the window shows. Used by run_study() only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/model/backend.h"
#include "core/study/study_impl.h"
#include "kernels/api/thread_pool.h"

namespace retort {

enum class StepKind : std::uint8_t { kImportance, kTensors, kTrain, kText, kAnswers, kClasses, kSpeed };

struct RunStep {
  StepKind kind;
  std::int64_t candidate = 0;   // 0: of the whole study
  std::string device{};         // kSpeed: where; empty: on the processor
  std::string data{};           // kText, kAnswers, kClasses: name of the set
  std::size_t stage = 0;        // of a student: it as its first so many stages leave it; 0: of the whole candidate
  std::string stage_name{};     // "distill", "quantize INT8"
};

// The steps of a run: the original first, then each chosen candidate; the importance matrix before the first that
// needs it. Of a student each stage is made and measured, then the next.
std::vector<RunStep> plan_steps(const StudyDocument& document);
std::string step_name(const RunStep& step);

class Runner {
 public:
  Runner(std::shared_ptr<StudyImpl> study, const JobContext& job, const std::function<void()>& changed);
  // Errors: kCanceled, and what no candidate can go on without (the source is gone).
  Result<void> run();

 private:
  // Puts the steps that wait into the study's order of now, and leaves out those whose candidate was unchecked or
  // removed since; candidates that came later wait for the next run.
  void follow_edits(std::size_t from);
  Result<void> run_step(std::size_t index);
  Result<void> perform(const RunStep& step, const JobContext& job, RunRow& outcome);
  Result<void> importance_step(const JobContext& job, RunRow& outcome);
  Result<void> tensors_step(const RunStep& step, const JobContext& job, RunRow& outcome);
  Result<void> train_step(const RunStep& step, const JobContext& job, RunRow& outcome);
  // Of a step's candidate on its data: kept, unless the study has it already.
  using Measure = Result<Evaluation> (Runner::*)(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job);
  Result<void> evaluation_step(const RunStep& step, const JobContext& job, RunRow& outcome, Measure measure);
  Result<Evaluation> measure_text(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job);
  Result<Evaluation> measure_answers(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job);
  Result<Evaluation> measure_classes(const CandidateRecord& candidate, const DataRecord& data, const JobContext& job);
  Result<void> speed_step(const RunStep& step, const JobContext& job, RunRow& outcome);

  // The candidate that a step is about. Errors: kNotFound.
  Result<CandidateRecord> record(const RunStep& step) const;
  Result<void> prepare_session(const CandidateRecord& candidate);
  Result<Session*> original_session();
  Result<const Reference*> reference(const DataRecord& data, const JobContext& job);
  Result<Evaluation> measure_original(const DataRecord& data, const JobContext& job);
  Result<const ClassReference*> class_reference(const DataRecord& data, const JobContext& job);
  Result<Evaluation> measure_original_classes(const DataRecord& data, const JobContext& job);
  Result<void> keep_reference(const DataRecord& data, const Reference& reference);
  void show_curve(std::shared_ptr<const std::vector<distill::CurvePoint>> curve);
  void release_sessions();
  Result<Backend*> backend();
  RunOptions run_options() const;

  void fail_candidate(std::int64_t candidate, const Error& error);
  bool blocked(const RunStep& step) const;
  void progress(std::size_t index, const Progress& progress);
  void notify(bool now);
  void settle(std::size_t index, JobState state, const RunRow& outcome);

  std::shared_ptr<StudyImpl> study_;
  JobContext job_;
  std::function<void()> changed_;
  StudyDocument document_;            // as it was at the start: of edits, only order and choice reach a run that is on
  std::vector<RunStep> steps_;
  std::map<std::int64_t, std::string> failures_;
  std::map<std::int64_t, bool> without_tensors_;

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<kernels::ThreadPool> pool_;
  std::optional<ImportanceMatrix> importance_;
  std::optional<Error> importance_failed_;
  std::map<std::string, Reference> references_;   // by data set
  std::map<std::string, ClassReference> class_references_;
  std::shared_ptr<const Model> model_, original_model_;
  std::unique_ptr<Session> session_, original_session_;
  std::optional<Digest> session_candidate_;   // by candidate_digest
  std::size_t row_ = 0;                       // the step at work

  std::mutex notify_mutex_;
  std::chrono::steady_clock::time_point last_notify_{};
  std::chrono::steady_clock::time_point step_start_{};
  std::optional<double> first_done_;          // of a training that goes on: what an earlier run did counts for no rate
};

// The original's final states on one text, kept beside the tensors so that a resumed run need not make them again.
Result<void> write_reference(const std::filesystem::path& path, const Reference& reference);
Result<Reference> read_reference(const std::filesystem::path& path);

}  // namespace retort
