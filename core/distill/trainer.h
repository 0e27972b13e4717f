// Trainer: takes steps until the recipe's end, an early stop, the user's stop or an error; validates, saves, goes on where
// it stopped. The same seed gives the same student on the same machine, whether or not it was interrupted.
#pragma once

#include <functional>
#include <optional>

#include "core/distill/objective.h"
#include "core/distill/packed_weights.h"
#include "core/distill/train_state.h"

namespace retort::distill {

// One line of the loss curve.
struct CurvePoint {
  std::int64_t step = 0;
  double seconds = 0;
  std::int64_t tokens = 0;
  double rate = 0, norm = 0;
  BatchLoss loss;                // of the step, or of the whole validation set
  bool validation = false;
};
std::string curve_line(const CurvePoint& point);   // JSON

struct TrainOutcome {
  std::int64_t steps = 0, tokens = 0, best_step = -1;
  double seconds = 0;                               // of training and validating
  double tokens_per_second = 0;                     // of training alone
  bool stopped_early = false, resumed = false;
  std::optional<BatchLoss> before, after;           // validation of the start and of what is kept
};

// The means over `examples`, in batches of `batch`. Errors: those of Objective::run.
Result<BatchLoss> validate(Objective& objective, std::span<const TrainingExample> examples, std::int64_t batch, const JobContext& job);

struct TrainerFiles {
  std::filesystem::path folder;                     // state.safetensors, best.safetensors
  std::filesystem::path curve;                      // JSONL
};

class Trainer {
 public:
  Trainer(const TrainingPlan& plan, const TrainingData& data, Objective& objective, Parameters& parameters,
          kernels::ThreadPool& pool, TrainerFiles files, const Digest& key)
      : plan_(plan), data_(data), objective_(objective), parameters_(parameters), pool_(pool), files_(std::move(files)), key_(key) {}

  // Weights that are packed between steps; null: none are.
  void use_packed(PackedWeights* packed) noexcept { packed_ = packed; }
  // Called for every line of the curve. Must not block.
  void on_point(std::function<void(const CurvePoint&)> callback) { callback_ = std::move(callback); }

  // Leaves the best parameters in place. Errors: kNonFinite (a loss or gradient that is no number), kCheckFailed (the loss
  // rises away), kDiskFull and kWrite at a checkpoint, kCanceled: the last saved state is kept, and a run with the same
  // recipe goes on from it.
  Result<TrainOutcome> run(const JobContext& job);
  std::int64_t total_steps() const noexcept;

 private:
  Result<void> begin(const JobContext& job);
  Result<CurvePoint> take_step(const JobContext& job);
  Result<void> after_step(const CurvePoint& point, const JobContext& job);
  Result<BatchLoss> validate(const JobContext& job) { return distill::validate(objective_, data_.validation, 2 * plan_.batch, job); }
  Result<void> repack(const JobContext& job);
  Result<void> judge(const BatchLoss& loss, const JobContext& job);
  Result<void> save(const JobContext& job);
  Result<void> check_divergence(double loss);
  Result<void> write_point(const CurvePoint& point);
  const TrainingExample* example_at(std::int64_t number);
  std::int64_t validate_every() const noexcept;
  void report(const CurvePoint& point, const JobContext& job) const;

  TrainingPlan plan_;
  const TrainingData& data_;
  Objective& objective_;
  Parameters& parameters_;
  kernels::ThreadPool& pool_;
  TrainerFiles files_;
  Digest key_;
  std::function<void(const CurvePoint&)> callback_;
  PackedWeights* packed_ = nullptr;
  std::optional<Optimizer> optimizer_;
  Schedule schedule_;
  TrainState state_;
  TrainOutcome outcome_;
  std::vector<std::size_t> order_;
  std::int64_t order_epoch_ = -1, tokens_here_ = 0;
  double training_here_ = 0;
};

}  // namespace retort::distill
