// Writes a model that came from a folder as a folder again: dense tensors as the model holds them, INT8 linears in
// compressed-tensors' int-quantized form (a scale per row), configuration and tokenizer beside them.
#pragma once

#include <filesystem>

#include "core/export/gguf_export.h"
#include "core/model/model.h"

namespace retort {

// Whether INT8 packs a weight where it is written as a folder: what linears compute with; other matrices are rounded to F16.
bool folder_packs_int8(const Graph& graph, WeightId weight) noexcept;

// The weights are those of the model's handles; one of I8 has row scales. The folder appears whole or not at all.
// Errors: kUnsupported (a source that is a GGUF file; a type that safetensors lacks: names the tensor, says what to do),
// kConflict (the output exists), those of write_safetensors.
Result<ExportReport> export_folder(const Model& model, const std::filesystem::path& output, const JobContext& job);

}  // namespace retort
