// BenchTeachers: the teachers of a run, opened, and the files that keep their answers for the next student.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "core/distill/teachers.h"

namespace retort::distill {

// What the answers cost on the disk.
struct AnswerReport {
  std::uint64_t bytes = 0;            // of this run's answers
  std::uint64_t folder_bytes = 0;     // of all runs', after this one
  std::uint64_t most_bytes = 0;       // what the recipe allows
  std::size_t known = 0;              // answers that an earlier run had asked for
  std::size_t left_out = 0;           // answers that had no room
};

class BenchTeachers {
 public:
  // Opens what the recipe names. `source`: the model that the student is made of, where that is the teacher too.
  // Errors: those of open_model, kMissingPart (no tokenizer), kConflict (classes of other names).
  static Result<BenchTeachers> open(const DistillRecipe& recipe, const Model& source);

  bool empty() const noexcept { return list_.empty(); }
  const Model& first() const noexcept { return list_.front()->model; }
  // How student and teachers read. Call again when the student's tokenizer has changed.
  Readers readers(const Model& student) const;
  // Decodes the weights. Errors: those of Parameters::from_model.
  Result<void> load(kernels::ThreadPool& pool);

  // Of the files of the student's source and of all teachers. Errors: kRead, kCanceled.
  Result<Digest> digest(const Model& source, const JobContext& job) const;
  // What earlier runs asked for, of these examples; `data` must stay where it is. Errors: kCanceled, kRead.
  Result<void> open_answers(const DistillRecipe& recipe, const Model& student, const TrainingData& data, AnswerReport& report, const JobContext& job);
  // Answers save time for the next student; this one has what it needs, so a failure costs it nothing.
  void save_answers(AnswerReport& report) const;

  // Classifiers: the class that the teachers give an example together, where all of them have been asked.
  std::optional<std::int64_t> known_answer(const TrainingExample& example, const LossMix& mix) const;

  std::vector<Teacher> list() const;   // valid while this lives and isn't changed
  AnswerCache* rows() noexcept { return rows_ ? &*rows_ : nullptr; }

 private:
  struct Opened {
    Model model;
    Parameters parameters;
    double weight = 1;
    std::optional<AnswerCache> answers;
    std::filesystem::path file;
  };
  static Result<Digest> files_digest(const Model& model, const JobContext& job);
  Result<void> open_rows(const DistillRecipe& recipe, const Model& student, std::span<const TrainingExample* const> all, AnswerReport& report, const JobContext& job);

  std::vector<std::unique_ptr<Opened>> list_;
  std::optional<AnswerCache> rows_;
  std::filesystem::path rows_file_;
};

}  // namespace retort::distill
