// The staircase of one candidate: its stages as treads, in the quality that all of them were measured by, with size, speed
// and memory of each, and where a stage compounds the damage of the one before.
#pragma once

#include "core/study/snapshot.h"
#include "ui/plots/stair_chart.h"

namespace retort::ui {

struct StageSteps {
  std::vector<StairTread> treads;     // ids: 0 the source, 1 the first stage …
  StairMeasure measure;
  QStringList facts;                  // names of what stands below the treads
  QStringList warnings;               // one sentence each
};

// Of a candidate without stages: no treads.
StageSteps stageSteps(const CandidateInfo& candidate);

}  // namespace retort::ui
