// Objective: what one batch of a run costs, and the gradients of that: logits against labels and teacher, and features of
// mapped layers. Knows whether the model answers for tokens (a decoder) or for sequences (a classifier).
#pragma once

#include <memory>
#include <optional>

#include "core/distill/distill_recipe.h"
#include "core/distill/lm_head.h"
#include "core/distill/on_policy.h"
#include "core/distill/teachers.h"
#include "core/distill/train_session.h"
#include "core/distill/training_data.h"

namespace retort::distill {

// What the answers to labelled examples say about student and teacher, of one class or of all.
struct AnswerCounts {
  std::int64_t labelled = 0, right = 0;   // answers like the label
  // Of the labelled ones that the teacher was asked about: its answers like the label, the student's like the teacher's,
  // and the student's mistakes that are the teacher's too.
  std::int64_t asked = 0, teacher_right = 0, agreed = 0, repeated = 0;
  void add(const AnswerCounts& other) noexcept;
};

// The sums of a batch; divide by `count`.
struct BatchLoss : AnswerCounts {
  double loss = 0;            // what is trained, features included, as a mean
  double cross_entropy = 0, divergence = 0, features = 0;   // means of the parts
  double count = 0;           // rows that counted
  double targets = 0;         // of the rows that counted: those with an answer of the teacher
  std::int64_t contradicted = 0;          // classifiers: examples whose label the teacher contradicts
  std::vector<AnswerCounts> classes{};    // classifiers: by label
  std::int64_t tokens = 0;
  std::int64_t sampled = 0;   // of them: made up by the student
  void add_counts(const BatchLoss& other);
};

class Objective {
 public:
  // The models must outlive the objective; without teachers the mix needs none, or the data has their answers. `rows`: where
  // a decoder's answers are kept; `training`: whether activations are made again, and what products are computed in. Errors: kUnsupported (a model that answers neither for tokens nor for sequences; a feature
  // that the models lack), kConflict (different vocabularies or classes).
  static Result<std::unique_ptr<Objective>> make(const Model& student, Parameters& student_parameters, std::span<const Teacher> teachers,
                                                 std::span<const std::int64_t> kept, const LossMix& mix, const TrainingPlan& training,
                                                 kernels::ThreadPool& pool, AnswerCache* rows = nullptr);

  bool classifies() const noexcept { return classifies_; }
  // Forward, loss and, with `train`, backward: gradients of the mean times `scale` are added. Errors: kNonFinite, kCanceled, kOutOfMemory.
  Result<BatchLoss> run(std::span<const TrainingExample* const> examples, bool train, double scale, const JobContext& job);
  // What a training pass does next depends on its number: with a policy, whether the student makes up the texts.
  void at(std::uint64_t pass) noexcept { pass_ = pass; }
  void use_policy(PolicySampler* policy) noexcept { policy_ = policy; }
  std::uint64_t work_bytes() const noexcept;

 private:
  // One feature of a pair of layers: the places of both sides' values among their sessions' outputs.
  enum class Kind : std::uint8_t { kHidden, kAttention, kValues, kExamples };
  struct Feature {
    Kind kind;
    std::size_t mine[2], theirs[2];
    std::int64_t my_heads = 1, their_heads = 1, my_kv_heads = 1, their_kv_heads = 1;
    bool causal = false;
    std::size_t projection = SIZE_MAX;   // number of the parameter that makes the student's width the teacher's; SIZE_MAX: none
  };

  Objective(const Model& student, Parameters& parameters, const LossMix& mix, kernels::MatmulPrecision compute, kernels::ThreadPool& pool)
      : student_(student), parameters_(parameters), mix_(mix), pool_(pool), head_(student.graph.outputs(), pool, compute) {}
  Result<void> plan_features(const Model& teacher, std::span<const std::int64_t> kept);
  Result<Feature> layer_feature(Kind kind, const Model& teacher, std::int32_t mine, std::int32_t theirs);
  Result<LogitLoss> token_loss(const Batch& batch, std::span<const TrainingExample* const> examples, bool train, double scale,
                               BatchLoss& out, const JobContext& job);
  Result<LogitLoss> class_loss(std::span<const TrainingExample* const> examples, bool train, double scale, BatchLoss& out);
  Result<void> plan_teachers(std::span<const Teacher> teachers, std::span<const std::int64_t> kept, AnswerCache* rows);
  void take_rows(std::span<const TrainingExample* const> examples, BatchLoss& out);
  Result<double> feature_loss(const Feature& feature, const Batch& batch, bool train, double scale);
  Result<std::size_t> projection(std::int32_t layer, std::int64_t in, std::int64_t out);
  double hidden_feature(const Feature& feature, double scale, std::span<float> gradient, bool train);
  double relation_feature(const Feature& feature, const Batch& batch, double factor, bool train);

  const Model& student_;
  Parameters& parameters_;
  LossMix mix_;
  kernels::ThreadPool& pool_;
  LmHead head_;
  bool classifies_ = false;
  Parameter *head_weight_ = nullptr, *head_bias_ = nullptr;
  std::unique_ptr<TeacherPanel> teachers_;
  std::unique_ptr<TrainSession> session_;
  std::vector<ValueId> my_outputs_, their_outputs_;
  std::vector<Feature> features_;
  std::vector<TeacherRow> rows_;       // what is known before the head runs
  PolicySampler* policy_ = nullptr;
  std::uint64_t pass_ = 0;
};

}  // namespace retort::distill
