// Compared ONNX graphs as a table and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/onnx/compare.h"

namespace retort::cli {

nlohmann::ordered_json difference_json(const onnx::OutputDifference& output);
nlohmann::ordered_json figures_json(const onnx::GraphFigures& figures);
// Side by side, a column for each graph; the first is the reference.
void print_figures(const std::vector<onnx::GraphFigures>& all);
// What the figures mean and what they don't.
void print_figures_note(const std::vector<onnx::GraphFigures>& all);
// Which nodes stayed in f32 and why: what each alone does to the outputs.
void print_sensitivity(const onnx::SensitivityReport& report);

}  // namespace retort::cli
