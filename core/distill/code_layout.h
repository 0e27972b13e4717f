// Where the codes of a packed block lie, so that one can be changed while the scales stay.
#pragma once

#include <cstddef>

#include "kernels/api/tensor_type.h"

namespace retort::distill {

// Every element of these types is base + step · code with code 0 … codes - 1; base and step belong to the block or a part of it.
struct CodeLayout {
  kernels::TensorType type;
  int codes;
  void (*put)(std::byte* block, int element, int code) noexcept;
};

// Null: a type whose codes aren't evenly spaced, or that has 8 bits and nothing to win.
const CodeLayout* code_layout(kernels::TensorType type) noexcept;

}  // namespace retort::distill
