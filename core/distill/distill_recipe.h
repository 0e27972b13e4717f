// DistillRecipe: the parameters of one training run, a JSON document. docs/recipes.md describes every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/distill/losses.h"
#include "core/distill/parameters.h"
#include "core/distill/schedule.h"
#include "kernels/api/matmul.h"

namespace retort::distill {

// Which of the teacher's layers the student keeps.
// importance: those whose absence costs most, as measured on the training text (student_importance.h).
enum class LayerChoice : std::uint8_t { kEven, kFirst, kFirstLast, kEverySecond, kImportance };

struct StudentDesign {
  std::filesystem::path model{};             // whose parts it is made of; empty: the teacher's
  std::int64_t layers = 0;                   // how many; 0: all (fine-tuning)
  LayerChoice choice = LayerChoice::kEven;
  std::vector<std::int64_t> kept{};            // or exactly these
  bool trim_vocabulary = false;              // only the pieces that the training text needs
  std::int64_t most_pieces = 0;              // with trim_vocabulary: at most so many; 0: all that occur
  bool trim_positions = false;               // only the rows of a position table that data.max_tokens can reach
  std::int64_t heads = 0, feed_forward = 0, hidden = 0;   // narrower, the most important stay; 0: the teacher's
  std::int64_t classes = 0;                  // a new classifier on an encoder without one, learned from labels; 0: none
  bool narrower() const noexcept { return heads > 0 || feed_forward > 0 || hidden > 0; }
};

struct LossMix {
  LogitWeights logits{.cross_entropy = 0.5, .forward_kl = 0.5, .temperature = 2};
  double hidden_mse = 0, hidden_cosine = 0;  // states after mapped layers
  double attention = 0, values = 0;          // attention maps of mapped layers, relations of the last layer's values
  double rkd_distance = 0, rkd_angle = 0;    // between the examples of a batch, on pooled or last states
  bool by_agreement = false;                 // several teachers: each counts for what it gives the label, example by example
  std::int64_t top = 0;                      // decoders: so many classes of a teacher's answer are kept, the rest as one; 0: all
  // Classifiers: what an example counts for where the teacher contradicts its label, and what the teacher's answer does.
  double contradicted_weight = 1, contradicted_answer = 1;
  bool features() const noexcept { return hidden_mse != 0 || hidden_cosine != 0 || attention != 0 || values != 0 || rkd_distance != 0 || rkd_angle != 0; }
  bool needs_teacher() const noexcept { return logits.needs_teacher() || features(); }
};

struct TrainingPlan {
  double epochs = 3;
  std::int64_t steps = 0;                    // instead of epochs; 0: as epochs say
  std::int64_t batch = 16;                   // sequences of one pass
  std::int64_t accumulate = 1;               // passes of one step
  double rate = 5e-5, warmup = 0.1;          // warm-up as a share of the steps
  Decay decay = Decay::kLinear;
  AdamWOptions optimizer;
  std::uint64_t seed = 1;
  std::int64_t validate_every = 0;           // steps; 0: once an epoch
  std::int64_t patience = 0;                 // validations without improvement before stopping; 0: never
  std::int64_t checkpoint_every = 200;       // steps; what kill -9 can cost
  bool recompute = false;                    // activations made again in the backward pass: less memory, more time
  kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32;   // of products; masters, sums and all else are f32
};

struct DataPlan {
  std::filesystem::path train{}, unlabelled{}, validation{};   // validation empty: a share of the training text
  double validation_share = 0.05;
  std::int64_t most_examples = 0;            // labelled ones; 0: all
  std::int64_t context = 256;                // tokens of one chunk of text
  std::int64_t max_tokens = 128;             // of one labelled example
};

// Texts that the student makes up itself, for the teacher to score (on_policy.h).
struct OnPolicy {
  double share = 0;                          // of the passes
  std::int64_t tokens = 64;                  // at most so many after the prompt
  double temperature = 1;
};

// A further teacher; the recipe's first counts 1.
struct TeacherChoice {
  std::filesystem::path model;
  double weight = 1;
};

// distill: all weights train. qat: all weights train as the level rounds them (gradients go straight through). quantize: the
// level rounds them. repair: scales, norms and biases train; codes stay or are chosen
// anew before, so the file keeps its size.
// probe: a new head's weights alone, before distill trains all.
enum class StageKind : std::uint8_t { kDistill, kQat, kQuantize, kRepair, kProbe };
std::string_view stage_name(StageKind kind) noexcept;   // "distill"

struct TrainStage {
  StageKind kind = StageKind::kDistill;
  std::string level{};                       // of qat and quantize: "INT8", "Q4_K_M", or a grid ("INT4", "MXFP4" …)
  bool importance = false;                   // of qat and quantize: errors weighed by the training text's activations
  std::int64_t group = -1;                   // of a grid of integers: weights under one scale; 0: a row; -1: the grid's own
  std::int64_t embedding_bits = 0;           // of levels for folders: tables that are looked up as integers too; 0: F16
  bool activations = false;                  // of qat and repair with INT8: what packed linears read is rounded to 8 bits too
  bool per_tensor = false;                   // of levels of integers: one scale for a whole matrix
  bool learned_scales = false;               // of qat with a grid: scales train beside the weights
  std::int64_t new_codes = 0;                // of repair: codes are chosen anew first, by so many tokens of the text; 0: they stay
  std::int64_t steps = 0;                    // instead of the recipe's; 0: those
  double epochs = 0, rate = 0;
};

struct DistillRecipe {
  std::string name;
  std::filesystem::path teacher;
  std::vector<TeacherChoice> teachers{};     // further ones
  StudentDesign student;
  DataPlan data;
  LossMix loss;
  OnPolicy on_policy;
  double cache_megabytes = 1024;             // of teachers' answers on the disk, all runs together; 0: none are kept
  TrainingPlan training;
  std::vector<TrainStage> stages{TrainStage{}};   // in this order
  std::string type = "source";               // element type of the file written: source, f32, f16
};

// Errors: kBadRecipe naming the place and what is allowed there; unknown keys are refused.
Result<DistillRecipe> distill_recipe_from_json(std::string_view json);
std::string distill_recipe_to_json(const DistillRecipe& recipe);
// Errors: kBadRecipe for combinations that make no sense.
Result<void> check_recipe(const DistillRecipe& recipe);
// The model that the student is made of.
const std::filesystem::path& parts_of(const DistillRecipe& recipe) noexcept;
// The level that the student is written at; empty: dense.
std::string_view final_level(const DistillRecipe& recipe) noexcept;
// The stage that says it; null: none does.
const TrainStage* packing_stage(const DistillRecipe& recipe) noexcept;
// The recipe's plan with what the stage says instead.
TrainingPlan plan_of_stage(const TrainingPlan& plan, const TrainStage& stage) noexcept;
// Of everything that decides the result but where the files lie.
Digest distill_recipe_digest(const DistillRecipe& recipe);

}  // namespace retort::distill
