// The CPU's session: a plan whose steps are bound to kernels, an arena, a KV cache and scratch, all allocated once.
// A step of one token allocates nothing.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/model/aligned_buffer.h"
#include "core/model/backend.h"
#include "core/model/plan.h"
#include "core/model/rope.h"
#include "kernels/api/thread_pool.h"
#include "kernels/dispatch/linear.h"
#include "kernels/dispatch/ops.h"

namespace retort {

// What all sessions of one backend share. The pool serves one caller at a time, so a run holds the lock.
struct CpuEngine {
  CpuEngine(const kernels::Ops& chosen, std::string forced_kernel, int threads)
      : ops(chosen), forced(std::move(forced_kernel)), pool(threads) {}
  const kernels::Ops& ops;
  const std::string forced;   // for LinearChoice
  kernels::ThreadPool pool;
  std::mutex in_use;
};

// Bytes of everything that a session allocates beside weights, known before the first allocation.
struct CpuSizes {
  std::size_t cache = 0;       // keys and values of all layers
  std::size_t arena = 0;
  std::size_t hidden = 0;      // grows with a run longer than the batch
  std::size_t logits = 0;      // grows with the rows that are asked for
  std::size_t scratch = 0;     // of the linears
  std::size_t attention = 0;   // of one worker
  std::size_t rotary = 0;
  std::size_t work_space(int threads) const noexcept {
    return arena + hidden + logits + scratch + attention * static_cast<std::size_t>(threads) + rotary;
  }
};
// Errors: kBadArgument (options), kOutOfMemory (sizes beyond 2^48).
Result<CpuSizes> cpu_sizes(const Model& model, const Plan& plan, const RunOptions& options, int threads);

// A weight as the kernels want to see it.
kernels::Weight linear_weight(const WeightHandle& handle) noexcept;

class CpuSession final : public Session {
 public:
  // Errors: kUnsupported (no kernel for a weight), kOutOfMemory, kBadArgument.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<CpuEngine> engine, std::shared_ptr<const Model> model,
                                                 const RunOptions& options);

  Result<void> run(std::span<const TokenId> tokens, const JobContext& job) override;
  std::span<const float> hidden() const override;
  Result<std::span<const float>> logits(std::int64_t first, std::int64_t count) override;
  Result<void> head(std::span<const float> hidden_rows, std::span<float> out) override;
  std::int64_t position() const noexcept override { return position_; }
  void rewind(std::int64_t position) override;
  MemoryByPart memory() const noexcept override;
  void set_tap(Tap tap) override { tap_ = std::move(tap); }

 private:
  // A step with its kernels' arguments resolved; pointers into the arena don't change with the number of tokens.
  struct BoundStep {
    StepKind kind = StepKind::kNorm;
    std::int32_t layer = -1;
    const Node* node = nullptr;              // the first; of kAttention the attention itself
    const float* a = nullptr;                // first input
    const float* b = nullptr;                // second input
    float* out = nullptr;                    // nullptr: the rows of hidden() of this block
    const float* weight = nullptr;           // of the norm
    std::int64_t width = 0;
    std::vector<kernels::LinearCall> calls;  // kLinears
    std::vector<const float*> biases;        // beside calls; nullptr: none
    std::vector<const Node*> linears;        // beside calls
    float* query = nullptr;                  // kAttention
    float* key = nullptr;
    const float* value = nullptr;
    std::int64_t heads = 0, kv_heads = 0;
    bool rotate_query = false, rotate_key = false;
    float* sum = nullptr;                    // kAdd, kAddNorm
  };

  CpuSession(std::shared_ptr<CpuEngine> engine, std::shared_ptr<const Model> model, const RunOptions& options);
  Result<void> bind();
  Result<void> allocate(const CpuSizes& sizes);
  Result<const kernels::BoundLinear*> bind_linear(WeightId weight);
  const float* bind_vector(WeightId weight);
  Result<void> bind_step(const Step& step);
  Result<void> bind_linears(const Step& step, BoundStep& bound);
  void bind_attention(const Step& step, BoundStep& bound);
  void release_unused_pages();

  Result<void> check(std::span<const TokenId> tokens) const;
  Result<void> reserve_hidden(std::int64_t tokens);
  Result<void> use_frequencies(std::int64_t length, const JobContext& job);
  Result<void> run_blocks(std::span<const TokenId> tokens, const JobContext& job);
  Result<void> run_block(std::span<const TokenId> tokens, float* hidden, const JobContext& job);
  void execute(const BoundStep& step, std::span<const TokenId> tokens, float* hidden);
  void embed(const BoundStep& step, std::span<const TokenId> tokens);
  void embed_row(TokenId token, float* out) const;
  void linears(const BoundStep& step, std::int64_t m);
  void attend(const BoundStep& step, std::int64_t m);
  void rotate_and_store(const BoundStep& step, std::int64_t token);
  void prepare_rotary(std::int64_t m);
  void apply_head(const float* rows, std::int64_t count, float* out);
  void* cache_row(bool values, std::int64_t layer, std::int64_t position) const noexcept;

  // Rows that don't depend on each other: a fixed number a tile, one tile on the calling thread alone.
  template <class F>
  void for_rows(std::int64_t rows, F&& f);

  std::shared_ptr<CpuEngine> engine_;
  std::shared_ptr<const Model> model_;
  RunOptions options_;
  Plan plan_;
  std::vector<BoundStep> steps_;
  std::vector<kernels::BoundLinear> linears_;     // by WeightId; unbound where no linear uses it
  std::vector<std::vector<float>> vectors_;       // by WeightId: norms and biases in f32
  const Node* head_node_ = nullptr;
  const float* head_bias_ = nullptr;
  WeightId embedding_ = kNoWeight;

  AlignedBuffer arena_, cache_, hidden_, logits_, scratch_, attention_scratch_, rotary_;
  std::size_t attention_floats_ = 0;              // of one worker
  std::int64_t hidden_capacity_ = 0, hidden_rows_ = 0, logits_capacity_ = 0;
  std::int64_t position_ = 0;
  std::int64_t half_ = 0;                         // rotary / 2
  RopeFrequencies frequencies_;
  std::int64_t frequency_key_ = -1;
  std::vector<TokenId> history_;                  // of the cache; kept where frequencies can change
  std::uint64_t weight_bytes_ = 0;
  Tap tap_;
};

}  // namespace retort
