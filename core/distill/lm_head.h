// Losses over a vocabulary: the head and the loss together, a tile of rows at a time, so that the logits of a whole batch
// never exist at once.
#pragma once

#include <functional>
#include <optional>

#include "core/base/job.h"
#include "core/distill/losses.h"
#include "core/distill/parameters.h"
#include "kernels/dispatch/train_ops.h"

namespace retort::distill {

// Hidden states [rows, width] and the head's weight [classes, width].
struct HeadSide {
  std::span<const float> hidden;
  const Parameter* weight = nullptr;
  const Parameter* bias = nullptr;
};

struct HeadRequest {
  HeadSide student;
  Parameter* weight = nullptr;                    // the student's, for its gradient; null or untrained: none
  Parameter* bias = nullptr;
  std::span<float> hidden_gradient{};             // written; empty: none wanted, the loss only
  std::span<const std::int64_t> labels{};         // by row; kIgnoredLabel: the row counts nowhere
  std::span<const float> row_weights{};           // by row; empty: all 1
  LogitWeights weights{};
  std::optional<HeadSide> teacher{};              // computed here
  // Or computed elsewhere: the teacher's logits of rows [first, first + rows), [rows, classes], valid until the next call.
  std::function<Result<std::span<const float>>(std::int64_t first, std::int64_t rows)> teacher_tile{};
  std::span<const TeacherRow> teacher_rows{};     // or known before, by row; goes before the others where it is known
};

// Room for the work, kept from call to call.
class LmHead {
 public:
  static constexpr std::int64_t kRows = 192;      // of one tile

  // `compute`: of the student's products. A teacher is f32.
  LmHead(std::int64_t classes, kernels::ThreadPool& pool, kernels::MatmulPrecision compute = kernels::MatmulPrecision::kF32)
      : classes_(classes), pool_(pool), compute_(compute) {}

  // The mean over rows that count (by their weights); gradients are of that mean times `scale`.
  // Errors: kOutOfMemory, kCanceled, kNonFinite when the loss is NaN or infinite.
  Result<LogitLoss> run(const HeadRequest& request, double scale, const JobContext& job);
  // The logits of rows [first, first + rows): [rows, classes]; valid until the next call. At most kRows.
  Result<std::span<const float>> logits(const HeadSide& side, std::int64_t first, std::int64_t rows);

 private:
  Result<void> make_room(bool teacher);
  void compute(const HeadSide& side, const kernels::MatmulKernel& kernel, std::int64_t first, std::int64_t rows, float* out);

  std::int64_t classes_;
  kernels::ThreadPool& pool_;
  kernels::MatmulPrecision compute_;
  AlignedBuffer logits_, teacher_logits_, gradient_, scratch_, matmul_scratch_;
};

}  // namespace retort::distill
