#include "core/distill/packed_weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "core/quantize/quantizer.h"
#include "kernels/api/blocks.h"
#include "kernels/api/half.h"
#include "kernels/dispatch/ops.h"

namespace retort::distill {
namespace {

using namespace kernels;

constexpr std::size_t kNone = SIZE_MAX;
constexpr std::int64_t kTileWeights = 32768;   // about as many as a worker decodes at once

// Where a block's f16 scale lies, and its offset (or the scale of its offsets).
struct ScaleFields {
  TensorType type;
  std::size_t scale, offset;
};
constexpr std::array kFields = {
    ScaleFields{TensorType::kQ4_0, offsetof(BlockQ4_0, d), kNone}, ScaleFields{TensorType::kQ4_1, offsetof(BlockQ4_1, d), offsetof(BlockQ4_1, m)},
    ScaleFields{TensorType::kQ5_0, offsetof(BlockQ5_0, d), kNone}, ScaleFields{TensorType::kQ5_1, offsetof(BlockQ5_1, d), offsetof(BlockQ5_1, m)},
    ScaleFields{TensorType::kQ8_0, offsetof(BlockQ8_0, d), kNone}, ScaleFields{TensorType::kQ2_K, offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin)},
    ScaleFields{TensorType::kQ3_K, offsetof(BlockQ3_K, d), kNone}, ScaleFields{TensorType::kQ4_K, offsetof(BlockQ4_K, d), offsetof(BlockQ4_K, dmin)},
    ScaleFields{TensorType::kQ5_K, offsetof(BlockQ5_K, d), offsetof(BlockQ5_K, dmin)}, ScaleFields{TensorType::kQ6_K, offsetof(BlockQ6_K, d), kNone},
};

const ScaleFields* fields_of(TensorType type) noexcept {
  const auto found = std::find_if(kFields.begin(), kFields.end(), [&](const ScaleFields& f) { return f.type == type; });
  return found == kFields.end() ? nullptr : &*found;
}

float get_half(const std::byte* block, std::size_t at) noexcept {
  std::uint16_t half;
  std::memcpy(&half, block + at, sizeof half);
  return f16_to_f32(half);
}

void put_half(std::byte* block, std::size_t at, float value) noexcept {
  const std::uint16_t half = f32_to_f16(std::clamp(value, -65504.0f, 65504.0f));
  std::memcpy(block + at, &half, sizeof half);
}

template <class F>
void for_tiles(kernels::ThreadPool& pool, std::int64_t rows, std::int64_t columns, F&& f) {
  const std::int64_t tile = std::clamp<std::int64_t>(kTileWeights / std::max<std::int64_t>(columns, 1), 1, std::max<std::int64_t>(rows, 1));
  pool.parallel_for(static_cast<std::size_t>((rows + tile - 1) / tile), [&](std::size_t index, int) {
    const std::int64_t first = static_cast<std::int64_t>(index) * tile;
    f(first, std::min(tile, rows - first));
  });
}

// One scale for a whole matrix: of several parts of what the largest weight asks for, the one with the least squared error.
// Few bits want far less than the largest, which is an outlier; so the parts go down to a tenth. Sums are by row, the same on any number of threads.
float fit_matrix(const Grid& grid, const float* weights, std::int64_t rows, std::int64_t columns, kernels::ThreadPool& pool) {
  std::vector<float> largest(static_cast<std::size_t>(rows));
  for_tiles(pool, rows, columns, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r)
      for (std::int64_t c = 0; c < columns; ++c) largest[static_cast<std::size_t>(r)] = std::max(largest[static_cast<std::size_t>(r)], std::abs(weights[r * columns + c]));
  });
  const float whole = *std::max_element(largest.begin(), largest.end()) / grid.greatest();
  std::vector<double> errors(static_cast<std::size_t>(rows));
  float best = 0;
  double least = HUGE_VAL;
  for (float part = 1; part > 0.1f; part *= 0.88f) {
    const float scale = held_scale(grid, part * whole);
    if (!(scale >= 0x1p-126f) || !std::isfinite(1 / scale)) continue;
    for_tiles(pool, rows, columns, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t r = first; r < first + count; ++r) errors[static_cast<std::size_t>(r)] = squared_error(grid, weights + r * columns, columns, scale);
    });
    if (const double error = std::accumulate(errors.begin(), errors.end(), 0.0); error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

// Rows and groups of a grid: f(row, group's number in the weight, its first column).
template <class F>
void for_groups(std::int64_t first, std::int64_t rows, std::int64_t columns, std::int64_t group, F&& f) {
  const std::int64_t in_row = columns / group;
  for (std::int64_t r = first; r < first + rows; ++r)
    for (std::int64_t g = 0; g < in_row; ++g) f(r * columns + g * group, static_cast<std::size_t>(r * in_row + g));
}

}  // namespace

