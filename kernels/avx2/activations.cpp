// Rounding of activations, the same codes as the reference bit for bit: every step is one correctly rounded operation.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

namespace retort::kernels::avx2 {
namespace {

RETORT_INLINE __m256 magnitude(__m256 v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }

// NaN never wins a maximum here, as in the reference.
RETORT_INLINE float max_magnitude(const float* x, std::size_t n) {
  __m256 most = _mm256_setzero_ps();
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) most = _mm256_max_ps(magnitude(_mm256_loadu_ps(x + i)), most);
  if (i < n) most = _mm256_max_ps(magnitude(load_first(x + i, static_cast<int>(n - i))), most);
  return max_lanes(most);
}

// As the reference's nearest(): the low mantissa bits of x + 1.5 · 2^23.
RETORT_INLINE __m256i nearest(__m256 x) {
  const __m256i bits = _mm256_castps_si256(_mm256_add_ps(x, _mm256_set1_ps(12582912.0f)));
  return _mm256_sub_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x00400000));
}

// 32 values → 32 codes (their low bytes); returns the codes.
RETORT_INLINE __m256i round32(const float* x, __m256 inverse, std::int8_t* out) {
  const __m256i low = _mm256_set1_epi32(255);
  __m256i v[4];
  for (int i = 0; i < 4; ++i)
    v[i] = _mm256_and_si256(nearest(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse)), low);
  // Packing works within 128-bit halves; the permutation puts the fours back in order.
  const __m256i packed = _mm256_packus_epi16(_mm256_packus_epi32(v[0], v[1]), _mm256_packus_epi32(v[2], v[3]));
  const __m256i ordered = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), ordered);
  return ordered;
}

// Sums of 16 codes each, in the two 128-bit halves' lowest lanes' order: [first 16, second 16].
RETORT_INLINE void sum16s(__m256i codes, int sums[2]) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);
  const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  for (int half = 0; half < 2; ++half) {
    __m128i s = half == 0 ? _mm256_castsi256_si128(fours) : _mm256_extracti128_si256(fours, 1);
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    sums[half] = _mm_cvtsi128_si32(s);
  }
}

void round_blocks32(const float* x, std::size_t n, const Q8Row& out) {
  for (std::size_t b = 0; b < n / 32; ++b) {
    const float most = max_magnitude(x + 32 * b, 32);
    const bool zero = most < kSmallestRounded;
    const __m256 inverse = zero ? _mm256_setzero_ps() : _mm256_set1_ps(127.0f / most);
    const __m256i codes = round32(x + 32 * b, inverse, out.codes + 32 * b);
    int sums[2];
    sum16s(codes, sums);
    const __m128i half = _mm_cvtps_ph(_mm_set_ss(zero ? 0.0f : most / 127.0f), _MM_FROUND_TO_NEAREST_INT);
    out.scales[b] = _mm_cvtss_f32(_mm_cvtph_ps(half));
    out.sums[b] = sums[0] + sums[1];
    out.scaled_sums[b] = out.scales[b] * static_cast<float>(out.sums[b]);
  }
}

// The first value of greatest magnitude, with its sign.
RETORT_INLINE float signed_max(const float* x, float most) {
  for (int i = 0; i < 256; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i);
    const int hits = _mm256_movemask_ps(_mm256_cmp_ps(magnitude(v), _mm256_set1_ps(most), _CMP_EQ_OQ));
    if (hits != 0) return x[i + __builtin_ctz(static_cast<unsigned>(hits))];
  }
  return most;
}

void round_blocks256(const float* x, std::size_t n, const Q8Row& out) {
  for (std::size_t b = 0; b < n / 256; ++b) {
    const float most = max_magnitude(x + 256 * b, 256);
    const bool zero = most < kSmallestRounded;
    const float inverse = zero ? 0.0f : -127.0f / signed_max(x + 256 * b, most);
    out.scales[b] = zero ? 0.0f : 1.0f / inverse;
    for (std::size_t c = 8 * b; c < 8 * b + 8; ++c) {
      int sums[2];
      sum16s(round32(x + 32 * c, _mm256_set1_ps(inverse), out.codes + 32 * c), sums);
      out.sums16[2 * c] = static_cast<std::int16_t>(sums[0]);
      out.sums16[2 * c + 1] = static_cast<std::int16_t>(sums[1]);
      out.sums32[c] = static_cast<std::int16_t>(sums[0] + sums[1]);
    }
  }
}

void round_whole_row(const float* x, std::size_t n, const Q8Row& out) {
  const float most = max_magnitude(x, n);
  const bool zero = most < kSmallestRounded;
  const __m256 inverse = zero ? _mm256_setzero_ps() : _mm256_set1_ps(127.0f / most);
  out.scales[0] = zero ? 0.0f : most / 127.0f;
  int total = 0;
  for (std::size_t i = 0; i < n; i += 32) {
    alignas(32) float tail[32] = {};
    alignas(32) std::int8_t codes[32];
    const std::size_t count = n - i < 32 ? n - i : 32;
    if (count < 32) __builtin_memcpy(tail, x + i, count * sizeof(float));
    int sums[2];
    sum16s(round32(count < 32 ? tail : x + i, inverse, codes), sums);
    total += sums[0] + sums[1];
    const std::size_t stored = (count + 3) / 4 * 4;  // zeros up to a multiple of 4
    __builtin_memcpy(out.codes + i, codes, stored);
  }
  out.sums[0] = total;
}

RETORT_INLINE void expand_block(const std::int8_t* codes, float scale, std::size_t n, float* out) {
  const __m256 d = _mm256_set1_ps(scale);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + i));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), d));
  }
  for (; i < n; ++i) out[i] = static_cast<float>(codes[i]) * scale;
}

}  // namespace

void round_row(Q8Layout layout, const float* x, std::size_t n, const Q8Row& out) {
  switch (layout) {
    case Q8Layout::kBlocks32: round_blocks32(x, n, out); return;
    case Q8Layout::kBlocks256: round_blocks256(x, n, out); return;
    case Q8Layout::kRow: round_whole_row(x, n, out); return;
    case Q8Layout::kNone: return;
  }
}

void expand_row(Q8Layout layout, const Q8Row& row, std::size_t n, float* out) {
  const std::size_t block = layout == Q8Layout::kBlocks32 ? 32 : layout == Q8Layout::kBlocks256 ? 256 : n;
  for (std::size_t i = 0; i < n; i += block) expand_block(row.codes + i, row.scales[i / block], block, out + i);
}

}  // namespace retort::kernels::avx2
