// Small helpers of the AVX2 kernels. Everything is static or in an unnamed namespace, so that the linker can never put
// code compiled for AVX2 where another file expects baseline code.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define RETORT_INLINE static inline __attribute__((always_inline))

namespace retort::kernels::avx2 {
namespace {

struct Unroll {
  // Calls f<0>(), f<1>() … f<N-1>().
  template <int N, int I = 0, class F>
  static inline __attribute__((always_inline)) void times(F&& f) {
    if constexpr (I < N) {
      f.template operator()<I>();
      times<N, I + 1>(f);
    }
  }
};

}  // namespace

RETORT_INLINE __m256i load_bytes(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
RETORT_INLINE __m256 load_half8(const void* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
// Four bytes repeated in every lane.
RETORT_INLINE __m256i broadcast4(const void* from) {
  int value;
  __builtin_memcpy(&value, from, sizeof(value));
  return _mm256_set1_epi32(value);
}
RETORT_INLINE float sum_lanes(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
RETORT_INLINE float max_lanes(__m256 v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
// Lanes 0 … count-1 set; 0 <= count <= 8.
RETORT_INLINE __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
RETORT_INLINE __m256 load_first(const float* from, int count) { return _mm256_maskload_ps(from, first_lanes(count)); }
RETORT_INLINE void store_first(float* to, int count, __m256 v) {
  if (count >= 8) _mm256_storeu_ps(to, v);
  else _mm256_maskstore_ps(to, first_lanes(count), v);
}

}  // namespace retort::kernels::avx2
