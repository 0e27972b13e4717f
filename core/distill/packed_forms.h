// What a packing stage makes of each matrix of a student, before it is done: levels of GGUF as llama.cpp mixes them, INT8
// with a scale per row, or a grid for folders.
#pragma once

#include <vector>

#include "core/distill/distill_recipe.h"
#include "core/distill/grids.h"
#include "core/formats/writers.h"
#include "core/model/model.h"

namespace retort::distill {

struct WeightForm {
  WeightId id = kNoWeight;
  TensorType type = TensorType::kF32;   // kI8: with a scale per row; blocks of a level; F16. With a grid: unused
  const Grid* grid = nullptr;
  std::int64_t group = 0;               // of the grid: weights of one row under one scale
  bool per_tensor = false;              // of the grid: all rows have the same scale
};

// Whether the level is written as a folder; else as a GGUF file.
bool folder_level(std::string_view level) noexcept;
// INT8 in its plain form, a scale per row, which inference multiplies in integers.
bool keeps_row_scales(const TrainStage& stage) noexcept;

// Of every matrix that the stage packs or rounds. Folder levels take the linears; tables that are looked up and a
// vocabulary's head follow `embedding_bits`, a head of less than 16 outputs stays F16, as quantizers of classifiers do.
// Errors: those of plan_level, kUnsupported (a group that doesn't divide the inputs).
Result<std::vector<WeightForm>> weight_forms(const Model& student, const TrainStage& stage, bool has_importance);

// The tensors of a weight in a grid as its folder names them, without their data: codes first, then scales, then the rest.
// `name` is the weight's own, which ends in ".weight". Errors: kUnsupported (it doesn't).
Result<std::vector<TensorToWrite>> grid_tensors(const std::string& name, std::int64_t rows, std::int64_t columns, const Grid& grid, std::int64_t group);
// What bitsandbytes' folders say about a weight, as JSON.
std::string nf4_state(std::int64_t rows, std::int64_t columns);
// Bytes of codes and scales.
std::uint64_t grid_bytes(std::int64_t rows, std::int64_t columns, const Grid& grid, std::int64_t group) noexcept;

}  // namespace retort::distill