Result<PackedWeights> PackedWeights::make(const Model& student, const Parameters& parameters, const TrainStage& stage,
                                          const ImportanceMatrix* importance, kernels::ThreadPool& pool) {
  RETORT_TRY(const std::vector<WeightForm> forms, weight_forms(student, stage, importance != nullptr));
  PackedWeights out(pool);
  for (const WeightForm& form : forms) {
    const Parameter& parameter = parameters[static_cast<std::size_t>(form.id)];
    if (!form.grid && !folder_level(stage.level) && !fields_of(form.type)) continue;
    Packed weight{.id = form.id, .type = form.type, .rows = parameter.shape[0], .columns = parameter.shape[1], .grid = form.grid, .group = form.group, .per_tensor = form.per_tensor};
    const auto rows = static_cast<std::size_t>(weight.rows), columns = static_cast<std::size_t>(weight.columns);
    weight.blocks.resize(form.grid ? rows * columns : rows * row_bytes(weight.type, columns));
    if (form.grid) weight.row_scales.resize(rows * columns / static_cast<std::size_t>(form.group));
    else if (form.type == TensorType::kI8) weight.row_scales.resize(rows);
    if (importance) {
      const auto found = importance->columns.find(student.graph.weights[static_cast<std::size_t>(form.id)].name);
      if (found != importance->columns.end() && static_cast<std::int64_t>(found->second.size()) == weight.columns) weight.importance = found->second;
    }
    if (stage.activations && form.type == TensorType::kI8 && !form.grid) out.rounds_inputs_.push_back(form.id);
    RETORT_TRY(weight.decoded, AlignedBuffer::allocate(parameter.elements * sizeof(float), "decoded weights"));
    out.places_[weight.id] = out.list_.size();
    out.list_.push_back(std::move(weight));
  }
  if (out.list_.empty())
    return Error{.code = ErrorCode::kUnsupported, .place = stage.level, .expected = "a level that packs weights of this model", .found = "one that packs none"};
  return out;
}

void PackedWeights::decode(const Packed& weight, std::int64_t first_row, std::int64_t rows, const std::byte* blocks, float* out) const {
  if (weight.grid) {
    const float* const values = weight.grid->values.data();
    const std::int64_t start = first_row * weight.columns;
    for_groups(first_row, rows, weight.columns, weight.group, [&](std::int64_t at, std::size_t g) {
      const float scale = weight.row_scales[g];
      for (std::int64_t i = at - start; i < at - start + weight.group; ++i) out[i] = scale * values[std::to_integer<std::size_t>(blocks[i])];
    });
    return;
  }
  kernels::decode(weight.type, blocks, out, static_cast<std::size_t>(rows * weight.columns));
  for (std::int64_t r = 0; !weight.row_scales.empty() && r < rows; ++r)
    for (std::int64_t i = 0; i < weight.columns; ++i) out[r * weight.columns + i] *= weight.row_scales[static_cast<std::size_t>(first_row + r)];
}

// To the nearest codes: with the scale that fits a group best, or (`factors`: scales are learned) with the one that it has.
Result<void> PackedWeights::round_grid(Packed& weight, const Parameter& parameter, const float* factors) {
  const float* const master = parameter.master.as<float>();
  auto* const codes = reinterpret_cast<std::uint8_t*>(weight.blocks.data());
  std::atomic<bool> finite = true;
  const float whole = weight.per_tensor ? fit_matrix(*weight.grid, master, weight.rows, weight.columns, *pool_) : 0;
  for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
    for_groups(first, rows, weight.columns, weight.group, [&](std::int64_t at, std::size_t g) {
      if (!std::all_of(master + at, master + at + weight.group, [](float w) { return std::isfinite(w); })) finite = false;
      if (!factors && !weight.per_tensor) {
        weight.row_scales[g] = fit_group(*weight.grid, master + at, weight.group, codes + at);
        return;
      }
      const float scale = weight.row_scales[g] = factors ? held_scale(*weight.grid, weight.first[g] * factors[g]) : whole;
      const float inverse = scale > 0 ? 1 / scale : 0;
      for (std::int64_t i = at; i < at + weight.group; ++i) codes[i] = nearest_code(*weight.grid, master[i] * inverse);
    });
    decode(weight, first, rows, weight.blocks.data() + first * weight.columns, weight.decoded.as<float>() + first * weight.columns);
  });
  if (finite) return {};
  return Error{.code = ErrorCode::kNonFinite, .place = parameter.name, .expected = "numbers", .found = "others", .next_step = "train with a lower rate"};
}

