// Which type a level gives to which part of a model: llama.cpp's mixes, as data.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/model/config.h"
#include "kernels/api/tensor_type.h"

namespace retort {

// What the weights of a model are for, as far as mixes tell them apart.
enum class Role : std::uint8_t { kEmbedding, kHead, kKey, kValue, kAttentionOutput, kDown, kOther };

// `tied`: the embedding is the head too, and is treated as one.
Role role_of(std::string_view name, bool tied) noexcept;

struct PlacedTensor {
  Role role;
  std::int64_t layer;      // -1 outside the layers
  std::int64_t columns;
};
// The type that `level` (an id of the level table) wants for a tensor, before any fallback.
kernels::TensorType wanted_type(std::string_view level, const PlacedTensor& tensor, const ModelConfig& config,
                                bool has_importance) noexcept;

// The type itself when rows of `columns` fill its blocks, else the next that they do fill.
kernels::TensorType type_that_fits(kernels::TensorType wanted, std::int64_t columns) noexcept;

}  // namespace retort
