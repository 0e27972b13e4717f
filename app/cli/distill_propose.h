// `retort distill --propose`: students that fit a target, printed.
#pragma once

#include "core/distill/propose.h"

namespace retort::cli {

// Errors: those of propose_students.
Result<void> propose(const Model& teacher, const distill::DistillRecipe& recipe, const distill::StudentTarget& target, int threads, bool json);

}  // namespace retort::cli