Result<void> PackedWeights::round(Parameters& parameters, const JobContext& job) {
  for (const WeightId id : rounds_inputs_) parameters[static_cast<std::size_t>(id)].round_inputs = true;
  for (Packed& weight : list_) {
    Parameter& parameter = parameters[static_cast<std::size_t>(weight.id)];
    float* const to = weight.decoded.as<float>();
    if (weight.grid) {
      RETORT_CHECK(job.check(parameter.name));
      RETORT_CHECK(round_grid(weight, parameter, learning_ ? parameters[weight.factors].value() : nullptr));
      parameter.data = to;
      weight.handle = {.type = TensorType::kF32, .shape = parameter.shape, .data = std::as_bytes(std::span(to, parameter.elements)), .row_scales = {}, .keep_alive = {}};
      continue;
    }
    const std::span<const float> masters(parameter.value(), parameter.elements);
    RETORT_TRY(QuantizedTensor made, quantize_tensor({.source_type = TensorType::kF32, .source = std::as_bytes(masters), .rows = weight.rows,
                                                      .columns = weight.columns, .importance = weight.importance, .target_type = weight.type},
                                                     parameter.name, *pool_, job));
    weight.blocks = std::move(made.data);
    weight.row_scales = std::move(made.row_scales);
    const std::size_t bytes = row_bytes(weight.type, static_cast<std::size_t>(weight.columns));
    for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
      decode(weight, first, rows, weight.blocks.data() + static_cast<std::size_t>(first) * bytes, to + first * weight.columns);
    });
    parameter.data = to;
    weight.handle = {.type = weight.type, .shape = parameter.shape, .data = weight.blocks, .row_scales = weight.row_scales, .keep_alive = {}};
  }
  return {};
}

Result<void> PackedWeights::learn_scales(Parameters& parameters) {
  learning_ = true;
  for (Packed& weight : list_) {
    if (!weight.grid) continue;
    weight.first = weight.row_scales;
    RETORT_TRY(weight.factors, parameters.add(parameters[static_cast<std::size_t>(weight.id)].name + ".steps", {static_cast<std::int64_t>(weight.first.size())}));
    std::fill_n(parameters[weight.factors].value(), weight.first.size(), 1.0f);
  }
  return {};
}

// One factor a block for its scale and, where it has one, one for its offset; I8: one a row.
Result<void> PackedWeights::hold(Packed& weight, Parameters& parameters) {
  const ScaleFields* const fields = weight.grid ? nullptr : fields_of(weight.type);
  const std::size_t size = traits(weight.type).block_bytes, count = fields ? weight.blocks.size() / size : weight.row_scales.size();
  const bool both = fields && fields->offset != kNone;
  weight.first.resize(count);
  if (both) weight.second.resize(count);
  for (std::size_t b = 0; b < count; ++b) {
    weight.first[b] = fields ? get_half(weight.blocks.data() + b * size, fields->scale) : weight.row_scales[b];
    if (both) weight.second[b] = get_half(weight.blocks.data() + b * size, fields->offset);
  }
  const std::string name = parameters[static_cast<std::size_t>(weight.id)].name + ".factors";
  RETORT_TRY(weight.factors, parameters.add(name, {static_cast<std::int64_t>(both ? 2 * count : count)}));
  Parameter& factors = parameters[weight.factors];
  std::fill_n(factors.value(), factors.elements, 1.0f);
  return {};
}

