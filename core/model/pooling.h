// What a sentence encoder and a classifier make of a sequence's rows.
#pragma once

#include <cstdint>

#include "core/model/graph.h"

namespace retort {

// One row of a sequence's: rows [tokens, width] → out [width], tokens >= 1. Sums are f64.
void pool_sequence(Pool pool, const float* rows, std::int64_t tokens, std::int64_t width, float* out);

}  // namespace retort
