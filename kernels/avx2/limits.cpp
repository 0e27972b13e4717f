// The loops that `retort devices` measures the machine with: reading memory and multiplying in registers.
#include <immintrin.h>

#include <cstddef>

namespace retort::kernels::avx2 {

float sum_floats(const float* x, std::size_t n) noexcept {
  // Eight sums hide the latency of the addition, so only memory limits the loop.
  __m256 sums[8] = {};
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int j = 0; j < 8; ++j) sums[j] = _mm256_add_ps(sums[j], _mm256_loadu_ps(x + i + 8 * j));
  __m256 all = sums[0];
  for (int j = 1; j < 8; ++j) all = _mm256_add_ps(all, sums[j]);
  float lanes[8];
  _mm256_storeu_ps(lanes, all);
  float total = 0;
  for (const float lane : lanes) total += lane;
  for (; i < n; ++i) total += x[i];
  return total;
}

float multiply_add_loop(double operations) noexcept {
  // Twelve chains: latency 4 times 2 units, and some to spare. 16 operations an instruction.
  __m256 chains[12];
  for (int j = 0; j < 12; ++j) chains[j] = _mm256_set1_ps(0.5f + static_cast<float>(j));
  const __m256 factor = _mm256_set1_ps(0.999999f), addend = _mm256_set1_ps(1e-6f);
  const auto rounds = static_cast<std::size_t>(operations / (12 * 16));
  for (std::size_t i = 0; i < rounds; ++i)
    for (int j = 0; j < 12; ++j) chains[j] = _mm256_fmadd_ps(chains[j], factor, addend);
  float lanes[8], total = 0;
  for (int j = 0; j < 12; ++j) {
    _mm256_storeu_ps(lanes, chains[j]);
    total += lanes[0];
  }
  return total;
}

}  // namespace retort::kernels::avx2
