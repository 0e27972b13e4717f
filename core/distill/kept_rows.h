// KeptRows: a decoder teacher's answers to one example, compressed: of each row the most likely classes and what is left of
// the probability as one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/distill/losses.h"

namespace retort::distill {

struct KeptRow {
  std::vector<std::int32_t> classes;      // the most likely first; none: nothing is known about this row
  std::vector<float> probabilities;       // at the loss's temperature
  TeacherRow view() const noexcept { return {.logits = {}, .classes = classes, .probabilities = probabilities}; }
};
using KeptRows = std::vector<KeptRow>;

// The at most `top` most likely of `probabilities`; fewer where they hold all but 0.0001 of the whole.
KeptRow keep_top(std::span<const float> probabilities, std::size_t top);

// Five bytes for each class (24 bits of number, the probability's logarithm in f16), four for each row (how many; the
// logarithm of the rest).
std::vector<std::byte> pack_rows(const KeptRows& rows);
// Errors: kCorrupt (another number of rows, a class outside `classes`, bytes missing or left over).
Result<KeptRows> unpack_rows(std::span<const std::byte> bytes, std::size_t rows, std::int64_t classes);

}  // namespace retort::distill
