// What `retort study show` prints.
#pragma once

#include "core/study/snapshot.h"

namespace retort::cli {

// Keys: candidates [{name, recipe, bytes, bits_per_weight, measurements}], recommendation; more may come, these stay.
std::string study_as_json(const StudySnapshot& snapshot);
void print_study(const StudySnapshot& snapshot);

}  // namespace retort::cli
