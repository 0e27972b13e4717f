// Which widths of a model belong together: a residual stream, the heads of a layer, the inside of its feed-forward. What is
// cut from one value must be cut from every value and weight of its group. Found in the graph, so that it holds for every
// architecture whose widths are plain.
#pragma once

#include <array>
#include <vector>

#include "core/model/model.h"

namespace retort::distill {

enum class WidthKind : std::uint8_t { kFixed, kHidden, kHeads, kFeedForward };

struct WidthGroup {
  WidthKind kind = WidthKind::kFixed;
  std::int64_t units = 0;     // kHeads: key/value heads, each with its query heads; else single values
};
// A value's or an axis' place in its group: `width` numbers of each unit, unit after unit. group -1: nothing to cut.
struct WidthUse {
  std::int32_t group = -1;
  std::int64_t width = 1;
};
struct Widths {
  std::vector<WidthGroup> groups;
  std::vector<WidthUse> values;                      // by ValueId
  std::vector<std::array<WidthUse, 2>> weights;      // by WeightId: outputs (or the only axis), inputs
};
Widths find_widths(const Model& model);

}  // namespace retort::distill
