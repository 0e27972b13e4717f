// The one ordered list of linear kernels.
#pragma once

#include <span>

#include "kernels/api/linear_kernel.h"

namespace retort::kernels {

// Best first, reference last; of one type, kernels with a limit on tokens come before the general ones.
std::span<const LinearKernel> linear_kernels() noexcept;

// The rounding of activations for this machine.
struct Rounding {
  const char* name;
  Isa needs;
  RoundRow round;
  ExpandRow expand;
};
std::span<const Rounding> roundings() noexcept;
// The best that can run, or the one of this name if there is one.
const Rounding& rounding(std::string_view forced) noexcept;

}  // namespace retort::kernels
