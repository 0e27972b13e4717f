// Speed and memory of one model on this machine. Run it in a fresh process that holds nothing else: `retort bench` is
// that process; run_bench_child() starts it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/measure/worker.h"
#include "core/model/backend.h"

namespace retort {

// Tokens of one example where an encoder is measured and nothing else is said: about what a sentence or two have.
inline constexpr std::int64_t kEncoderExample = 128;

struct BenchOptions {
  std::int64_t prompt = 512;            // of an encoder: tokens of one example, at most as many as it has positions
  std::int64_t generate = 300;          // at least 300 for percentiles; of an encoder: examples, one by one
  int threads = 0;
  std::string backend = "cpu";
  kernels::Activations activations = kernels::Activations::kQ8;
};

struct BenchResult {
  // Encoders: tokens of many examples at once per second; they neither decode nor have a first token (0: not there).
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0, time_to_first_token_seconds = 0;
  double p50 = 0, p95 = 0, p99 = 0;     // seconds per generated token; of an encoder per example, alone
  std::uint64_t peak_memory_bytes = 0;  // of the process
  MemoryByPart memory;                  // where the model computes: the machine's, or the device's
  int threads = 0;
  std::string backend = "cpu", device;
  double joules_per_token = 0;          // of a device that counts, per generated token or encoded one; 0: nothing counted
  std::string activations;
  std::vector<double> token_seconds;    // every generated token, or every example
  double load_seconds = 0;
  std::int64_t example_tokens = 0;      // encoders: how long an example was; 0: a language model
  bool encoder() const noexcept { return example_tokens > 0; }
};

// In this process. Warm-up first; the prompt is a fixed pseudo-random sequence of ids.
// Errors: kBadArgument, those of Backend::compile and Session.
Result<BenchResult> bench(std::shared_ptr<const Model> model, const BenchOptions& options, const JobContext& job);

std::string bench_to_json(const BenchResult& result);
Result<BenchResult> bench_from_json(std::string_view json);

// Starts `program bench MODEL --json …` as a child: first to be killed when memory runs out, with a memory limit, ended
// when its parent ends. Errors: kChildFailed with its last words, kOutOfMemory, kCanceled.
Result<BenchResult> run_bench_child(const std::filesystem::path& program, const std::filesystem::path& model,
                                    const BenchOptions& options, const JobContext& job);

}  // namespace retort
