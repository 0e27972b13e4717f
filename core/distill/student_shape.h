// The shape of a student before there is one: configuration, graph, names, types and sizes of its tensors, without a
// number of them. Arithmetic on the teacher's configuration, so that a designer can ask for it at every keystroke.
#pragma once

#include "core/distill/student.h"

namespace retort::distill {

// A model whose tensors have no data: for sizes, plans and checks, never to be run. `positions` (0: all) is the number of
// rows that the position table keeps; the vocabulary is that of the design (with trim_vocabulary and no most_pieces the
// teacher's: what a text needs isn't known before it is read). Types are those that the teacher's tensors have.
// Errors: those of kept_layers and keep_layers, kBadRecipe and kUnsupported for sizes that the architecture can't have.
Result<Model> shape_student(const Model& teacher, const StudentDesign& design, std::int64_t positions = 0);

}  // namespace retort::distill
