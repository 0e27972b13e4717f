#include "core/study/presets.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace retort {
namespace {

using Json = nlohmann::ordered_json;

// What each preset of a student asks for. `layers` is a share of the source's; 0: all of them.
struct Design {
  std::string_view group, name, plain;
  double layers;
  std::string_view choice;
  bool trim = false;                        // fewer pieces in the vocabulary
  std::string_view level{};                 // "8-bit": what 8 bits are for this source; "": none
  bool quantize_while_training = false, repair = false, distill = true;
  bool smallest = false;                    // tables at 4 bits, no position that no text reaches
};
constexpr Design kDesigns[] = {
    {"Distill", "half the layers", "Every other layer stays and learns from the original's answers.", 0.5, "even"},
    {"Distill", "a third of the layers", "Faster still, and further from the original.", 1.0 / 3, "even"},
    {"Distill", "every second layer, DistilBERT's way", "Layers 0, 2, 4 … stay.", 0.5, "every_second"},
    {"Distill", "half the layers, fewer pieces", "The vocabulary is cut to what your text needs, at most 8,000 pieces.", 0.5, "even", true},
    {"Combine", "half the layers, then 8 bits", "A smaller student, then its weights as 8-bit numbers.", 0.5, "even", false, "8-bit"},
    {"Combine", "half the layers, 8 bits, repair", "What 8 bits cost the student is won back at the same size.", 0.5, "even", false, "8-bit", false, true},
    {"Combine", "half the layers, fewer pieces, 8 bits, repair", "A cut vocabulary besides.", 0.5, "even", true, "8-bit", false, true},
    {"Combine", "half the layers, fewer pieces, 4 bits", "Twenty times smaller than the original in f32: trained at four bits, tables included.", 0.5, "even", true, "4-bit", true, true, true, true},
    {"Combine", "4 bits, repair", "All layers at four bits, then scales and norms are trained on your text.", 0, "even", false, "4-bit", false, true, false},
    {"Combine", "2 bits, repair", "All layers at two bits, then scales and norms are trained on your text.", 0, "even", false, "2-bit", false, true, false},
    {"Combine", "trained at 4 bits", "All weights are trained as four bits round them.", 0, "even", false, "4-bit", true, false, false},
};

// The level of so many bits that a file of this source can hold; empty: none.
std::string level_for(const SourceInfo& source, std::string_view bits) {
  const bool folder_only = source.kind != SourceKind::kLanguageModel && !source.gguf;
  if (bits == "8-bit") return source.gguf ? "Q8_0" : "INT8";
  if (folder_only) return bits == "4-bit" ? "INT4" : "";
  return bits == "4-bit" ? "Q4_K_M" : "Q2_K";
}

Json loss_of(const SourceInfo& source) {
  if (source.kind == SourceKind::kClassifier) return {{"cross_entropy", 0.2}, {"forward_kl", 0.8}, {"temperature", 2}};
  return {{"cross_entropy", 0.2}, {"forward_kl", 0.8}, {"temperature", 1}};
}

Json training_of(const SourceInfo& source) {
  if (source.kind == SourceKind::kClassifier) return {{"steps", 2000}, {"batch", 32}, {"rate", 1.5e-4}, {"warmup", 0.05}, {"checkpoint_every", 100}};
  return {{"steps", 300}, {"batch", 4}, {"rate", 1e-4}, {"warmup", 0.05}, {"checkpoint_every", 20}};
}

Recipe recipe_of(const Design& design, const SourceInfo& source, std::int64_t layers) {
  Json student = {{"layers", layers}, {"choice", design.choice}};
  if (design.trim) {
    student["trim_vocabulary"] = true;
    student["most_pieces"] = 8000;
  }
  Json stages = Json::array();
  if (design.smallest) student["trim_positions"] = true;
  if (design.distill) stages.push_back({{"kind", "distill"}});
  if (!design.level.empty())
    stages.push_back({{"kind", design.quantize_while_training ? "qat" : "quantize"}, {"level", level_for(source, design.level)}});
  if (!stages.empty() && stages.back().value("level", "") == "INT4") stages.back()["group"] = 32;   // divides the rows of nearly every model
  if (design.smallest) {
    stages.back()["embedding_bits"] = 4;
    stages.back()["learned_scales"] = true;
    stages.back()["steps"] = 100;
    stages.back()["rate"] = 5e-5;
  }
  // Language models' repair follows the weights' importance on the training text.
  if (!design.level.empty() && source.kind == SourceKind::kLanguageModel && design.level != "8-bit") stages.back()["importance"] = true;
  if (design.repair) stages.push_back({{"kind", "repair"}, {"steps", source.kind == SourceKind::kClassifier ? 200 : 40}});
  const Json data = source.kind == SourceKind::kClassifier ? Json{{"validation_share", 0.02}, {"max_tokens", 64}} : Json{{"context", 256}};
  const Json json = {{"student", student}, {"data", data}, {"loss", loss_of(source)}, {"training", training_of(source)}, {"stages", stages}};
  Recipe recipe;
  recipe.name = std::string(design.name);
  recipe.student = json.dump();
  return recipe;
}

std::string problem_of(const Design& design, const SourceInfo& source, const std::vector<DataInfo>& data, std::int64_t layers) {
  if (source.kind == SourceKind::kEncoder)
    return "This encoder answers nothing that a student could learn from: it has neither classes nor next words.";
  if (source.layers == 0) return "Set the model as this study's source again: how many layers it has isn't known.";
  if (design.layers > 0 && layers >= source.layers) return fmt::format("The model has {} layer{}: too few to leave any out.", source.layers, source.layers == 1 ? "" : "s");
  if (design.trim && (source.kind != SourceKind::kClassifier || source.gguf)) return "Only classifiers from a folder can have their vocabulary cut.";
  if (!design.level.empty() && level_for(source, design.level).empty())
    return fmt::format("A folder of this architecture holds {} weights in no form that Retort writes.", design.level);
  const bool learns = std::any_of(data.begin(), data.end(), [&](const DataInfo& set) {
    return set.role == DataRole::kTraining && (set.kind == DataKind::kText || (source.kind == SourceKind::kClassifier && set.kind == DataKind::kLabelled));
  });
  if (!learns) return "There is nothing to learn from: add text with the role training on the Data page.";
  return {};
}

}  // namespace

