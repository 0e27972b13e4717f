// What the Recipes page and `retort study new` offer for a source.
#pragma once

#include <string>
#include <vector>

#include "core/study/snapshot.h"

namespace retort {

struct Preset {
  Recipe recipe;
  std::string group;                        // "Quantize", "Distill", "Combine"
  std::string plain;                        // one line for people
  std::string problem;                      // one sentence why it can't work for this source and data; empty: it can
};

// The levels that suit the source: a classifier from a folder is written as a folder, so those that a folder holds come first.
std::vector<Preset> level_presets(const SourceInfo& source);
// Students of it. `data`: the study's sets; those with the role training are learned from.
std::vector<Preset> student_presets(const SourceInfo& source, const std::vector<DataInfo>& data);

}  // namespace retort
