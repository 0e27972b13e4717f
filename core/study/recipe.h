// Recipe: an ordered list of stages with their parameters, a JSON document. No stages: the source as it is stored. Or a
// student: a distillation with stages of its own.
#pragma once

#include <string>
#include <vector>

#include "core/base/digest.h"
#include "core/base/result.h"
#include "core/quantize/levels.h"

namespace retort {

// One step on the source's own weights. `kind` is "quantize" today.
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
  // A distillation recipe (core/distill/distill_recipe.h) as JSON; empty: none. Then `stages` is empty: the distillation's own
  // stages (distill, qat, quantize, repair) do all. Where it names no teacher that is the study's source; where it names no
  // data those are the study's sets with the role training.
  std::string student{};
};

// {"name": …, "stages": [{"kind": "quantize", "level": "Q4_K_M", "importance": true,
//   "overrides": [{"pattern": "…", "type": "Q8_0"}]}], "activations": "q8"}, or {"name": …, "student": {…}};
// resources/recipe.schema.json says the same.
std::string recipe_to_json(const Recipe& recipe);
// Errors: kBadRecipe naming the place ("stages[0].level") and what is allowed there.
Result<Recipe> recipe_from_json(std::string_view json);
// Of what it does, its name aside: candidates with equal digests share their measurements.
Digest recipe_digest(const Recipe& recipe);
// The presets of the window and of `retort study new`: every level, with importance where it matters.
std::vector<Recipe> preset_recipes();
// The names of the student's stages in order: "distill", "quantize INT8". Empty for a recipe without a student.
std::vector<std::string> student_stages(const Recipe& recipe);

}  // namespace retort