std::vector<Preset> level_presets(const SourceInfo& source) {
  std::vector<Preset> list;
  const bool folder_only = source.kind != SourceKind::kLanguageModel && !source.gguf;
  for (Recipe& recipe : preset_recipes()) {
    const std::string level = recipe.stages.front().level;
    Preset preset{.recipe = std::move(recipe), .group = "Quantize", .plain = {}, .problem = {}};
    if (const Level* known = find_level(level)) preset.plain = std::string(known->plain);
    if (source.kind != SourceKind::kLanguageModel) {
      // Encoders are not run over calibration text.
      preset.recipe.stages.front().importance = false;
      preset.recipe.name = level;
    }
    if (folder_only && level != "INT8") preset.problem = "A folder of this architecture holds only INT8 and 16-bit weights; it can be measured, not exported.";
    list.push_back(std::move(preset));
  }
  if (folder_only) std::stable_partition(list.begin(), list.end(), [](const Preset& preset) { return preset.problem.empty(); });
  return list;
}

std::vector<Preset> student_presets(const SourceInfo& source, const std::vector<DataInfo>& data) {
  std::vector<Preset> list;
  for (const Design& design : kDesigns) {
    const std::int64_t layers = design.layers > 0 ? std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(source.layers) * design.layers + 0.5)) : 0;
    Preset preset{.recipe = recipe_of(design, source, layers), .group = std::string(design.group), .plain = std::string(design.plain),
                  .problem = problem_of(design, source, data, layers)};
    list.push_back(std::move(preset));
  }
  return list;
}

}  // namespace retort
