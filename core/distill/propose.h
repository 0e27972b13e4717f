// Students for a target: which of the teacher's layers, widths and pieces, and which packing, meet a size, a memory or a latency
// on this machine's processor, before anything is trained.
#pragma once

#include <vector>

#include "core/distill/predict.h"

namespace retort::distill {

// At most so much of each; 0: any.
struct StudentTarget {
  std::uint64_t bytes = 0;       // of everything that is written
  std::uint64_t memory = 0;      // of inference at 512 positions
  double latency_seconds = 0;    // of one text of a classifier, of one token of a language model
  bool empty() const noexcept { return bytes == 0 && memory == 0 && latency_seconds == 0; }
  bool met_by(const StudentPrediction& prediction) const noexcept;
};

struct StudentProposal {
  StudentDesign student;
  std::vector<TrainStage> stages;
  std::string type;              // of a dense student's file
  StudentPrediction prediction;
  std::int64_t layer_parameters = 0;   // parameters of what is kept of the teacher's layers
  DistillRecipe taken_into(DistillRecipe recipe) const;
  std::string text() const;            // "3 layers, 3/4 of the feed-forward, 8000 pieces, INT8"
};

// Tries packings (none, 8 bits, 4 bits), whole and trimmed vocabularies where they can be, feed-forward parts of full, three quarters and half
// width, and for each the most layers that meet the target. Of these only what no other exceeds in both layer parameters and
// bits is proposed, the most layer parameters first; at most `most`. Empty when even one layer misses the target.
// `recipe`: everything but student, stages and type is taken from it. Errors: those of predict_student for the teacher itself.
Result<std::vector<StudentProposal>> propose_students(const Model& teacher, const DistillRecipe& recipe, const StudentTarget& target, int threads, std::size_t most = 6);

}  // namespace retort::distill
