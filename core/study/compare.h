// Two candidates on the same rows: what "better" and "worse" rest on.
#pragma once

#include <map>
#include <string>

#include "core/evaluate/statistics.h"

namespace retort {

using Evaluations = std::map<std::string, Evaluation>;   // by data set

// KL divergence from the original, row by row, over all sets that both were measured on.
Comparison compare_loss(const Evaluations& a, const Evaluations& b);
// Right and wrong answers, the same way.
Comparison compare_answers(const Evaluations& a, const Evaluations& b);

// Whether a task answers: choices, exact answers, classes. The others score running text.
bool is_answers_task(const std::string& task) noexcept;

}  // namespace retort
