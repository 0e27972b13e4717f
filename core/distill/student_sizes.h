// Narrower students: where a configuration states heads, feed-forward and hidden size, and what follows for the tensors.
#pragma once

#include "core/distill/student.h"

namespace retort::distill {

// The sizes of the design in the checkpoint's configuration (config.json or metadata); tensors are left as they are.
// Query heads go with their key/value heads, so their number is a multiple of the group.
// Errors: kBadRecipe (larger than the teacher's, or no multiple), kUnsupported (no such size under a known name; an
// architecture whose hidden size is heads × the size of a head, when only one of them changes).
Result<void> set_sizes(const Model& teacher, const StudentDesign& design, Checkpoint& checkpoint);

}  // namespace retort::distill
