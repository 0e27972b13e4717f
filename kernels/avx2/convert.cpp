// f32 → f16, rounded to nearest even as f32_to_f16() does.
#include <cstring>

#include "kernels/api/half.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {

void to_f16(const float* x, std::size_t n, void* out) {
  auto* bytes = static_cast<std::uint8_t*>(out);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + 2 * i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < n; ++i) {
    const std::uint16_t half = f32_to_f16(x[i]);
    std::memcpy(bytes + 2 * i, &half, 2);
  }
}

}  // namespace retort::kernels::avx2
