// Stands in for <immintrin.h> where AVX-512 sources are compiled for a machine without it: SIMDe computes the intrinsics
// with what there is. What SIMDe 0.7.4 lacks is written out here, one 256-bit half at a time.
#pragma once
#pragma GCC system_header

#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

namespace simulated {

inline __m256i low(__m512i v) { return simde_mm512_castsi512_si256(v); }
inline __m256i high(__m512i v) { return simde_mm512_extracti64x4_epi64(v, 1); }
inline __m512i join(__m256i a, __m256i b) { return simde_mm512_inserti64x4(simde_mm512_castsi256_si512(a), b, 1); }
inline __m512 join(__m256 a, __m256 b) { return simde_mm512_insertf32x8(simde_mm512_castps256_ps512(a), b, 1); }

inline __m512 cvtepi32_ps(__m512i v) { return join(_mm256_cvtepi32_ps(low(v)), _mm256_cvtepi32_ps(high(v))); }
inline __m512 cvtph_ps(__m256i v) {
  return join(_mm256_cvtph_ps(_mm256_castsi256_si128(v)), _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
}
inline __m512i cvtepu8_epi16(__m256i v) {
  return join(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(v)), _mm256_cvtepu8_epi16(_mm256_extracti128_si256(v, 1)));
}
inline __m512i srai_epi32(__m512i v, int count) {
  return join(_mm256_srai_epi32(low(v), count), _mm256_srai_epi32(high(v), count));
}

}  // namespace simulated

// SIMDe's aliases are function-like macros, which commas in template arguments confuse: plain names instead.
#undef _mm512_add_epi32
#define _mm512_add_epi32 simde_mm512_add_epi32
#undef _mm512_add_ps
#define _mm512_add_ps simde_mm512_add_ps
#undef _mm512_and_si512
#define _mm512_and_si512 simde_mm512_and_si512
#undef _mm512_castps256_ps512
#define _mm512_castps256_ps512 simde_mm512_castps256_ps512
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps simulated::cvtepi32_ps
#undef _mm512_cvtepi8_epi16
#define _mm512_cvtepi8_epi16 simde_mm512_cvtepi8_epi16
#undef _mm512_cvtepu8_epi16
#define _mm512_cvtepu8_epi16 simulated::cvtepu8_epi16
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps simulated::cvtph_ps
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32 simde_mm512_dpbusd_epi32
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps simde_mm512_fmadd_ps
#undef _mm512_fnmadd_ps
#define _mm512_fnmadd_ps simde_mm512_fnmadd_ps
#undef _mm512_insertf32x8
#define _mm512_insertf32x8 simde_mm512_insertf32x8
#undef _mm512_loadu_ps
#define _mm512_loadu_ps simde_mm512_loadu_ps
#undef _mm512_loadu_si512
#define _mm512_loadu_si512 simde_mm512_loadu_si512
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16
#undef _mm512_mul_ps
#define _mm512_mul_ps simde_mm512_mul_ps
#undef _mm512_mullo_epi32
#define _mm512_mullo_epi32 simde_mm512_mullo_epi32
#undef _mm512_or_si512
#define _mm512_or_si512 simde_mm512_or_si512
#undef _mm512_set1_epi16
#define _mm512_set1_epi16 simde_mm512_set1_epi16
#undef _mm512_set1_epi32
#define _mm512_set1_epi32 simde_mm512_set1_epi32
#undef _mm512_set1_epi8
#define _mm512_set1_epi8 simde_mm512_set1_epi8
#undef _mm512_set1_ps
#define _mm512_set1_ps simde_mm512_set1_ps
#undef _mm512_setzero_ps
#define _mm512_setzero_ps simde_mm512_setzero_ps
#undef _mm512_setzero_si512
#define _mm512_setzero_si512 simde_mm512_setzero_si512
#undef _mm512_slli_epi16
#define _mm512_slli_epi16 simde_mm512_slli_epi16
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 simde_mm512_slli_epi32
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 simulated::srai_epi32
#undef _mm512_srli_epi16
#define _mm512_srli_epi16 simde_mm512_srli_epi16
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 simde_mm512_srli_epi32
#undef _mm512_storeu_ps
#define _mm512_storeu_ps simde_mm512_storeu_ps
#undef _mm512_sub_epi32
#define _mm512_sub_epi32 simde_mm512_sub_epi32
#undef _mm512_sub_ps
#define _mm512_sub_ps simde_mm512_sub_ps
#undef _mm512_xor_si512
#define _mm512_xor_si512 simde_mm512_xor_si512
