// Small helpers of the AVX-512 kernels; static, as in avx2/vec.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx2/vec.h"

namespace retort::kernels::avx512 {

using avx2::Unroll;

RETORT_INLINE __m512i load_bytes(const void* from) { return _mm512_loadu_si512(from); }
RETORT_INLINE __m512 load_half16(const void* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
// Four bytes repeated in every lane.
RETORT_INLINE __m512i broadcast4(const void* from) {
  int value;
  __builtin_memcpy(&value, from, sizeof(value));
  return _mm512_set1_epi32(value);
}
// The first `count` (1 … 16 or more) lanes.
RETORT_INLINE void store_first(float* to, std::int64_t count, __m512 v) {
  if (count >= 16) {
    _mm512_storeu_ps(to, v);
    return;
  }
  float buffer[16];
  _mm512_storeu_ps(buffer, v);
  __builtin_memcpy(to, buffer, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace retort::kernels::avx512
