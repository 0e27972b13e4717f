// What matters in a teacher, measured on text: which layers change their input, which heads, neurons and dimensions carry
// what the next weights read. Decides what a smaller student keeps.
#pragma once

#include "core/distill/student.h"
#include "core/distill/training_data.h"

namespace retort::distill {

// Per layer, 1 - the mean cosine between the state before and after it ("block influence", Men et al. 2024): 0 for a layer
// that changes nothing. On at most kImportanceExamples of the examples. Errors: those of a forward pass.
inline constexpr std::size_t kImportanceExamples = 64;
Result<std::vector<double>> layer_influence(const Model& teacher, std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job);

// As kept_layers, and for `importance` the layers of the greatest influence.
Result<std::vector<std::int64_t>> measured_layers(const StudentDesign& design, const Model& teacher, std::span<const TrainingExample> examples,
                                                  kernels::ThreadPool& pool, const JobContext& job);

// The teacher with fewer heads, neurons and dimensions, as the design says. A unit's importance is the root mean square of
// what it carries times the length of the weights that read it, summed over its readers (each reader's units sum to 1); the
// most important stay, in their order. Tensors that are cut are copies in the teacher's type (F16 where that was packed).
// Errors: those of set_sizes, kUnsupported (an architecture whose widths hang together otherwise).
Result<Model> narrow(const Model& teacher, const StudentDesign& design, std::span<const TrainingExample> examples, kernels::ThreadPool& pool, const JobContext& job);

}  // namespace retort::distill
