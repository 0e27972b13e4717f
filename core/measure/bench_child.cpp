// Speed and memory of one model alone: `retort bench` as a child, so that a model that runs out of memory takes nothing down
// with it.
#include "core/measure/bench.h"
#include "core/measure/hardware.h"
#include "core/measure/worker.h"
#include "core/model/device_backend.h"

namespace retort {

Result<BenchResult> run_bench_child(const std::filesystem::path& program, const std::filesystem::path& model,
                                    const BenchOptions& options, const JobContext& job) {
  std::vector<std::string> words = {program.string(), "bench", model.string(), "--json",
                                    "--prompt", std::to_string(options.prompt), "--generate", std::to_string(options.generate),
                                    "--threads", std::to_string(options.threads), "--backend", options.backend,
                                    "--activations", options.activations == kernels::Activations::kQ8 ? "q8" : "f32"};
  // Drivers reserve address space for the device's memory beside the machine's.
  const std::uint64_t limit = names_device(options.backend) ? kUnlimitedMemory : describe_hardware().memory_bytes;
  RETORT_TRY(const std::string text, run_worker(std::move(words), limit, model.string(), "speed and memory", job));
  return bench_from_json(text);
}

}  // namespace retort
