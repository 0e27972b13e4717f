#include "app/cli/distill_propose.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/cli/commands.h"

namespace retort::cli {
namespace {

nlohmann::ordered_json proposal_json(const distill::StudentProposal& proposal, const distill::DistillRecipe& recipe) {
  const distill::StudentPrediction& p = proposal.prediction;
  return {{"text", proposal.text()}, {"layer_parameters", proposal.layer_parameters}, {"parameters", p.parameters}, {"bytes", p.bytes},
          {"memory_bytes", p.memory}, {"latency_seconds", p.latency_seconds}, {"prefill_tokens_per_second", p.tokens_per_second},
          {"training_seconds", p.training_seconds}, {"recipe", nlohmann::ordered_json::parse(distill::distill_recipe_to_json(proposal.taken_into(recipe)))}};
}

}  // namespace

Result<void> propose(const Model& teacher, const distill::DistillRecipe& recipe, const distill::StudentTarget& target, int threads, bool json) {
  RETORT_TRY(const auto proposals, distill::propose_students(teacher, recipe, target, threads));
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const auto& proposal : proposals) out.push_back(proposal_json(proposal, recipe));
    fmt::print("{}\n", nlohmann::ordered_json{{"proposals", out}}.dump(2));
    return {};
  }
  if (proposals.empty()) {
    fmt::print("Nothing fits: even one layer in 4 bits is more than that\n");
    return {};
  }
  std::size_t wide = 7;
  for (const auto& proposal : proposals) wide = std::max(wide, proposal.text().size());
  fmt::print("{:<{}}  {:>10} {:>10} {:>10} {:>10}\n", "student", wide, "in layers", "file", "memory", teacher.graph.causal ? "token" : "text");
  for (const auto& proposal : proposals) {
    const distill::StudentPrediction& p = proposal.prediction;
    fmt::print("{:<{}}  {:>8.1f} M {:>10} {:>10} {:>7.2f} ms\n", proposal.text(), wide, static_cast<double>(proposal.layer_parameters) / 1e6, human_bytes(p.bytes),
               human_bytes(p.memory), 1e3 * p.latency_seconds);
  }
  fmt::print("predicted for this machine's processor; nothing was trained. --json prints the recipe of each\n");
  return {};
}

}  // namespace retort::cli