Result<void> PackedWeights::hold_codes(Parameters& parameters) {
  held_ = true;
  const auto eight = [](const Packed& weight) { return weight.type == TensorType::kQ8_0 && !weight.grid; };
  const bool all_eight = std::all_of(list_.begin(), list_.end(), eight);
  for (Packed& weight : list_) {
    if (eight(weight) && !all_eight) {   // beside weights of fewer bits: nothing to win there, and the table costs most of the time
      parameters[static_cast<std::size_t>(weight.id)].trainable = false;
      weight.factors = kNone;
      continue;
    }
    if (learning_ && weight.factors != kNone) parameters[weight.factors].trainable = false;   // the steps stay as they were learned
    if (weight.grid && weight.grid->scale == GridScale::kExponent) {   // no factor near 1 changes a power of two
      parameters[static_cast<std::size_t>(weight.id)].trainable = false;
      weight.factors = kNone;
      continue;
    }
    if (weight.row_scales.empty() && !fields_of(weight.type)) continue;   // dense
    RETORT_CHECK(hold(weight, parameters));
    parameters[static_cast<std::size_t>(weight.id)].derived = true;
  }
  // Matrices that no level packs stay as they are; norms, biases and other vectors train on.
  for (Parameter& parameter : parameters)
    if (!parameter.derived && parameter.shape.size() >= 2) parameter.trainable = false;
  return {};
}

// Of a group: held, the weight is f · (what was held); learned, scale · code, and where the master lies beyond the grid's
// ends the code can't follow it, so its own gradient is 0.
void PackedWeights::fold_grid(const Packed& weight, Parameters& parameters) const {
  const Grid& grid = *weight.grid;
  Parameter& master = parameters[static_cast<std::size_t>(weight.id)];
  float* const gradient = master.gradient.as<float>();
  const float *const now = weight.decoded.as<float>(), *const value = master.master.as<float>();
  Parameter& factors = parameters[weight.factors];
  float* const to = factors.gradient.as<float>();
  factors.fresh = false;
  const float low = grid.values.front(), high = grid.values.back();
  for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
    for_groups(first, rows, weight.columns, weight.group, [&](std::int64_t at, std::size_t g) {
      const float scale = weight.row_scales[g], inverse = scale > 0 ? 1 / scale : 0;
      double sum = 0;
      for (std::int64_t i = at; i < at + weight.group; ++i) {
        double slope = static_cast<double>(now[i]);
        if (!held_) {
          const float x = value[i] * inverse;
          const bool inside = x >= low && x <= high;
          if (inside) slope -= static_cast<double>(value[i]);
          sum += static_cast<double>(gradient[i]) * slope;
          if (!inside) gradient[i] = 0;
        } else {
          sum += static_cast<double>(gradient[i]) * slope;
        }
      }
      to[g] = static_cast<float>(sum * static_cast<double>(inverse)) * weight.first[g];
    });
  });
}

// d/df of Σ gradient · weight, where the weight is f1 · (its part from the scale) + f2 · (its part from the offset), as the
// file's rounded scale has it now.
void PackedWeights::fold(const Packed& weight, Parameters& parameters) const {
  if (weight.grid) return fold_grid(weight, parameters);
  const float* const gradient = parameters[static_cast<std::size_t>(weight.id)].gradient.as<float>();
  const float* const now = weight.decoded.as<float>();
  Parameter& factors = parameters[weight.factors];
  float* const to = factors.gradient.as<float>();
  factors.fresh = false;
  const ScaleFields* const fields = fields_of(weight.type);
  if (!fields) {
    for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
      for (std::int64_t r = first; r < first + rows; ++r) {
        double sum = 0;
        for (std::int64_t i = r * weight.columns; i < (r + 1) * weight.columns; ++i) sum += static_cast<double>(gradient[i]) * static_cast<double>(now[i]);
        const float current = weight.row_scales[static_cast<std::size_t>(r)];
        to[r] = current == 0 ? 0.0f : static_cast<float>(sum) * weight.first[static_cast<std::size_t>(r)] / current;
      }
    });
    return;
  }
  const std::size_t width = traits(weight.type).block_size, size = traits(weight.type).block_bytes, count = weight.first.size();
  const std::size_t row = row_bytes(weight.type, static_cast<std::size_t>(weight.columns)), in_row = row / size;
  for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
    std::vector<std::byte> block(size);
    std::vector<float> part(width);
    for (std::size_t b = static_cast<std::size_t>(first) * in_row; b < static_cast<std::size_t>(first + rows) * in_row; ++b) {
      const float *const slope = gradient + b * width, *value = now + b * width;
      const std::byte* const from = weight.blocks.data() + b * size;
      double whole = 0, scaled = 0;
      for (std::size_t i = 0; i < width; ++i) whole += static_cast<double>(slope[i]) * static_cast<double>(value[i]);
      scaled = whole;
      if (!weight.second.empty()) {
        std::memcpy(block.data(), from, size);
        put_half(block.data(), fields->offset, 0);
        kernels::decode(weight.type, block.data(), part.data(), width);
        scaled = 0;
        for (std::size_t i = 0; i < width; ++i) scaled += static_cast<double>(slope[i]) * static_cast<double>(part[i]);
        const float current = get_half(from, fields->offset);
        to[count + b] = current == 0 ? 0.0f : static_cast<float>(whole - scaled) * weight.second[b] / current;
      }
      const float current = get_half(from, fields->scale);
      to[b] = current == 0 ? 0.0f : static_cast<float>(scaled) * weight.first[b] / current;
    }
  });
}

