// TrainSession: runs a TrainPlan over batches. forward() → read value(), write gradient() → backward() adds to the
// parameters' gradients. The parameters are the caller's and may change between passes. Not thread-safe.
//
// The result depends on the batch and the machine's kernels, not on the number of threads.
#pragma once

#include <array>
#include <memory>

#include "core/base/job.h"
#include "core/distill/execute.h"

namespace retort::distill {

class TrainSession {
 public:
  // `model` gives the graph and the configuration; both and the parameters must outlive the session.
  // Errors: kUnsupported (an operation that can't be trained; a kernel that can't run).
  static Result<std::unique_ptr<TrainSession>> make(const Graph& graph, const ModelConfig& config, Parameters& parameters,
                                                    TrainPlanOptions options, kernels::ThreadPool& pool);

  // Errors: kBadArgument (an id outside the vocabulary, a position past the context, an empty batch), kOutOfMemory,
  // kCanceled.
  Result<void> forward(const Batch& batch, const JobContext& job);
  // Of output `index`, [rows, width]: valid until the next forward pass. Gradients start as zeros.
  std::span<const float> value(std::size_t index) const noexcept;
  std::span<float> gradient(std::size_t index) noexcept;
  // Errors: kCanceled; the gradients are then unfinished.
  Result<void> backward(const JobContext& job);

  const TrainPlan& plan() const noexcept { return plan_; }
  std::uint64_t work_bytes() const noexcept { return arena_.size() + scratch_.size() + matmul_scratch_.size(); }

 private:
  TrainSession(const Graph& graph, const ModelConfig& config, Parameters& parameters, TrainPlan plan, const kernels::MatmulKernel& kernel,
               kernels::ThreadPool& pool)
      : plan_(std::move(plan)),
        run_{graph, config, plan_, parameters, pool, *kernels::ops(), *kernels::train_ops(), kernel} {}
  Result<void> check(const Batch& batch) const;
  Result<void> make_room(const Batch& batch);
  Result<void> execute(std::size_t from, std::size_t to, const JobContext& job);

  TrainPlan plan_;
  Run run_;
  Batch batch_;
  AlignedBuffer arena_, scratch_, matmul_scratch_;
  std::vector<std::size_t> offsets_;
  std::vector<float> rounded_;
  std::int64_t room_tokens_ = 0, room_sequences_ = 0, room_longest_ = 0, table_rows_ = 0;
  std::array<RopeTable, 2> rope_;
};

}  // namespace retort::distill
