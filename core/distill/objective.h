// Objective: what one batch of a run costs, and the gradients of that: logits against labels and teacher, and features of
// mapped layers. Knows whether the model answers for tokens (a decoder) or for sequences (a classifier).
#pragma once

#include <memory>
#include <optional>

#include "core/distill/distill_recipe.h"
#include "core/distill/lm_head.h"
#include "core/distill/teacher_cache.h"
#include "core/distill/train_session.h"
#include "core/distill/training_data.h"

namespace retort::distill {

// The sums of a batch; divide by `count`.
struct BatchLoss {
  double loss = 0;            // what is trained, features included, as a mean
  double cross_entropy = 0, divergence = 0, features = 0;   // means of the parts
  double count = 0;           // rows that counted
  std::int64_t right = 0, labelled = 0;   // classifiers: answers like the label
  // Of the labelled ones that the teacher was asked about: its answers like the label, the student's like the teacher's,
  // and the student's mistakes that are the teacher's too.
  std::int64_t asked = 0, teacher_right = 0, agreed = 0, repeated = 0;
  std::int64_t tokens = 0;
};

class Objective {
 public:
  // The models must outlive the objective; `teacher` may be null when the mix needs none.
  // Errors: kUnsupported (a model that answers neither for tokens nor for sequences; a feature that the models lack),
  // kConflict (different vocabularies or classes).
  static Result<std::unique_ptr<Objective>> make(const Model& student, Parameters& student_parameters, const Model* teacher,
                                                 Parameters* teacher_parameters, std::span<const std::int64_t> kept,
                                                 const LossMix& mix, bool recompute, kernels::ThreadPool& pool);

  bool classifies() const noexcept { return classifies_; }
  // Forward, loss and, with `train`, backward: gradients of the mean times `scale` are added. Errors: kNonFinite, kCanceled, kOutOfMemory.
  Result<BatchLoss> run(std::span<const TrainingExample* const> examples, bool train, double scale, const JobContext& job);
  // With a cache the teacher's logits are asked for once an example. Null: forget it.
  void use_cache(TeacherCache* cache) noexcept { cache_ = cache; }
  std::uint64_t work_bytes() const noexcept;

 private:
  // One feature of a pair of layers: the places of both sides' values among their sessions' outputs.
  enum class Kind : std::uint8_t { kHidden, kAttention, kValues, kExamples };
  struct Feature {
    Kind kind;
    std::size_t mine[2], theirs[2];
    std::int64_t my_heads = 1, their_heads = 1, my_kv_heads = 1, their_kv_heads = 1;
    bool causal = false;
    std::size_t projection = SIZE_MAX;   // parameter numbers: weight, then bias
  };

  Objective(const Model& student, Parameters& parameters, const LossMix& mix, kernels::ThreadPool& pool)
      : student_(student), parameters_(parameters), mix_(mix), pool_(pool), head_(student.graph.outputs(), pool) {}
  Result<void> plan_features(const Model& teacher, std::span<const std::int64_t> kept);
  Result<Feature> layer_feature(Kind kind, const Model& teacher, std::int32_t mine, std::int32_t theirs);
  Result<LogitLoss> token_loss(const Batch& batch, std::span<const TrainingExample* const> examples, bool train, double scale,
                               BatchLoss& out, const JobContext& job);
  Result<LogitLoss> class_loss(std::span<const TrainingExample* const> examples, bool train, double scale, BatchLoss& out);
  Result<void> ask_teacher(std::span<const TrainingExample* const> examples, const JobContext& job);
  Result<double> feature_loss(const Feature& feature, const Batch& batch, bool train, double scale);
  double relation_feature(const Feature& feature, const Batch& batch, double factor, bool train);

  const Model& student_;
  Parameters& parameters_;
  LossMix mix_;
  kernels::ThreadPool& pool_;
  LmHead head_;
  bool classifies_ = false;
  Parameter *head_weight_ = nullptr, *head_bias_ = nullptr;
  const Model* teacher_ = nullptr;
  const Parameter *teacher_weight_ = nullptr, *teacher_bias_ = nullptr;
  std::unique_ptr<TrainSession> session_, teacher_session_;
  std::vector<ValueId> my_outputs_, their_outputs_;
  std::vector<Feature> features_;
  TeacherCache* cache_ = nullptr;
};

}  // namespace retort::distill
