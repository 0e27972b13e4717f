// Shapes of tensors: sizes, outermost first.
#pragma once

#include <cstdint>
#include <vector>

namespace retort {

// Their product; 1 for a single number. Readers have made sure that it fits.
inline std::int64_t shape_elements(const std::vector<std::int64_t>& shape) noexcept {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n *= size;
  return n;
}

}  // namespace retort
