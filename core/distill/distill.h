// A whole distillation: teacher, student, data, training, the student's file.
#pragma once

#include "core/distill/bench_teachers.h"
#include "core/distill/stage_figures.h"
#include "core/distill/student.h"
#include "core/distill/trainer.h"

namespace retort::distill {

// What a stage left, judged on the validation texts.
struct StageReport {
  StageKind kind = StageKind::kDistill;
  std::string level{};
  std::uint64_t bytes = 0;                 // of the student's weights as they would be written
  std::int64_t steps = 0;
  double seconds = 0, tokens_per_second = 0;
  std::optional<BatchLoss> after{};        // none without validation texts
  std::optional<StageSpeed> speed{};       // none where it was not asked for
  std::string warning{};                   // one sentence when it compounds the damage of the stage before; else empty
};

struct DistillReport {
  StudentFile student;
  TrainOutcome outcome;                    // of the last stage that trained
  std::vector<StageReport> stages;
  std::vector<std::int64_t> kept;          // the teacher's layers
  std::optional<StageSpeed> teacher_speed;
  std::uint64_t teacher_bytes = 0;         // of its weights as they are stored
  std::int64_t teacher_parameters = 0, pieces = 0;   // pieces of the student's vocabulary
  std::int64_t examples = 0, validation_examples = 0, duplicates = 0, truncated = 0;
  std::vector<std::int64_t> stands_for;    // by layer of the student: the first of the teacher's layers that it stands for
  DataReport data;
  // Classifiers: training labels that the teacher contradicts, of those that it was asked about; -1: it was asked about none.
  std::int64_t contradicted = -1, asked = 0;
  AnswerReport answers;                    // of the teachers, kept for the next student
  std::filesystem::path curve;
};

struct DistillOptions {
  std::function<void(const CurvePoint&)> on_point{};
  // Where states, loss curves and the values that each stage ended with are kept, and stay: recipes that begin with the same
  // stages on the same data share them, so what one made no other makes again. One folder serves one teacher. Empty: beside
  // `output`, as below.
  std::filesystem::path shared{};
  bool measure_speed = true;               // of the teacher and after each stage; a few seconds
};

// `output`: a folder, or a .gguf file for a teacher in GGUF. Beside it: output.curve.jsonl (kept) and output.training
// (state; removed at the end). An interrupted run goes on with the same recipe and output.
// Errors: those of every part; kBadArgument for an output of the wrong kind.
Result<DistillReport> distill(const DistillRecipe& recipe, const std::filesystem::path& output, int threads, const JobContext& job,
                              const DistillOptions& options = {});

}  // namespace retort::distill
