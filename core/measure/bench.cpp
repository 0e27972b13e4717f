#include "core/measure/bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/evaluate/distribution.h"
#include "core/evaluate/statistics.h"
#include "core/model/device_backend.h"
#include "core/model/encoder_input.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kManyTokens = 4096;   // of an encoder's examples at once: enough for the linears

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Ids spread over the vocabulary: what they are does not matter, that rows of the embedding are touched does.
std::vector<TokenId> prompt_of(std::int64_t length, std::int64_t vocabulary) {
  std::vector<TokenId> ids;
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < length; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    ids.push_back(static_cast<TokenId>((state >> 33) % static_cast<std::uint64_t>(vocabulary)));
  }
  return ids;
}

std::uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

// As text is generated: a device hands over the token, the processor its logits.
Result<TokenId> next_token(Session& session, const BenchResult& on, std::int64_t last_row) {
  if (names_device(on.backend)) {
    RETORT_TRY(const Likeliest likeliest, session.likeliest(last_row));
    if (likeliest.token < 0) return Error{.code = ErrorCode::kNonFinite, .place = "logits"};
    return likeliest.token;
  }
  RETORT_TRY(const auto logits, session.logits(last_row, 1));
  return static_cast<TokenId>(arg_max(logits));
}

// What the device drew since `before`, for one of `tokens`; 0 where nothing counts.
double joules_each(const Backend& backend, std::optional<double> before, std::int64_t tokens) {
  const auto after = backend.joules();
  return before && after && tokens > 0 && *after > *before ? (*after - *before) / static_cast<double>(tokens) : 0;
}

void set_percentiles(BenchResult& result) {
  std::vector<double> sorted = result.token_seconds;
  std::sort(sorted.begin(), sorted.end());
  result.p50 = quantile(sorted, 0.50);
  result.p95 = quantile(sorted, 0.95);
  result.p99 = quantile(sorted, 0.99);
}

// Encodes the batch and asks for the answers, where the model has any.
Result<void> encode_all(Session& session, const Model& model, const EncoderInput& input, const JobContext& job) {
  RETORT_CHECK(session.encode(input.batch(), job));
  if (model.graph.logits < 0) return {};
  const bool pools = model.graph.head == HeadKind::kSequenceLabels || model.graph.head == HeadKind::kEmbedding;
  RETORT_TRY([[maybe_unused]] const auto logits, session.logits(0, pools ? input.sequences() : input.tokens()));
  return {};
}

// Examples one by one for the latency, many at once for the rate.
Result<BenchResult> bench_encoder(const Model& model, const Backend& backend, Session& session, const BenchOptions& options, BenchResult result,
                                  Clock::time_point load_start, const JobContext& job) {
  const std::int64_t length = result.example_tokens;
  const std::vector<TokenId> ids = prompt_of(length, model.config.vocabulary);
  EncoderInput one(model.config), many(model.config);
  RETORT_CHECK(one.add(ids));
  for (std::int64_t tokens = 0; tokens < kManyTokens; tokens += length) RETORT_CHECK(many.add(ids));
  RETORT_CHECK(encode_all(session, model, many, job));   // warm-up
  for (int i = 0; i < 4; ++i) RETORT_CHECK(encode_all(session, model, one, job));
  result.load_seconds = seconds_since(load_start);

  // The middle of three: one interruption by another program does not decide.
  std::vector<double> passes;
  const double total = 3 + static_cast<double>(options.generate);
  const auto joules = backend.joules();
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    RETORT_CHECK(encode_all(session, model, many, job));
    passes.push_back(seconds_since(start));
    job.report({static_cast<double>(i) + 1, total, "examples", "many at once"});
  }
  result.joules_per_token = joules_each(backend, joules, 3 * many.tokens());
  std::sort(passes.begin(), passes.end());
  result.prefill_tokens_per_second = static_cast<double>(many.tokens()) / passes[1];
  for (std::int64_t i = 0; i < options.generate; ++i) {
    const auto start = Clock::now();
    RETORT_CHECK(encode_all(session, model, one, job));
    result.token_seconds.push_back(seconds_since(start));
    if (i % 16 == 0) job.report({3 + static_cast<double>(i), total, "examples", "one by one"});
  }
  set_percentiles(result);
  result.memory = session.memory();
  result.peak_memory_bytes = peak_resident_bytes();
  return result;
}

}  // namespace

