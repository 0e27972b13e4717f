#include "ui/models/training_curve.h"

#include <algorithm>

#include "core/distill/trainer.h"
#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

TrainingSample sampleOf(const distill::CurvePoint& point) {
  TrainingSample sample{.step = point.step, .seconds = point.seconds, .loss = point.loss.loss, .divergence = point.loss.divergence, .rate = point.rate, .accuracy = {}, .validation = point.validation};
  if (point.loss.labelled > 0) sample.accuracy = static_cast<double>(point.loss.right) / static_cast<double>(point.loss.labelled);
  return sample;
}

}  // namespace

const TrainingSample* TrainingCurve::last(bool validation) const {
  const auto found = std::find_if(samples.rbegin(), samples.rend(), [&](const TrainingSample& s) { return s.validation == validation; });
  return found == samples.rend() ? nullptr : &*found;
}

const TrainingSample* TrainingCurve::best() const {
  const TrainingSample* found = nullptr;
  for (const TrainingSample& sample : samples)
    if (sample.validation && (!found || sample.loss < found->loss)) found = &sample;
  return found;
}

TrainingCurve trainingCurve(const RunRow& row) {
  TrainingCurve curve;
  curve.total = static_cast<std::int64_t>(row.total);
  if (!row.curve) return curve;
  curve.samples.reserve(row.curve->size());
  for (const distill::CurvePoint& point : *row.curve) {
    if (curve.samples.empty() && point.step > 1) curve.resumed.push_back(point.step);
    if (!curve.samples.empty() && point.step < curve.samples.back().step) {
      // Steps after the last saved state were made again.
      std::erase_if(curve.samples, [&](const TrainingSample& s) { return s.step >= point.step; });
      curve.resumed.push_back(point.step);
    }
    curve.samples.push_back(sampleOf(point));
    curve.hasDivergence = curve.hasDivergence || point.loss.divergence != 0;
    curve.hasAccuracy = curve.hasAccuracy || point.loss.labelled > 0;
  }
  return curve;
}

QString curveSentence(const TrainingCurve& curve, const RunRow& row) {
  if (curve.samples.empty()) return tr("The curve begins with the first step.");
  const std::int64_t step = curve.samples.back().step;
  QStringList parts;
  parts << (curve.total > 0 ? tr("step %1 of %2").arg(integer(step), integer(curve.total)) : tr("step %1").arg(integer(step)));
  const TrainingSample* best = curve.best();
  if (best) {
    const QString figure = best->accuracy ? percent(*best->accuracy, 2) : tr("loss %1").arg(significant(best->loss, 3));
    parts << tr("best at step %1: %2").arg(integer(best->step), figure);
  }
  if (row.state == JobState::kDone && curve.total > 0 && step < curve.total) parts << tr("stopped early: no better validation since");
  if (!curve.resumed.empty()) parts << tr("resumed at step %1").arg(integer(curve.resumed.back()));
  return parts.join(QStringLiteral(" · "));
}

}  // namespace retort::ui
