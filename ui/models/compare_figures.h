// What the Compare page says beyond the measurements themselves: which differences are real (paired tests), what each
// step down in size costs, and where candidates lose. Computed in a worker: resampling takes longer than a frame.
#pragma once

#include <QString>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/evaluate/statistics.h"
#include "core/study/snapshot.h"

namespace retort::ui {

struct SliceCell {
  Figure figure;                     // accuracy (Wilson) or mean KL divergence (bootstrap over chunks)
  std::optional<Comparison> paired;  // against the original; absent for the original and for divergences
};

// A part of the data: a set, a group of prompts, the third of the text that the original finds hardest.
struct Slice {
  enum class Cut { Set, Group, Difficulty };
  Cut cut = Cut::Set;
  QString name;                      // set and place: "prompts (choice): code"
  QString set, place;
  bool isText = false;               // cells are divergences in nats, else shares of right answers
  std::int64_t n = 0;                // prompts or chunks
  double difficulty = 0;             // text by difficulty: the original's mean loss there, nats per token
  std::map<std::int64_t, SliceCell> cells;   // by candidate
};

// One step of the staircase: the next smaller candidate.
struct StairStep {
  std::int64_t id = 0;
  std::optional<Comparison> loss;    // of this against the one before, over the same chunks
};

struct CompareFigures {
  std::int64_t reference = 0;        // the candidate that the table's marks compare with
  std::map<std::pair<std::int64_t, QString>, Comparison> against;   // candidate × "kld", "perplexity", "accuracy"
  std::vector<StairStep> stairs;     // by decreasing size, measured ones only
  std::vector<Slice> slices;
};

// Thread-safe. `stopped` ends it early with what there is.
CompareFigures compareFigures(const StudySnapshot& study, std::int64_t reference, const std::function<bool()>& stopped);

}  // namespace retort::ui