Result<BenchResult> bench(std::shared_ptr<const Model> model, const BenchOptions& options, const JobContext& job) {
  if (options.prompt < 1 || options.generate < 1)
    return Error{.code = ErrorCode::kBadArgument, .place = "--prompt, --generate", .expected = "at least 1"};
  const bool encoder = !model->graph.causal;
  const auto load_start = Clock::now();
  RETORT_TRY(const auto backend, make_backend(options.backend, options.threads));
  RunOptions run;
  run.activations = options.activations;
  run.context = options.prompt + options.generate + 1;
  run.batch = std::min<std::int64_t>(options.prompt, 512);
  std::int64_t example = options.prompt;
  if (encoder && model->config.positions > 0) example = std::max<std::int64_t>(1, std::min(example, model->config.positions - model->config.position_offset));
  if (encoder) run.context = std::max<std::int64_t>(example, 512);
  RETORT_TRY(const auto session, backend->compile(model, run));
  BenchResult result;
  result.threads = backend->threads();
  result.backend = backend->name();
  result.device = backend->device();
  // Where 8 bits would do, a device takes f16.
  result.activations = options.activations == kernels::Activations::kF32 ? "f32" : names_device(options.backend) ? "f16" : "q8";
  if (encoder) {
    result.example_tokens = example;
    return bench_encoder(*model, *backend, *session, options, std::move(result), load_start, job);
  }

  const std::vector<TokenId> prompt = prompt_of(options.prompt, model->config.vocabulary);
  // Warm-up: weights come into memory, clocks rise, primitives are made.
  RETORT_CHECK(session->run(prompt, job));
  RETORT_TRY(TokenId token, next_token(*session, result, options.prompt - 1));
  for (int i = 0; i < 4 && i < options.generate; ++i) {
    RETORT_CHECK(session->run(std::span(&token, 1), job));
    RETORT_TRY(token, next_token(*session, result, 0));
  }
  result.load_seconds = seconds_since(load_start);

  // The middle of three prompts: one interruption by another program does not decide.
  std::vector<double> first_tokens;
  for (int i = 0; i < 3; ++i) {
    session->rewind(0);
    const auto start = Clock::now();
    RETORT_CHECK(session->run(prompt, job));
    RETORT_TRY(token, next_token(*session, result, options.prompt - 1));
    first_tokens.push_back(seconds_since(start));
    job.report({static_cast<double>(i) + 1, 3 + static_cast<double>(options.generate), "tokens", "prompt"});
  }
  std::sort(first_tokens.begin(), first_tokens.end());
  result.time_to_first_token_seconds = first_tokens[1];
  result.prefill_tokens_per_second = static_cast<double>(options.prompt) / first_tokens[1];

  const auto joules = backend->joules();
  const auto decode_start = Clock::now();
  for (std::int64_t i = 0; i < options.generate; ++i) {
    const auto start = Clock::now();
    RETORT_CHECK(session->run(std::span(&token, 1), job));
    RETORT_TRY(token, next_token(*session, result, 0));
    result.token_seconds.push_back(seconds_since(start));
    if (i % 16 == 0) job.report({3 + static_cast<double>(i), 3 + static_cast<double>(options.generate), "tokens", "decode"});
  }
  result.decode_tokens_per_second = static_cast<double>(options.generate) / seconds_since(decode_start);
  result.joules_per_token = joules_each(*backend, joules, options.generate);
  set_percentiles(result);
  result.memory = session->memory();
  result.peak_memory_bytes = peak_resident_bytes();
  return result;
}

std::string bench_to_json(const BenchResult& result) {
  nlohmann::json out = {
      {"prefill_tokens_per_second", result.prefill_tokens_per_second},
      {"latency_seconds", {{"p50", result.p50}, {"p95", result.p95}, {"p99", result.p99}}},
      {"peak_memory_bytes", result.peak_memory_bytes},
      {"memory_bytes", {{"weights", result.memory.weights}, {"kv_cache", result.memory.kv_cache}, {"work_space", result.memory.work_space}}},
      {"threads", result.threads}, {"backend", result.backend}, {"device", result.device}, {"activations", result.activations},
      {"load_seconds", result.load_seconds}, {"token_seconds", result.token_seconds}};
  if (result.joules_per_token > 0) out["joules_per_token"] = result.joules_per_token;
  if (result.encoder()) {
    out["example_tokens"] = result.example_tokens;
  } else {
    out["decode_tokens_per_second"] = result.decode_tokens_per_second;
    out["time_to_first_token_seconds"] = result.time_to_first_token_seconds;
  }
  return out.dump();
}

Result<BenchResult> bench_from_json(std::string_view text) {
  try {
    const auto in = nlohmann::json::parse(text);
    BenchResult result;
    result.prefill_tokens_per_second = in.at("prefill_tokens_per_second").get<double>();
    result.example_tokens = in.value("example_tokens", std::int64_t{0});
    if (!result.encoder()) {
      result.decode_tokens_per_second = in.at("decode_tokens_per_second").get<double>();
      result.time_to_first_token_seconds = in.at("time_to_first_token_seconds").get<double>();
    }
    const auto& latency = in.at("latency_seconds");
    result.p50 = latency.at("p50").get<double>();
    result.p95 = latency.at("p95").get<double>();
    result.p99 = latency.at("p99").get<double>();
    result.peak_memory_bytes = in.at("peak_memory_bytes").get<std::uint64_t>();
    const auto& memory = in.at("memory_bytes");
    result.memory.weights = memory.at("weights").get<std::uint64_t>();
    result.memory.kv_cache = memory.at("kv_cache").get<std::uint64_t>();
    result.memory.work_space = memory.at("work_space").get<std::uint64_t>();
    result.threads = in.at("threads").get<int>();
    result.backend = in.value("backend", "cpu");   // studies of before devices have none
    result.device = in.at("device").get<std::string>();
    result.joules_per_token = in.value("joules_per_token", 0.0);
    result.activations = in.at("activations").get<std::string>();
    result.load_seconds = in.value("load_seconds", 0.0);
    result.token_seconds = in.value("token_seconds", std::vector<double>{});
    return result;
  } catch (const nlohmann::json::exception& exception) {
    return Error{.code = ErrorCode::kChildFailed, .place = "speed and memory", .found = exception.what()};
  }
}

}  // namespace retort
