// Recipe: an ordered list of stages with their parameters, a JSON document. No stages: the source as it is stored.
#pragma once

#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/quantize/levels.h"

namespace retort {

// One step. `kind` is "quantize" today; distill, fine-tune, smooth … come as further kinds with their own parameters.
struct Stage {
  std::string kind = "quantize";
  std::string level;                      // "Q4_K_M", "F16", "INT8"
  bool importance = false;                // importance matrix from the study's calibration text
  std::vector<TypeOverride> overrides;    // types by pattern, first match wins
};

struct Recipe {
  std::string name;                       // "Q4_K_M + importance matrix"
  std::vector<Stage> stages;
  // Activations it is meant to run with: "q8" or "f32". For `--activations recipe`.
  std::string activations = "q8";
};

// {"name": …, "stages": [{"kind": "quantize", "level": "Q4_K_M", "importance": true,
//   "overrides": [{"pattern": "…", "type": "Q8_0"}]}], "activations": "q8"}; resources/recipe.schema.json says the same.
std::string recipe_to_json(const Recipe& recipe);
// Errors: kBadRecipe naming the place ("stages[0].level") and what is allowed there.
Result<Recipe> recipe_from_json(std::string_view json);
// Of what it does, its name aside: candidates with equal digests share their measurements.
Digest recipe_digest(const Recipe& recipe);
// The presets of the window and of `retort study new`: every level, with importance where it matters.
std::vector<Recipe> preset_recipes();

}  // namespace retort
