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
  std::size_t experts = 0;     // rows gathered for one expert
  std::size_t work_space(int threads) const noexcept {
    return arena + hidden + logits + scratch + attention * static_cast<std::size_t>(threads) + rotary + experts;
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
  Result<void> encode(const EncoderBatch& batch, const JobContext& job) override;
  std::span<const float> hidden() const override;
  Result<std::span<const float>> logits(std::int64_t first, std::int64_t count) override;
  Result<void> head(std::span<const float> hidden_rows, std::span<float> out) override;
  std::int64_t position() const noexcept override { return position_; }
  void rewind(std::int64_t position) override;
  MemoryByPart memory() const noexcept override;
  void set_tap(Tap tap) override { tap_ = std::move(tap); }

 private:
  // One pass over some rows: where values outside the arena lie, and what the tokens are.
  struct Frame {
    std::int64_t rows = 0;
    float* hidden = nullptr;                        // Place::kHidden
    float* out = nullptr;                           // Place::kOutput
    const TokenId* tokens = nullptr;
    const std::int32_t* types = nullptr;            // nullptr: zeros
    const std::int32_t* positions = nullptr;        // nullptr: those after the cache
    std::span<const std::int64_t> lengths = {};     // encoders: of the sequences
  };
  // A value: a fixed address in the arena, or one that the frame knows.
  struct Slot {
    float* pointer = nullptr;
    Place place = Place::kNone;
    float* at(const Frame& frame) const noexcept {
      return place == Place::kHidden ? frame.hidden : place == Place::kOutput ? frame.out : pointer;
    }
  };
  struct BoundNorm {
    const float* weight = nullptr;
    const float* bias = nullptr;
    float offset = 0;
    std::int64_t groups = 1;
    bool mean = false;                              // a layer norm
    bool own_weights = false;                       // each group has its own
  };
  struct BoundAttention {
    float* query = nullptr;
    float* key = nullptr;
    const float* value = nullptr;
    float* out = nullptr;
    const Node* node = nullptr;
    std::int32_t query_rope = -1, key_rope = -1;    // -1: not rotated
    const float* bias = nullptr;                    // [heads, 2 · batch - 1]
  };
  // A step with its kernels' arguments resolved; pointers into the arena don't change with the number of tokens.
  struct BoundStep {
    StepKind kind = StepKind::kNorm;
    std::int32_t layer = -1;
    const Node* node = nullptr;                     // the first; of kAttention the attention itself
    std::int64_t width = 0;                         // of the first input (kLinears) or of the result
    Slot a, b, sum, out;                            // inputs; the sum of kAdd, kAddNorm; the result
    BoundNorm norm;
    BoundAttention attention;
    std::vector<kernels::LinearCall> calls;         // kLinears, kExperts
    std::vector<Slot> results;                      // beside calls
    std::vector<const float*> biases;               // beside calls; nullptr: none
    std::vector<const Node*> linears;               // beside calls
  };

  CpuSession(std::shared_ptr<CpuEngine> engine, std::shared_ptr<const Model> model, const RunOptions& options);
  Result<void> bind();
  Result<void> allocate(const CpuSizes& sizes);
  Result<const kernels::BoundLinear*> bind_linear(WeightId weight);
  const float* bind_vector(WeightId weight);
  const float* bind_relative_bias(const Node& attention);
  Slot slot(ValueId value) const;
  Result<void> bind_step(const Step& step, std::vector<BoundStep>& steps);
  Result<void> bind_linears(const std::vector<const Node*>& nodes, BoundStep& bound);
  void bind_norm(const Node& node, BoundStep& bound);
  void bind_attention(const Step& step, BoundStep& bound);
  void count_weights();

  Result<void> reserve_hidden(std::int64_t tokens);
  Result<void> use_frequencies(std::int64_t length, const JobContext& job);
  Result<void> run_blocks(std::span<const TokenId> tokens, const JobContext& job);
  Result<void> run_body(const Frame& frame, const JobContext& job);
  void apply_head(const float* rows, std::int64_t count, float* out);
  void pool(const Frame& frame, float* out) const;
  void* cache_row(bool values, std::int64_t layer, std::int64_t position) const noexcept;

  // cpu_steps.cpp: one step for the rows of a frame.
  void execute(BoundStep& step, const Frame& frame);
  void embed(const BoundStep& step, const Frame& frame);
  void normalize(const BoundNorm& norm, const float* x, float* y, std::int64_t rows, std::int64_t width) const;
  void add(const BoundStep& step, const Frame& frame);
  void gate(const BoundStep& step, const Frame& frame);
  void element(const BoundStep& step, const Frame& frame);
  void element_rows(const BoundStep& step, const float* a, const float* b, float* out, std::int64_t rows) const;
  void linears(BoundStep& step, const Frame& frame);
  void experts(BoundStep& step, const Frame& frame);
  void run_expert(BoundStep& step, const Frame& frame, std::size_t expert, std::span<const std::pair<std::int64_t, float>> rows);

  // cpu_attention.cpp
  void prepare_rotary(const Frame& frame);
  void rotate(float* x, std::int32_t rope, std::int64_t token, std::int64_t heads) const;
  void rotate_and_store(const BoundStep& step, std::int64_t token);
  void attend(const BoundStep& step, const Frame& frame);
  void attend_causal(const BoundStep& step, kernels::AttentionArgs args);
  void attend_sequences(const BoundStep& step, kernels::AttentionArgs args, const Frame& frame);

  // Rows that don't depend on each other: a fixed number a tile, one tile on the calling thread alone.
  template <class F>
  void for_rows(std::int64_t rows, F&& f) const {
    constexpr std::int64_t kRowsPerTile = 8;
    if (rows <= kRowsPerTile) {
      f(0, rows);
      return;
    }
    engine_->pool.parallel_for(static_cast<std::size_t>((rows + kRowsPerTile - 1) / kRowsPerTile),
                               [&](std::size_t tile, int) {
                                 const std::int64_t first = static_cast<std::int64_t>(tile) * kRowsPerTile;
                                 f(first, std::min(kRowsPerTile, rows - first));
                               });
  }

  std::shared_ptr<CpuEngine> engine_;
  std::shared_ptr<const Model> model_;
  RunOptions options_;
  Plan plan_;
  std::vector<BoundStep> steps_, head_steps_;
  std::vector<kernels::BoundLinear> linears_;     // by WeightId; unbound where no linear uses it
  std::vector<std::vector<float>> vectors_;       // by WeightId: norms and biases in f32
  std::vector<std::vector<float>> relative_;      // by WeightId: relative position biases by head and distance
  std::vector<bool> looked_up_;        // weights whose rows are read as they are stored: tables of embeddings

  AlignedBuffer arena_, cache_, hidden_, pooled_, logits_, scratch_, attention_scratch_, rotary_, expert_rows_;
  std::size_t attention_floats_ = 0;              // of one worker
  std::int64_t hidden_capacity_ = 0, hidden_rows_ = 0, logits_capacity_ = 0;
  std::int64_t head_rows_ = 0;                    // of what the head can be applied to after the last run
  std::int64_t position_ = 0;
  // What turns queries and keys, by Node::rope.
  struct Rotary {
    std::int64_t half = 0;                        // pairs
    RopeFrequencies frequencies;
    std::int64_t key = -1;                        // of the length that they are for
    float* rows = nullptr;                        // [batch, half] cosines, then as many sines
  };
  std::vector<Rotary> rotaries_;
  bool recomputes_ = false;                       // LongRoPE: what is in the cache may have to be computed again
  std::vector<TokenId> history_;                  // of the cache, then
  std::uint64_t weight_bytes_ = 0;
  Tap tap_;
};

}  // namespace retort
