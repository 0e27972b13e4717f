// Students in a study: how a recipe becomes a distillation, and what its stages left in the cache. A student after its first
// k stages is the candidate whose recipe ends there: it has a key, a model and measurements like any other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/distill/distill.h"
#include "core/model/model.h"
#include "core/study/study_document.h"

namespace retort {

// The sets that students learn from where their recipes name no data: text, and labelled texts for a classifier.
std::vector<const DataRecord*> training_sets(const StudyDocument& document);

inline bool is_student(const Recipe& recipe) noexcept { return !recipe.student.empty(); }
// The distillation as the recipe says it: teacher and data may be empty. Errors: kBadRecipe.
Result<distill::DistillRecipe> student_recipe(const Recipe& recipe);
// The candidate with the first `stages` stages only.
CandidateRecord until_stage(const CandidateRecord& candidate, std::size_t stages);
// Relative paths of a recipe made absolute: a study does not depend on where it is opened.
Recipe with_absolute_paths(const Recipe& recipe);
// The models and the texts that it names.
std::vector<std::filesystem::path> named_models(const distill::DistillRecipe& recipe);
std::vector<std::filesystem::path> named_texts(const distill::DistillRecipe& recipe);
// Of everything that decides what the student's last stage leaves.
Digest student_digest(const StudyDocument& document, const Recipe& recipe);

// What a student's last stage left.
struct StudentResult {
  std::filesystem::path output;             // a folder, or a GGUF file
  std::filesystem::path curve;              // JSONL; empty when the stage doesn't train
  std::uint64_t bytes = 0;                  // of its files
  std::int64_t parameters = 0;
  std::int64_t steps = 0;                   // of training, this stage's
  double seconds = 0, tokens_per_second = 0, tokens_per_step = 0;
  // On the validation texts of its training, where there are any.
  std::optional<double> loss, accuracy;
  std::int64_t validated = 0;               // texts or tokens
  // The points of `curve`, read once; null where there are none. Not in its JSON.
  std::shared_ptr<const std::vector<distill::CurvePoint>> points{};
};
std::string student_result_to_json(const StudentResult& result);
// Errors: kCorrupt.
Result<StudentResult> student_result_from_json(std::string_view json);
StudentResult result_of(const distill::DistillReport& report);

// The points of a curve's file; what doesn't read is left out. Null where nothing is left, or no file is named.
std::shared_ptr<const std::vector<distill::CurvePoint>> read_curve(const std::filesystem::path& path);

// A student as it was written. An INT8 folder's codes are bound to the integer kernels, which `open_model` leaves to be decoded.
// Errors: those of open_model.
Result<Model> open_student(const std::filesystem::path& path);

}  // namespace retort
