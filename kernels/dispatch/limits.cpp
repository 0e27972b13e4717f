#include <cstddef>

#include "kernels/api/isa.h"
#include "kernels/dispatch/ops.h"

namespace retort::kernels {
namespace avx2 {
float sum_floats(const float* x, std::size_t n) noexcept;
float multiply_add_loop(double operations) noexcept;
}  // namespace avx2

float sum_floats(const float* x, std::size_t n) noexcept {
  if (supported(Isa::kAvx2)) return avx2::sum_floats(x, n);
  float total = 0;
  for (std::size_t i = 0; i < n; ++i) total += x[i];
  return total;
}

float multiply_add_loop(double operations) noexcept {
  if (supported(Isa::kAvx2)) return avx2::multiply_add_loop(operations);
  float chains[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto rounds = static_cast<std::size_t>(operations / 16);
  for (std::size_t i = 0; i < rounds; ++i)
    for (float& chain : chains) chain = chain * 0.999999f + 1e-6f;
  float total = 0;
  for (const float chain : chains) total += chain;
  return total;
}

}  // namespace retort::kernels
