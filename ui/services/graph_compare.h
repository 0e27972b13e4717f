// An ONNX graph beside what static quantization makes of it, on inputs of the user's.
#pragma once

#include <QString>

#include "core/onnx/compare.h"

namespace retort::ui {

struct GraphComparison {
  std::vector<onnx::GraphFigures> figures;   // the graph, all of it in INT8, and the mix where there is one
  onnx::SensitivityReport sensitivity;
};
// In a worker. What is made is written into a folder that is gone afterwards. Errors: those of make_int8_variants and compare_graphs.
Result<GraphComparison> compareWithInt8(const QString& graph, const QString& calibration, const QString& data, const JobContext& job);

// A line of the table: a label and a cell for each graph.
struct ComparisonRow {
  QString label;
  QStringList cells;
  QString hover;
  bool heading = false;   // the name of an output, above its lines
};
std::vector<ComparisonRow> comparisonRows(const GraphComparison& comparison);

}  // namespace retort::ui
