#include "app/cli/study_show.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"

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

Json candidate_json(const CandidateInfo& candidate) {
  Json out = {{"name", candidate.name}, {"plain", candidate.plain}, {"state", state_name(candidate.state)}, {"chosen", candidate.chosen},
              {"original", candidate.is_original}, {"recipe", Json::parse(recipe_to_json(candidate.recipe))}, {"bytes", candidate.bytes},
              {"bytes_predicted", candidate.bytes_predicted}, {"bits_per_weight", candidate.bits_per_weight}};
  if (!candidate.failure.empty()) out["failure"] = candidate.failure;
  out["fallbacks"] = Json::array();
  for (const auto& [tensor, text] : candidate.fallbacks) out["fallbacks"].push_back({{"tensor", tensor}, {"what", text}});
  Json figures = Json::object();
  for (const char* name : {"kld_mean", "perplexity", "top1_agreement", "accuracy", "decode", "prefill", "time_to_first_token", "peak_memory"})
    if (const auto figure = candidate.figure(name)) figures[name] = figure_json(*figure);
  out["figures"] = std::move(figures);
  out["measurements"] = measurements_json(candidate);
  out["command"] = candidate.command_line;
  return out;
}

std::string shown(const CandidateInfo& candidate, const char* name, double scale, const char* format) {
  const auto figure = candidate.figure(name);
  return figure ? fmt::format(fmt::runtime(format), scale * figure->value) : "–";
}

}  // namespace

std::string study_as_json(const StudySnapshot& snapshot) {
  Json out = {{"study", snapshot.path.string()}, {"device", snapshot.device}, {"context", snapshot.context}};
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
  return out.dump(2, ' ', false, Json::error_handler_t::replace);
}

void print_study(const StudySnapshot& snapshot) {
  if (snapshot.source)
    fmt::print("{} · {} · {} · {:.2f} bits per weight{}\n", snapshot.name, snapshot.source->name, human_bytes(snapshot.source->bytes),
               snapshot.source->bits_per_weight, snapshot.source->quantized ? " · already quantized: " + *snapshot.source->quantized : "");
  for (const DataInfo& data : snapshot.data) {
    fmt::print("  {:<12} {} · {} · {} examples · {} tokens\n", data_role_name(data.role), data.name, data_kind_name(data.kind), data.examples, data.tokens);
    if (!data.overlap_warning.empty()) fmt::print("               {}\n", data.overlap_warning);
  }
  fmt::print("\n{:<30} {:>9} {:>6} {:>10} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8}\n", "candidate", "MB", "bpw", "KLD", "ppl", "same %", "right %", "first ms", "tok/s", "peak MB");
  for (const CandidateInfo& candidate : snapshot.candidates) {
    const bool chosen = snapshot.recommendation.candidate == candidate.id;
    fmt::print("{} {:<28} {:>9} {:>6} {:>10} {:>9} {:>7} {:>7} {:>8} {:>8} {:>8}{}\n", chosen ? "*" : " ", candidate.name, shown(candidate, "size", 1e-6, "{:.1f}"),
               shown(candidate, "bits_per_weight", 1, "{:.2f}"), shown(candidate, "kld_mean", 1, "{:.5f}"), shown(candidate, "perplexity", 1, "{:.3f}"),
               shown(candidate, "top1_agreement", 100, "{:.1f}"), shown(candidate, "accuracy", 100, "{:.1f}"), shown(candidate, "time_to_first_token", 1000, "{:.0f}"),
               shown(candidate, "decode", 1, "{:.1f}"), shown(candidate, "peak_memory", 1e-6, "{:.0f}"), candidate.chosen ? "" : "  (not chosen)");
    if (!candidate.failure.empty()) fmt::print("    failed: {}\n", candidate.failure);
  }
  const Recommendation& take = snapshot.recommendation;
  fmt::print("\n");
  for (const std::string& line : {take.what, take.why, take.runner_up.empty() ? "" : "Runner-up: " + take.runner_up, take.would_change, take.missing})
    if (!line.empty()) fmt::print("{}\n", line);
}

}  // namespace retort::cli
