#include "app/cli/study_show.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <span>

#include "app/cli/commands.h"
#include "core/formats/json_text.h"

namespace retort::cli {
namespace {

using Json = nlohmann::ordered_json;

Json figure_json(const Figure& figure) { return {{"value", figure.value}, {"low", figure.low}, {"high", figure.high}}; }

Json measurements_json(const CandidateInfo& candidate) {
  Json out = Json::object();
  for (const auto& [name, evaluation] : candidate.evaluations) {
    Json one = {{"task", evaluation.task}, {"n", evaluation.n}, {"activations", evaluation.activations}};
    for (const auto& [metric, figure] : evaluation.figures) one[metric] = figure_json(figure);
    out[name] = std::move(one);
  }
  if (candidate.bench) {
    Json bench = Json::parse(bench_to_json(*candidate.bench));
    bench.erase("token_seconds");
    out["bench"] = std::move(bench);
  }
  if (candidate.device_bench) {
    Json bench = Json::parse(bench_to_json(*candidate.device_bench));
    bench.erase("token_seconds");
    out["device_bench"] = std::move(bench);
  }
  return out;
}

const char* state_name(CandidateState state) {
  switch (state) {
    case CandidateState::kPlanned: return "planned";
    case CandidateState::kQuantizing: return "quantizing";
    case CandidateState::kMeasuring: return "measuring";
    case CandidateState::kDone: return "done";
    case CandidateState::kFailed: return "failed";
  }
  return "";
}

Json stage_json(const StageInfo& stage) {
  Json figures = Json::object();
  for (const auto& [name, figure] : stage.figures) figures[name] = figure_json(figure);
  Json out = {{"name", stage.name}, {"bytes", stage.bytes}, {"figures", std::move(figures)}};
  if (!stage.warning.empty()) out["warning"] = stage.warning;
  return out;
}

Json candidate_json(const CandidateInfo& candidate) {
  Json out = {{"name", candidate.name}, {"plain", candidate.plain}, {"state", state_name(candidate.state)}, {"chosen", candidate.chosen},
              {"original", candidate.is_original}, {"recipe", Json::parse(recipe_to_json(candidate.recipe))}, {"bytes", candidate.bytes},
              {"bytes_predicted", candidate.bytes_predicted}, {"bits_per_weight", candidate.bits_per_weight}};
  if (!candidate.failure.empty()) out["failure"] = candidate.failure;
  out["fallbacks"] = Json::array();
  for (const auto& [tensor, text] : candidate.fallbacks) out["fallbacks"].push_back({{"tensor", tensor}, {"what", text}});
  Json figures = Json::object();
  for (const char* name : {"kld_mean", "perplexity", "top1_agreement", "accuracy", "macro_f1", "decode", "prefill", "time_to_first_token", "p50", "p95", "p99", "peak_memory",
                           "device_decode", "device_prefill", "device_time_to_first_token", "device_p50", "device_p95", "device_p99", "device_memory", "device_energy"})
    if (const auto figure = candidate.figure(name)) figures[name] = figure_json(*figure);
  out["figures"] = std::move(figures);
  for (const StageInfo& stage : candidate.stages) out["stages"].push_back(stage_json(stage));
  out["measurements"] = measurements_json(candidate);
  out["command"] = candidate.command_line;
  return out;
}

std::string shown(const CandidateInfo& candidate, const char* name, double scale, const char* format) {
  const auto figure = candidate.figure(name);
  return figure ? fmt::format(fmt::runtime(format), scale * figure->value) : "–";
}

// One column of the table: what it shows of whom, in what unit.
struct Column {
  const char *title, *figure, *format;
  double scale;
  int width;
};
constexpr std::size_t kLongestName = 60;   // bytes; longer ones push their row to the right
constexpr Column kLanguage[] = {{"MB", "size", "{:.1f}", 1e-6, 9}, {"bpw", "bits_per_weight", "{:.2f}", 1, 6}, {"KLD", "kld_mean", "{:.5f}", 1, 10},
                                {"ppl", "perplexity", "{:.3f}", 1, 9}, {"same %", "top1_agreement", "{:.1f}", 100, 7}, {"right %", "accuracy", "{:.1f}", 100, 7},
                                {"first ms", "time_to_first_token", "{:.0f}", 1000, 8}, {"tok/s", "decode", "{:.1f}", 1, 8}, {"peak MB", "peak_memory", "{:.0f}", 1e-6, 8}};
constexpr Column kClasses[] = {{"MB", "size", "{:.1f}", 1e-6, 9}, {"bpw", "bits_per_weight", "{:.2f}", 1, 6}, {"right %", "accuracy", "{:.2f}", 100, 8},
                               {"F1 %", "macro_f1", "{:.2f}", 100, 7}, {"same %", "top1_agreement", "{:.1f}", 100, 7}, {"KLD", "kld_mean", "{:.5f}", 1, 10},
                               {"p50 ms", "p50", "{:.2f}", 1000, 8}, {"p99 ms", "p99", "{:.2f}", 1000, 8}, {"tok/s", "prefill", "{:.0f}", 1, 8},
                               {"peak MB", "peak_memory", "{:.0f}", 1e-6, 8}};

std::span<const Column> columns_of(const StudySnapshot& snapshot) {
  if (snapshot.source && snapshot.source->kind != SourceKind::kLanguageModel) return kClasses;
  return kLanguage;
}

// A student's staircase, under the same columns.
void print_stages(const CandidateInfo& candidate, std::span<const Column> columns, std::size_t width) {
  for (const StageInfo& stage : candidate.stages) {
    fmt::print("    {:<{}}", (&stage == candidate.stages.data() ? "" : "→ ") + stage.name, width - 2);
    for (const Column& column : columns) {
      const auto figure = stage.figures.find(column.figure);
      std::string text = "–";
      if (std::string_view(column.figure) == "size" && stage.bytes > 0) text = fmt::format(fmt::runtime(column.format), column.scale * static_cast<double>(stage.bytes));
      else if (figure != stage.figures.end()) text = fmt::format(fmt::runtime(column.format), column.scale * figure->second.value);
      fmt::print(" {:>{}}", text, column.width);
    }
    fmt::print("\n");
    if (!stage.warning.empty()) fmt::print("      {}\n", stage.warning);
  }
}

// The same candidate on the study's device.
void print_device(const CandidateInfo& candidate) {
  if (!candidate.device_bench) return;
  const BenchResult& bench = *candidate.device_bench;
  std::string line = fmt::format("    on {}: ", bench.backend);
  if (bench.encoder()) line += fmt::format("{:.2f} ms a text, {:.0f} tokens/s of many", 1000 * bench.p50, bench.prefill_tokens_per_second);
  else line += fmt::format("first token {:.1f} ms, prefill {:.0f} tokens/s, decode {:.1f} tokens/s", 1000 * bench.time_to_first_token_seconds,
                           bench.prefill_tokens_per_second, bench.decode_tokens_per_second);
  line += fmt::format(", {} on it", human_bytes(bench.memory.total()));
  if (bench.joules_per_token > 0) line += fmt::format(", {:.3f} J a token", bench.joules_per_token);
  fmt::print("{}\n", line);
}

}  // namespace

std::string study_as_json(const StudySnapshot& snapshot) {
  Json out = {{"study", snapshot.path.string()}, {"device", snapshot.device}, {"second_device", snapshot.second_device}, {"context", snapshot.context}};
  if (snapshot.source)
    out["source"] = {{"path", snapshot.source->path.string()}, {"name", snapshot.source->name}, {"bytes", snapshot.source->bytes},
                     {"digest", snapshot.source->digest.hex()}, {"quantized", snapshot.source->quantized ? Json(*snapshot.source->quantized) : Json()}};
  out["data"] = Json::array();
  for (const DataInfo& data : snapshot.data)
    out["data"].push_back({{"name", data.name}, {"path", data.path.string()}, {"kind", data_kind_name(data.kind)}, {"role", data_role_name(data.role)},
                           {"examples", data.examples}, {"tokens", data.tokens}, {"overlap", data.overlap_warning}});
  out["candidates"] = Json::array();
  for (const CandidateInfo& candidate : snapshot.candidates) out["candidates"].push_back(candidate_json(candidate));
  const Recommendation& take = snapshot.recommendation;
  Json name;
  for (const CandidateInfo& candidate : snapshot.candidates)
    if (take.candidate == candidate.id) name = candidate.name;
  out["recommendation"] = {{"candidate", name}, {"what", take.what}, {"why", take.why}, {"runner_up", take.runner_up},
                           {"would_change", take.would_change}, {"missing", take.missing}};
  return formats::json_text(out, 2);
}

void print_study(const StudySnapshot& snapshot) {
  if (snapshot.source)
    fmt::print("{} · {} · {} · {:.2f} bits per weight{}\n", snapshot.name, snapshot.source->name, human_bytes(snapshot.source->bytes),
               snapshot.source->bits_per_weight, snapshot.source->quantized ? " · already quantized: " + *snapshot.source->quantized : "");
  for (const DataInfo& data : snapshot.data) {
    fmt::print("  {:<12} {} · {} · {} examples · {} tokens\n", data_role_name(data.role), data.name, data_kind_name(data.kind), data.examples, data.tokens);
    if (!data.overlap_warning.empty()) fmt::print("               {}\n", data.overlap_warning);
  }
  const std::span<const Column> columns = columns_of(snapshot);
  std::size_t width = 28;
  for (const CandidateInfo& candidate : snapshot.candidates) width = std::max(width, std::min(candidate.name.size(), kLongestName));
  fmt::print("\n{:<{}}", "candidate", width + 2);
  for (const Column& column : columns) fmt::print(" {:>{}}", column.title, column.width);
  fmt::print("\n");
  for (const CandidateInfo& candidate : snapshot.candidates) {
    const bool chosen = snapshot.recommendation.candidate == candidate.id;
    fmt::print("{} {:<{}}", chosen ? "*" : " ", candidate.name, width);
    for (const Column& column : columns) fmt::print(" {:>{}}", shown(candidate, column.figure, column.scale, column.format), column.width);
    fmt::print("{}\n", candidate.chosen ? "" : "  (not chosen)");
    print_device(candidate);
    print_stages(candidate, columns, width);
    if (!candidate.failure.empty()) fmt::print("    failed: {}\n", candidate.failure);
  }
  const Recommendation& take = snapshot.recommendation;
  fmt::print("\n");
  for (const std::string& line : {take.what, take.why, take.runner_up.empty() ? "" : "Runner-up: " + take.runner_up, take.would_change, take.missing})
    if (!line.empty()) fmt::print("{}\n", line);
}

}  // namespace retort::cli
