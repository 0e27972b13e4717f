// Speed and memory of one model on this machine. Run it in a fresh process that holds nothing else: `retort bench` is
// that process; run_bench_child() starts it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/model/backend.h"

namespace retort {

struct BenchOptions {
  std::int64_t prompt = 512;
  std::int64_t generate = 300;          // at least 300 for percentiles
  int threads = 0;
  std::string backend = "cpu";
  kernels::Activations activations = kernels::Activations::kQ8;
};

struct BenchResult {
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0, time_to_first_token_seconds = 0;
  double p50 = 0, p95 = 0, p99 = 0;     // seconds per generated token
  std::uint64_t peak_memory_bytes = 0;  // of the process
  MemoryByPart memory;
  int threads = 0;
  std::string device;
  std::string activations;
  std::vector<double> token_seconds;    // every generated token
  double load_seconds = 0;
};

// In this process. Warm-up first; the prompt is a fixed pseudo-random sequence of ids.
Result<BenchResult> bench(std::shared_ptr<const Model> model, const BenchOptions& options, const JobContext& job);

std::string bench_to_json(const BenchResult& result);
Result<BenchResult> bench_from_json(std::string_view json);

// Starts `program bench MODEL --json …` as a child: first to be killed when memory runs out, with a memory limit, ended
// when its parent ends. Errors: kChildFailed with its last words, kOutOfMemory, kCanceled.
Result<BenchResult> run_bench_child(const std::filesystem::path& program, const std::filesystem::path& model,
                                    const BenchOptions& options, const JobContext& job);
// The `retort` program beside this one.
std::filesystem::path worker_program();

}  // namespace retort
