// What the student designer shows of a teacher and of a design: rows of blocks, and the design that a click leaves.
#pragma once

#include <QString>
#include <vector>

#include "core/distill/distill_recipe.h"
#include "ui/services/model_service.h"
#include "ui/widgets/block_strips.h"

namespace retort::ui {

struct TeacherShape {
  QString name;
  std::int64_t layers = 0, heads = 0, groupedHeads = 1, hidden = 0, headSize = 0, feedForward = 0, vocabulary = 0, positions = 0;
  std::int64_t parameters = 0;
  SourceKind kind = SourceKind::kClassifier;
  bool gguf = false;            // from a file of that format; else from a folder
  bool tied = false;            // hidden size is heads × the size of a head: they change together
  QString vocabularyProblem;    // why it can't be trimmed; empty: it can
};

TeacherShape teacherShape(const LoadedModel& loaded);

enum class ShapeRow { Layers, Heads, Hidden, FeedForward, Vocabulary };
// The rows for this teacher, in the order of `which`.
std::vector<BlockRow> blockRows(const TeacherShape& teacher, const distill::StudentDesign& design, std::vector<ShapeRow>& which);

// The layers that stay; empty where only their number is known (by importance).
std::vector<std::int64_t> keptLayers(const TeacherShape& teacher, const distill::StudentDesign& design);
std::int64_t keptCount(const TeacherShape& teacher, const distill::StudentDesign& design);
// A layer taken away or given back. The last one stays.
distill::StudentDesign withLayerToggled(const TeacherShape& teacher, distill::StudentDesign design, std::int64_t layer);
// So many blocks of a row.
distill::StudentDesign withCount(const TeacherShape& teacher, distill::StudentDesign design, ShapeRow row, std::int64_t kept);

}  // namespace retort::ui