// Scales = those that were held, times their factors, rounded as the file holds them.
void PackedWeights::scale(Packed& weight, Parameters& parameters) const {
  const float* const factor = parameters[weight.factors].value();
  if (weight.grid) {
    for (std::size_t g = 0; g < weight.first.size(); ++g) weight.row_scales[g] = held_scale(*weight.grid, weight.first[g] * factor[g]);
    for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
      decode(weight, first, rows, weight.blocks.data() + first * weight.columns, weight.decoded.as<float>() + first * weight.columns);
    });
    return;
  }
  const ScaleFields* const fields = fields_of(weight.type);
  const std::size_t row = row_bytes(weight.type, static_cast<std::size_t>(weight.columns)), size = traits(weight.type).block_bytes;
  const std::size_t in_row = fields ? row / size : 1, count = weight.first.size();
  float* const to = weight.decoded.as<float>();
  for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
    for (std::size_t b = static_cast<std::size_t>(first) * in_row; b < static_cast<std::size_t>(first + rows) * in_row; ++b) {
      if (!fields) {
        weight.row_scales[b] = weight.first[b] * factor[b];
        continue;
      }
      put_half(weight.blocks.data() + b * size, fields->scale, weight.first[b] * factor[b]);
      if (!weight.second.empty()) put_half(weight.blocks.data() + b * size, fields->offset, weight.second[b] * factor[count + b]);
    }
    decode(weight, first, rows, weight.blocks.data() + static_cast<std::size_t>(first) * row, to + first * weight.columns);
  });
}

void PackedWeights::before_step(Parameters& parameters) const {
  if (!held_ && !learning_) return;
  for (const Packed& weight : list_)
    if (weight.factors != kNone && !parameters[static_cast<std::size_t>(weight.id)].fresh) fold(weight, parameters);
}

Result<void> PackedWeights::after_step(Parameters& parameters, const JobContext& job) {
  if (!held_) return round(parameters, job);
  for (Packed& weight : list_)
    if (weight.factors != kNone) scale(weight, parameters);
  return {};
}

PackedWeights::Blocks PackedWeights::blocks_of(WeightId id) noexcept {
  const auto found = places_.find(id);
  if (found == places_.end() || list_[found->second].grid) return {};
  Packed& weight = list_[found->second];
  return {code_layout(weight.type), weight.rows, weight.blocks};
}

void PackedWeights::codes_changed(WeightId id) {
  const Packed& weight = list_[places_.at(id)];
  const std::size_t bytes = row_bytes(weight.type, static_cast<std::size_t>(weight.columns));
  for_tiles(*pool_, weight.rows, weight.columns, [&](std::int64_t first, std::int64_t rows) {
    decode(weight, first, rows, weight.blocks.data() + static_cast<std::size_t>(first) * bytes, weight.decoded.as<float>() + first * weight.columns);
  });
}

void PackedWeights::compute_with(Parameters& parameters, bool packed) const noexcept {
  for (const Packed& weight : list_) {
    Parameter& parameter = parameters[static_cast<std::size_t>(weight.id)];
    parameter.data = packed ? weight.decoded.as<float>() : parameter.value();
  }
}

const WeightHandle* PackedWeights::handle(WeightId id) const noexcept {
  const auto found = places_.find(id);
  return found == places_.end() ? nullptr : &list_[found->second].handle;
}

GridView PackedWeights::grid_of(WeightId id) const noexcept {
  const auto found = places_.find(id);
  if (found == places_.end() || !list_[found->second].grid) return {};
  const Packed& weight = list_[found->second];
  return {weight.grid, weight.rows, weight.columns, weight.group,
          std::span(reinterpret_cast<const std::uint8_t*>(weight.blocks.data()), weight.blocks.size()), weight.row_scales};
}

std::uint64_t PackedWeights::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const Packed& weight : list_)
    sum += weight.grid ? grid_bytes(weight.rows, weight.columns, *weight.grid, weight.group) : weight.blocks.size() + weight.row_scales.size() * sizeof(float);
  return sum;
}

}  // namespace retort::distill
