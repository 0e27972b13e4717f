// What a stage of a distillation is measured by beside its loss: latency and memory of the student as it then stands, and
// whether its damage compounds that of the stage before.
#pragma once

#include <optional>
#include <string>

#include "core/distill/objective.h"
#include "core/distill/packed_weights.h"

namespace retort::distill {

// Of the student alone, in this process, on the kernels and threads that inference takes (q8 activations): medians, so that
// one interruption by another program doesn't decide.
struct StageSpeed {
  double latency_seconds = 0;             // a classifier: one text of the validation set; a language model: one more token
  double prompt_tokens_per_second = 0;    // a classifier: of those texts, one after the other
  std::uint64_t memory_bytes = 0;         // of its session: weights as computed with, cache, work space
};
// `texts` are examples to time on, at most kTimedTexts of them. Errors: those of Backend::compile and of a run.
inline constexpr std::size_t kTimedTexts = 32;
Result<StageSpeed> measure_speed(const Model& student, std::span<const TrainingExample> texts, int threads, const JobContext& job);

// The student with its parameters in the form in which it is written: grids as codes and scales. Valid while both live and
// don't train.
Model model_as_written(const Model& student, const Parameters& parameters, const PackedWeights* packed);

// The divergence from the teacher (else the cross-entropy) of each example, at most kJudgedExamples of them.
inline constexpr std::size_t kJudgedExamples = 256;
Result<std::vector<double>> example_losses(Objective& objective, std::span<const TrainingExample> examples, const JobContext& job);

// A stage compounds the damage of the one before when what it adds to the loss is greater on the half of the examples that
// stood worst before it than on the other half, and both that difference and the mean of what it adds lie above zero with
// their 95 % intervals (resampled by example). The sentence that says so; empty otherwise.
std::string compounded_damage(std::span<const double> before, std::span<const double> after, std::string_view stage, std::string_view earlier);

}  // namespace retort::distill
