// `retort bench MODEL`: speed and memory of one model in this process; also the child that studies start.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/cli/list.h"
#include "core/measure/bench.h"
#include "core/study/study.h"

namespace retort::cli {
namespace {

struct BenchArguments {
  CommonOptions common;
  std::string model;
  std::int64_t prompt = 0, generate = 300;   // 0: as long as is usual for the model
};

// The process' peak doesn't count what lies on a device.
void print_memory(const BenchResult& result) {
  const bool device = result.backend != "cpu" && result.backend != "reference";
  std::string parts = "weights " + human_bytes(result.memory.weights);
  if (!result.encoder()) parts += ", KV cache " + human_bytes(result.memory.kv_cache);
  parts += ", work space " + human_bytes(result.memory.work_space);
  fmt::print("Memory       {:>8} peak{}: {}\n", human_bytes(result.peak_memory_bytes),
             device ? fmt::format(" of the process; {} on the GPU", human_bytes(result.memory.total())) : "", parts);
  if (result.joules_per_token > 0) fmt::print("Energy       {:8.3f} J a token\n", result.joules_per_token);
}

void print_encoder(const BenchResult& result) {
  fmt::print("Many         {:8.1f} tokens/s   (examples of {} tokens, many at once)\n", result.prefill_tokens_per_second, result.example_tokens);
  fmt::print("One          {:8.2f} ms         ({} examples, one by one; p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms)\n", 1e3 * result.p50,
             result.token_seconds.size(), 1e3 * result.p50, 1e3 * result.p95, 1e3 * result.p99);
  print_memory(result);
}

Result<void> run(const BenchArguments& options, Context& context) {
  RETORT_TRY(Model model, open_model_or_candidate(options.model));
  BenchOptions wanted;
  wanted.prompt = options.prompt > 0 ? options.prompt : model.graph.causal ? BenchOptions().prompt : kEncoderExample;
  wanted.generate = options.generate;
  wanted.threads = options.common.threads;
  wanted.backend = options.common.backend;
  if (options.common.activations == "f32") wanted.activations = kernels::Activations::kF32;
  if (!options.common.json) show_progress(context);
  RETORT_TRY(const BenchResult result, bench(std::make_shared<const Model>(std::move(model)), wanted, context.job));
  end_progress();
  if (options.common.json) {
    fmt::print("{}\n", bench_to_json(result));
    return {};
  }
  fmt::print("Device       {}\nActivations  {}\n", result.device, result.activations);
  if (result.encoder()) {
    print_encoder(result);
    return {};
  }
  fmt::print("Prefill      {:8.1f} tokens/s   ({} tokens)\n", result.prefill_tokens_per_second, wanted.prompt);
  fmt::print("First token  {:8.1f} ms\n", 1e3 * result.time_to_first_token_seconds);
  fmt::print("Decode       {:8.1f} tokens/s   ({} tokens; p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms)\n",
             result.decode_tokens_per_second, options.generate, 1e3 * result.p50, 1e3 * result.p95, 1e3 * result.p99);
  print_memory(result);
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto options = std::make_shared<BenchArguments>();
  CLI::App* command = app.add_subcommand("bench", "Time to first token, prefill and decode rate, latency, memory");
  command->add_option("model", options->model, "GGUF file, Hugging Face folder or candidate")->required();
  command->add_option("--prompt", options->prompt, "Tokens of the prompt, or of an encoder's example")->check(CLI::PositiveNumber);
  command->add_option("--generate", options->generate, "Tokens to generate, or examples")->check(CLI::PositiveNumber);
  add_compute(*command, options->common);
  add_json(*command, options->common);
  command->callback([options, &context] { finish(context, run(*options, context)); });
}

}  // namespace retort::cli
