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
// first_last: half from each end; every_second: 0, 2, 4 … as DistilBERT does; importance: as even, until measured_layers (student_importance.h) has looked at text.
std::vector<std::int64_t> choose_layers(std::int64_t layers, std::int64_t count, LayerChoice choice);
// What the design says for this teacher. Errors: kBadRecipe (more layers than there are, not ascending).
Result<std::vector<std::int64_t>> kept_layers(const StudentDesign& design, std::int64_t layers);

// A copy of a checkpoint to change: its tensors are views of the first one's, which it keeps alive.
std::shared_ptr<Checkpoint> derived_checkpoint(std::shared_ptr<const Checkpoint> base);
// The teacher's checkpoint with only these layers, renumbered; tensors are views of the teacher's.
// Errors: kUnsupported (a configuration whose layer count has an unknown name; weights stacked in one tensor).
Result<std::shared_ptr<Checkpoint>> keep_layers(const Model& teacher, std::span<const std::int64_t> kept);
// The same, bound: a student that needs no more than fewer layers. Weights are shared with it until trained.
// Errors: those of keep_layers.
Result<Model> make_student(const Model& teacher, std::span<const std::int64_t> kept);

// The student without rows of its position table that no text of `most` tokens reaches. Errors: kUnsupported (no table of
// its own rows), kBadRecipe (more than there are).
Result<Model> trim_positions(const Model& student, std::int64_t most);
// What a folder's configuration says of the positions that stay.
std::string positions_config(const std::string& config, std::int64_t rows);

struct StudentFile {
  std::filesystem::path output;
  std::uint64_t bytes = 0;
  std::int64_t parameters = 0;
};
// The type that a dense student's tensor is written in, given what the teacher stored and the recipe's `type`.
TensorType written_student_type(std::string_view wish, TensorType source, std::size_t dimensions);
// A parameter's values in this dense type, lying as `stored` says. Errors: kNonFinite.
Result<std::vector<std::byte>> packed_parameter(const Parameter& parameter, TensorType type, Stored stored);
// Writes the student with its trained parameters: a folder (config.json, model.safetensors, tokenizer files) for a teacher
// from a folder, a GGUF file for one from GGUF. `type`: source (each tensor as the teacher stored it, F16 where that was
// packed), f32, f16. Errors: kNonFinite (a parameter is NaN or too large for the type), those of the writers.
Result<StudentFile> write_student(const Model& student, const Parameters& parameters, std::string_view type,
                                  const std::filesystem::path& output, const JobContext& job);

// The student packed as the stage says. Folder levels from a folder: INT8 with a scale per row in compressed-tensors'
// int-quantized form, other integers and tables packed in words (pack-quantized), MXFP4 (mxfp4-pack-quantized), NF4 as
// bitsandbytes writes it; what isn't packed in F16, vectors in F32. Any other level: a GGUF file.
// Errors: kUnsupported (an architecture that has no GGUF form yet), those of weight_forms and of the writers.
Result<StudentFile> write_packed(const Model& student, const Parameters& parameters, const PackedWeights& packed, const TrainStage& stage,
                                 const std::filesystem::path& output, const JobContext& job);
// Whether write_packed can write this student, asked before any time is spent on it.
Result<void> check_packed(const Model& student, const TrainStage& stage);
// The bytes that write_packed and write_student will leave, tokenizer and configuration included. Looks at shapes only.
// Errors: those of check_packed.
Result<std::uint64_t> predict_packed_bytes(const Model& student, const TrainStage& stage);
Result<std::uint64_t> predict_student_bytes(const Model& student, std::string_view type);
// Of everything in a student's folder but the weights: what write_folder_texts writes.
std::uint64_t folder_text_bytes(const Model& student, const std::string& config, bool lean = false);
// The student with its parameters in place of the teacher's weights: views, valid while both live and don't train.
Model model_of(const Model& student, const Parameters& parameters, const PackedWeights* packed);
// Bytes of its weights: as packed (null: none are), the rest as it is written beside them.
std::uint64_t student_bytes(const Model& student, const PackedWeights* packed, std::string_view type);
// Everything of a student's folder but the weights: configuration, tokenizer. `lean`: without vocab.txt where
// tokenizer.json says the same.
Result<void> write_folder_texts(const Model& student, const std::string& config, const std::filesystem::path& output, bool lean = false);

}  // namespace retort::distill
