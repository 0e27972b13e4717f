// The steps of a run that train: one stage of a student each, with its loss curve while it goes.
#include <fmt/format.h>

#include "core/study/runner.h"

namespace retort {
namespace {

constexpr auto kShowEvery = std::chrono::milliseconds(250);   // copying a long curve for every step would cost more than it shows

}  // namespace

void Runner::show_curve(std::shared_ptr<const std::vector<distill::CurvePoint>> curve) {
  study_->change_row(row_, [&](RunRow& row) { row.curve = curve; });
}

Result<void> Runner::train_step(const RunStep& step, const JobContext& job, RunRow& outcome) {
  RETORT_TRY(const CandidateRecord candidate, record(step));
  const Digest digest = candidate_digest(document_, candidate);
  const bool last = step.stage == student_stages(document_.find(step.candidate)->recipe).size();
  if (const auto made = study_->student(digest)) {
    outcome.reused = 1;
    outcome.message = "made before";
    show_curve(made->points);
    return {};
  }
  release_sessions();   // training needs the memory
  RETORT_TRY(const distill::DistillRecipe recipe, study_->resolved_student(document_, candidate));
  const auto output = study_->student_output(digest, recipe);
  const auto shared = study_->training_folder(document_, candidate);
  std::error_code ignored;
  std::filesystem::create_directories(shared, ignored);

  std::vector<distill::CurvePoint> points;
  auto shown = std::chrono::steady_clock::now();
  distill::DistillOptions options;
  options.shared = shared;
  options.measure_speed = false;   // the study measures what was written, with the machine to itself
  options.on_point = [&](const distill::CurvePoint& point) {
    points.push_back(point);
    const auto now = std::chrono::steady_clock::now();
    if (!point.validation && points.size() > 1 && now - shown < kShowEvery) return;
    shown = now;
    show_curve(std::make_shared<const std::vector<distill::CurvePoint>>(points));
    notify(false);
  };
  // Only steps are counted; what comes before and between them (reading, asking the teacher, validating) is named.
  const JobContext steps = job.with_progress([&](const Progress& now) {
    job.report(now.unit == "steps" ? now : Progress{.unit = now.unit, .step = now.step});
  });
  RETORT_TRY(const distill::DistillReport report, distill::distill(recipe, output, document_.threads, steps, options));
  StudentResult result = result_of(report);
  // What was written must open before anybody relies on it.
  RETORT_TRY(const Model made, open_student(result.output));
  result.parameters = made.parameters();
  RETORT_CHECK(study_->keep(digest, result));
  if (const auto kept = study_->student(digest)) show_curve(kept->points);
  if (last) study_->plan_again(step.candidate);
  if (result.accuracy)
    outcome.message = fmt::format("{:.2f} % of its {} validation texts right", 100 * *result.accuracy, result.validated);
  else if (result.loss)
    outcome.message = fmt::format("validation loss {:.4f}", *result.loss);
  return {};
}

}  // namespace retort
