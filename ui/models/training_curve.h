// TrainingCurve: the loss curve of a run as the window draws it: what a resumed run did twice is there once, and what the
// curve says in words (best, early stop, resumed) is worked out from the points alone.
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "core/study/snapshot.h"

namespace retort::ui {

struct TrainingSample {
  std::int64_t step = 0;
  double seconds = 0, loss = 0, divergence = 0, rate = 0;   // nats, nats, learning rate
  std::optional<double> accuracy;                           // of the labelled examples, 0 … 1
  bool validation = false;
};

struct TrainingCurve {
  std::vector<TrainingSample> samples;         // by step
  std::vector<std::int64_t> resumed;           // steps at which a run went on
  std::int64_t total = 0;                      // steps planned; 0: not known
  bool hasDivergence = false, hasAccuracy = false;

  const TrainingSample* last(bool validation) const;
  const TrainingSample* best() const;          // of the validations; null without any
};

TrainingCurve trainingCurve(const RunRow& row);
// "step 240 of 2,000 · best at step 200 · resumed at step 120"; says so when the run stopped early.
QString curveSentence(const TrainingCurve& curve, const RunRow& row);

}  // namespace retort::ui
