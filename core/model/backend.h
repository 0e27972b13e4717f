// The backend boundary. A backend has capabilities, buffers that only it can look into, compile and run. Operations
// are never called one by one across it. The CPU implements it in cpu_backend.cpp; devices in device_backend.cpp, by a
// plug-in behind a C ABI of the same shape (kernels/api/device_plugin.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/job.h"
#include "core/base/result.h"
#include "core/model/model.h"
#include "kernels/api/linear.h"

namespace retort {

// What a plan is for: decides fusions and what is kept.
enum class PlanKind : std::uint8_t { kInfer, kTap };

struct RunOptions {
  kernels::Activations activations = kernels::Activations::kQ8;   // for packed weights
  std::int64_t context = 512;       // KV cache positions
  std::int64_t batch = 512;         // most tokens in one run
  bool cache_f16 = true;
  PlanKind plan = PlanKind::kInfer;
};

struct MemoryByPart {
  std::uint64_t weights = 0;        // stored and mapped, plus repacked copies
  std::uint64_t kv_cache = 0;
  std::uint64_t work_space = 0;
  std::uint64_t total() const noexcept { return weights + kv_cache + work_space; }
};

// Sequences that an encoder sees whole, one after the other, without padding: positions tell where each token stands.
// EncoderInput (core/model/encoder_input.h) makes it of padded rows.
struct EncoderBatch {
  std::span<const TokenId> tokens;
  std::span<const std::int32_t> types;       // beside tokens; empty: zeros
  std::span<const std::int32_t> positions;   // rows of the position table, beside tokens
  std::span<const std::int64_t> lengths;     // of the sequences, at least 1 each; they add up to tokens.size()
};

// What a greedy choice takes.
struct Likeliest {
  TokenId token = -1;        // -1: no number among the logits
  double probability = 0;
};

// A compiled model with its own KV cache and work space. Not thread-safe: one user at a time.
class Session {
 public:
  virtual ~Session() = default;

  // Runs `tokens` at the positions after those already in the cache.
  // Errors: kBadArgument (past the context, an id outside the vocabulary), kCanceled (checked between layers),
  // kUnsupported (an encoder).
  virtual Result<void> run(std::span<const TokenId> tokens, const JobContext& job) = 0;
  // Encoders: runs whole sequences, each at most the context long. Errors: those of run(), kUnsupported (a decoder).
  virtual Result<void> encode(const EncoderBatch& batch, const JobContext& job);
  // Of the last run: [tokens, hidden], the last value of the body. Valid until the next call.
  virtual std::span<const float> hidden() const = 0;
  // Logits for rows [first, first + count) of the last run, computed now: [count, graph.outputs()]. A row is a token, or
  // a sequence where the graph pools. Errors: kBadArgument (rows), kUnsupported (a model without head).
  virtual Result<std::span<const float>> logits(std::int64_t first, std::int64_t count) = 0;
  // The token of the greatest logit of a row, the lowest of equal ones; a device hands over no logits for it. Errors: as above.
  virtual Result<Likeliest> likeliest(std::int64_t row);
  // The head applied to foreign hidden states (after the pool, where there is one) [rows, hidden] → out [rows, outputs].
  virtual Result<void> head(std::span<const float> hidden_rows, std::span<float> out) = 0;

  virtual std::int64_t position() const noexcept = 0;
  virtual void rewind(std::int64_t position) = 0;      // forgets the cache from there on
  virtual MemoryByPart memory() const noexcept = 0;

  // kTap only: called with the input rows of every linear node, [tokens, columns], before it runs.
  using Tap = std::function<void(const Node& node, std::span<const float> rows, std::int64_t tokens)>;
  virtual void set_tap(Tap tap) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const noexcept = 0;          // "cpu", "reference", "cuda:0"
  virtual std::string device() const = 0;                      // "AMD EPYC · 2 threads · AVX2"
  virtual int threads() const noexcept = 0;
  // What its device has drawn since some moment; nullopt where nothing counts it.
  virtual std::optional<double> joules() const { return std::nullopt; }
  // Refuses before the run what it cannot do. Errors: kUnsupported, kOutOfMemory.
  virtual Result<std::unique_ptr<Session>> compile(std::shared_ptr<const Model> model, const RunOptions& options) = 0;
  virtual MemoryByPart predict_memory(const Model& model, const RunOptions& options) const = 0;
};

// "cpu" (best kernels, or what RETORT_KERNEL forces), "reference", or "cuda" or "cuda:N" for the first or Nth device of the
// CUDA plug-in, which a process loads only after permit_devices() (device_backend.h). threads 0: all cores.
// Errors: kUnsupported naming the backends there are, or why there is no such device.
Result<std::unique_ptr<Backend>> make_backend(std::string_view name, int threads);

}  // namespace retort
