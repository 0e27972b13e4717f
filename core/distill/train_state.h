// TrainState: where a run stands, in one file that is written beside, synced and renamed: after kill -9 the last one is
// whole. With it a run goes on as if it had never stopped.
#pragma once

#include <filesystem>

#include "core/base/digest.h"
#include "core/base/job.h"
#include "core/distill/parameters.h"

namespace retort::distill {

struct TrainState {
  std::int64_t step = 0, tokens = 0;       // done
  std::int64_t best_step = -1, worse = 0;  // the best validation so far; validations since without improvement
  double best_score = 0;                   // lower is better
  double smooth_loss = 0, lowest_loss = 0; // for noticing divergence
  double seconds = 0;                      // of training, all sittings together
};

// `key` is the digest of recipe, data and student: a state of another run is refused.
Result<void> save_state(const std::filesystem::path& path, const TrainState& state, const Digest& key, Parameters& parameters,
                        Optimizer& optimizer, const JobContext& job);
// Errors: kNotFound, kConflict (of another run), kCorrupt.
Result<TrainState> load_state(const std::filesystem::path& path, const Digest& key, Parameters& parameters, Optimizer& optimizer);

// The trained values alone.
Result<void> save_values(const std::filesystem::path& path, Parameters& parameters, const JobContext& job);
Result<void> load_values(const std::filesystem::path& path, Parameters& parameters);

}  // namespace retort::distill
