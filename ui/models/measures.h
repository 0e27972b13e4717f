// Measures: everything that candidates can be compared by, in one table: axes, columns and goals are made from it.
#pragma once

#include <QString>
#include <functional>
#include <optional>
#include <vector>

#include "core/study/snapshot.h"

namespace retort::ui {

struct Measure {
  QString id;             // "kld"
  QString title;          // "KL divergence"
  QString unit;           // "nats"; shown value = value · scale
  QString hover;          // what it is and how it was made
  double scale = 1;
  bool lowerIsBetter = true;
  bool logarithmic = false;    // the usual axis
  bool isQuality = false;      // against size and speed
  std::function<std::optional<Figure>(const CandidateInfo&)> figure;   // interval low == high when there is none

  QString axisTitle() const { return unit.isEmpty() ? title : title + QStringLiteral(", ") + unit; }
};

const std::vector<Measure>& measures();
const Measure& measure(QStringView id);

// "0.0341 ± 0.0012", in shown units; an en dash when there is none.
QString measureText(const Measure& measure, const CandidateInfo& candidate);

// Rows are answers, right or wrong; else they are chunks of text.
bool hasAnswers(const Evaluation& evaluation);
// Whether any candidate has this figure: what a study's kind of model doesn't give is shown nowhere.
bool isMeasured(const StudySnapshot& study, const Measure& measure);

// The candidate's right/wrong rows over all labelled sets, in a fixed order, for paired tests.
std::vector<double> labelledRows(const CandidateInfo& candidate);

}  // namespace retort::ui
