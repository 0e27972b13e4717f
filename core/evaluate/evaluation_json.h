// Evaluations as JSON: study files, `retort eval --json` and `--examples` use the same keys.
#pragma once

#include <string>

#include "core/evaluate/metrics.h"

namespace retort {

std::string evaluation_to_json(const Evaluation& evaluation, bool with_rows);
// Errors: kCorrupt.
Result<Evaluation> evaluation_from_json(std::string_view json);
// One line per row, for --examples.
std::string row_to_json(const Evaluation::Row& row);

}  // namespace retort
