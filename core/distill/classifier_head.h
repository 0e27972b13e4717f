// A classifier of the user's own: a head on an encoder that has none, to be fitted on labelled texts (first alone, a linear
// probe, then with all weights), so that a teacher for a task can be made here.
#pragma once

#include <cstdint>
#include <vector>

#include "core/distill/parameters.h"
#include "core/model/model.h"

namespace retort::distill {

// The encoder as its architecture's class for sequence classification, with `classes` classes: the head's weights random
// (normal, 0.02, by `seed`), its biases 0, a pooler that the checkpoint has kept; tensors of other heads left out. The
// tensors get the prefix that transformers' class wants. Errors: kUnsupported (GGUF; an architecture without such a class; a
// model that classifies already), kBadArgument (fewer than two classes).
Result<Model> with_classifier(const Model& encoder, std::int64_t classes, std::uint64_t seed);

// By WeightId: whether a weight belongs to the head, which sees pooled states.
std::vector<bool> head_weights(const Graph& graph);

}  // namespace retort::distill
