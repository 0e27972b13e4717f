// Students: a smaller model made of a teacher's parts, as a checkpoint whose tensors are views of the teacher's, and the
// file that a trained student becomes.
#pragma once

#include <filesystem>

#include "core/base/job.h"
#include "core/distill/distill_recipe.h"
#include "core/distill/packed_weights.h"
#include "core/model/model.h"

namespace retort::distill {

// Which of `layers` layers a student with `count` keeps. even: first and last, and evenly between; first: the first ones;
// first_last: half from each end; every_second: 0, 2, 4 … as DistilBERT does.
std::vector<std::int64_t> choose_layers(std::int64_t layers, std::int64_t count, LayerChoice choice);
// What the design says for this teacher. Errors: kBadRecipe (more layers than there are, not ascending).
Result<std::vector<std::int64_t>> kept_layers(const StudentDesign& design, std::int64_t layers);

// The teacher with only these layers, renumbered. Weights are shared with it until trained.
// Errors: kUnsupported (a configuration whose layer count has an unknown name; weights stacked in one tensor).
Result<Model> make_student(const Model& teacher, std::span<const std::int64_t> kept);

struct StudentFile {
  std::filesystem::path output;
  std::uint64_t bytes = 0;
  std::int64_t parameters = 0;
};
// Writes the student with its trained parameters: a folder (config.json, model.safetensors, tokenizer files) for a teacher
// from a folder, a GGUF file for one from GGUF. `type`: source (each tensor as the teacher stored it, F16 where that was
// packed), f32, f16. Errors: kNonFinite (a parameter is NaN or too large for the type), those of the writers.
Result<StudentFile> write_student(const Model& student, const Parameters& parameters, std::string_view type,
                                  const std::filesystem::path& output, const JobContext& job);

// The student packed as `level` says: INT8 from a folder as a folder in compressed-tensors' int-quantized form (linears with
// a scale per row; the rest in F16), any other level as a GGUF file. Errors: kUnsupported (an architecture that has no GGUF
// form yet), those of the writers.
Result<StudentFile> write_packed(const Model& student, const Parameters& parameters, const PackedWeights& packed, std::string_view level,
                                 const std::filesystem::path& output, const JobContext& job);
// Whether write_packed can write this student, asked before any time is spent on it.
Result<void> check_packed(const Model& student, std::string_view level);
// The student with its parameters in place of the teacher's weights: views, valid while both live and don't train.
Model model_of(const Model& student, const Parameters& parameters, const PackedWeights* packed);
// Bytes of its weights: as packed (null: none are), the rest as it is written beside them.
std::uint64_t student_bytes(const Model& student, const PackedWeights* packed, std::string_view type);
// Everything of a student's folder but the weights: configuration, tokenizer.
Result<void> write_folder_texts(const Model& student, const std::string& config, const std::filesystem::path& output);

}  // namespace retort::distill
