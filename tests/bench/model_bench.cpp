// Prefill and decode rates of a model file: model_bench MODEL [--threads N] [--prompt N] [--generate N] [--f32]
// [--repeat N] [--backend B]. The best of the repetitions and their median, to set beside `llama-bench -p N -n N`.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <random>
#include <string>

#include <fmt/format.h>

#include "core/base/error_text.h"
#include "core/model/backend.h"

using namespace retort;

namespace {

struct Options {
  std::string model, backend = "cpu";
  int threads = 0, repeat = 3;
  std::int64_t prompt = 512, generate = 128;
  bool f32 = false;
};

// Wall time and processor time of all threads: the second also says something on a machine that others use.
struct Timer {
  std::chrono::steady_clock::time_point wall = std::chrono::steady_clock::now();
  std::clock_t processor = std::clock();
  double wall_seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count(); }
  double processor_seconds() const { return static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC; }
};

struct Rates {
  std::vector<double> wall, processor;
  void add(const Timer& timer, std::int64_t tokens) {
    wall.push_back(static_cast<double>(tokens) / timer.wall_seconds());
    processor.push_back(static_cast<double>(tokens) / timer.processor_seconds());
  }
  void print(const std::string& what) {
    std::sort(wall.begin(), wall.end());
    std::sort(processor.begin(), processor.end());
    fmt::print("{:<6} {:8.1f} tokens/s (median {:.1f}); {:.1f} tokens per processor second\n", what, wall.back(),
               wall[wall.size() / 2], processor.back());
  }
};

Result<void> measure(const Options& options) {
  RETORT_TRY(Model opened, open_model(options.model));
  const auto model = std::make_shared<const Model>(std::move(opened));
  RETORT_TRY(const auto backend, make_backend(options.backend, options.threads));
  RunOptions wanted;
  wanted.activations = options.f32 ? kernels::Activations::kF32 : kernels::Activations::kQ8;
  wanted.context = std::max(options.prompt, options.generate) + 1;
  RETORT_TRY(const auto session, backend->compile(model, wanted));
  std::mt19937 random(1);
  std::vector<TokenId> prompt(static_cast<std::size_t>(options.prompt));
  for (TokenId& t : prompt) t = static_cast<TokenId>(random() % static_cast<unsigned>(model->config.vocabulary));

  Rates prefill, decode;
  for (int r = 0; r < options.repeat; ++r) {
    session->rewind(0);
    const Timer of_prompt;
    RETORT_CHECK(session->run(prompt, {}));
    RETORT_TRY([[maybe_unused]] const auto last, session->logits(options.prompt - 1, 1));
    prefill.add(of_prompt, options.prompt);
    session->rewind(0);
    const Timer of_decode;
    for (std::int64_t i = 0; i < options.generate; ++i) {
      RETORT_CHECK(session->run({&prompt[static_cast<std::size_t>(i) % prompt.size()], 1}, {}));
      RETORT_TRY([[maybe_unused]] const auto logits, session->logits(0, 1));
    }
    decode.add(of_decode, options.generate);
  }
  const MemoryByPart memory = session->memory();
  fmt::print("{}\n{}: {} MB weights, {} MB cache, {} MB work space\n", backend->device(), options.model,
             memory.weights / 1000000, memory.kv_cache / 1000000, memory.work_space / 1000000);
  prefill.print(fmt::format("pp{}", options.prompt));
  decode.print(fmt::format("tg{}", options.generate));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto next = [&] { return i + 1 < argc ? std::stoll(argv[++i]) : 0; };
    if (argument == "--threads") options.threads = static_cast<int>(next());
    else if (argument == "--prompt") options.prompt = next();
    else if (argument == "--generate") options.generate = next();
    else if (argument == "--repeat") options.repeat = static_cast<int>(next());
    else if (argument == "--f32") options.f32 = true;
    else if (argument == "--backend" && i + 1 < argc) options.backend = argv[++i];
    else options.model = argument;
  }
  if (options.model.empty() || options.prompt < 1 || options.generate < 1 || options.repeat < 1) {
    fmt::print(stderr, "usage: model_bench MODEL [--threads N] [--prompt N] [--generate N] [--repeat N] [--f32]\n");
    return 2;
  }
  if (const auto done = measure(options); !done) {
    fmt::print(stderr, "{}\n", error_text(done.error()));
    return 1;
  }
  return 0;
}
