// Decoders of stored rows, the same operations in the same order as the reference, 32 elements at a time.
#include "kernels/api/blocks.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/dense_rows.h"
#include "kernels/reference/k_scales.h"

namespace retort::kernels::avx2 {
namespace {

// f16 → f32 of one scale.
RETORT_INLINE float half(std::uint16_t h) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))); }

RETORT_INLINE __m256i keep(__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi8(static_cast<char>(mask))); }

// 16 bytes of nibbles → 32 codes: low nibbles first.
RETORT_INLINE __m256i nibbles16(const std::uint8_t* bytes) {
  const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  return keep(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), 15);
}

// 32 bits → 32 bytes of 0 or 16.
RETORT_INLINE __m256i fifth_bits(const std::uint8_t* bits) {
  const __m256i spread = _mm256_shuffle_epi8(
      broadcast4(bits), _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3,
                                         3, 3, 3, 3, 3));
  const __m256i select = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  return keep(_mm256_cmpeq_epi8(_mm256_and_si256(spread, select), select), 16);
}

// Bits `shift` and up of 32 bytes, masked.
RETORT_INLINE __m256i field(const std::uint8_t* bytes, int shift, int mask) {
  return keep(_mm256_srl_epi16(load_bytes(bytes), _mm_cvtsi32_si128(shift)), mask);
}
RETORT_INLINE __m256i shift_left(__m256i v, int by) { return _mm256_sll_epi16(v, _mm_cvtsi32_si128(by)); }

// Eight of 32 codes as floats, after taking off an offset.
template <int kIndex>
inline __attribute__((always_inline)) __m256 eight(__m256i codes, int offset) {
  __m128i bytes = kIndex < 2 ? _mm256_castsi256_si128(codes) : _mm256_extracti128_si256(codes, 1);
  if constexpr (kIndex % 2 == 1) bytes = _mm_srli_si128(bytes, 8);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_cvtepi8_epi32(bytes), _mm256_set1_epi32(offset)));
}

// out[i] = (code - offset) · scale
RETORT_INLINE void scaled(__m256i codes, int offset, float first, float second, float* out) {
  Unroll::times<4>([&]<int I>() __attribute__((always_inline)) {
    _mm256_storeu_ps(out + 8 * I, _mm256_mul_ps(eight<I>(codes, offset), _mm256_set1_ps(I < 2 ? first : second)));
  });
}

// out[i] = code · scale + minimum
RETORT_INLINE void shifted(__m256i codes, const float scale[2], const float minimum[2], float* out) {
  Unroll::times<4>([&]<int I>() __attribute__((always_inline)) {
    const __m256 product = _mm256_mul_ps(eight<I>(codes, 0), _mm256_set1_ps(scale[I / 2]));
    _mm256_storeu_ps(out + 8 * I, _mm256_add_ps(product, _mm256_set1_ps(minimum[I / 2])));
  });
}

void decode_block(const BlockQ4_0& block, float* out) {
  const float d = half(block.d);
  scaled(nibbles16(block.codes), 8, d, d, out);
}
void decode_block(const BlockQ4_1& block, float* out) {
  const float d = half(block.d), m = half(block.m), scales[2] = {d, d}, minima[2] = {m, m};
  shifted(nibbles16(block.codes), scales, minima, out);
}
void decode_block(const BlockQ5_0& block, float* out) {
  const float d = half(block.d);
  scaled(_mm256_or_si256(nibbles16(block.codes), fifth_bits(block.high)), 16, d, d, out);
}
void decode_block(const BlockQ5_1& block, float* out) {
  const float d = half(block.d), m = half(block.m), scales[2] = {d, d}, minima[2] = {m, m};
  shifted(_mm256_or_si256(nibbles16(block.codes), fifth_bits(block.high)), scales, minima, out);
}
void decode_block(const BlockQ8_0& block, float* out) {
  const float d = half(block.d);
  scaled(load_bytes(block.codes), 0, d, d, out);
}

void decode_block(const BlockQ2_K& block, float* out) {
  const float d = half(block.d), dmin = half(block.dmin);
  for (int c = 0; c < 8; ++c) {
    float scales[2], minima[2];
    for (int s = 0; s < 2; ++s) {
      scales[s] = d * static_cast<float>(block.scales[2 * c + s] & 15);
      minima[s] = -(dmin * static_cast<float>(block.scales[2 * c + s] >> 4));
    }
    shifted(field(block.codes + c / 4 * 32, 2 * (c % 4), 3), scales, minima, out + 32 * c);
  }
}

void decode_block(const BlockQ3_K& block, float* out) {
  std::int8_t scales[16];
  unpack_q3_k_scales(block.scales, scales);
  const float d = half(block.d);
  for (int c = 0; c < 8; ++c) {
    const __m256i high = shift_left(field(block.high, c, 1), 2);
    scaled(_mm256_or_si256(field(block.codes + c / 4 * 32, 2 * (c % 4), 3), high), 4,
           d * static_cast<float>(scales[2 * c]), d * static_cast<float>(scales[2 * c + 1]), out + 32 * c);
  }
}

// Q4_K and Q5_K: `high` is null without a fifth bit.
RETORT_INLINE void decode_q45(const std::uint8_t packed[12], float d, float dmin, const std::uint8_t* codes,
                              const std::uint8_t* high, float* out) {
  std::uint8_t scales[8], minima[8];
  unpack_q4_k_scales(packed, scales, minima);
  for (int c = 0; c < 8; ++c) {
    __m256i code = field(codes + c / 2 * 32, 4 * (c % 2), 15);
    if (high != nullptr) code = _mm256_or_si256(code, shift_left(field(high, c, 1), 4));
    const float scale = d * static_cast<float>(scales[c]), minimum = -(dmin * static_cast<float>(minima[c]));
    const float both_scales[2] = {scale, scale}, both_minima[2] = {minimum, minimum};
    shifted(code, both_scales, both_minima, out + 32 * c);
  }
}
void decode_block(const BlockQ4_K& block, float* out) {
  decode_q45(block.scales, half(block.d), half(block.dmin), block.codes, nullptr, out);
}
void decode_block(const BlockQ5_K& block, float* out) {
  decode_q45(block.scales, half(block.d), half(block.dmin), block.codes, block.high, out);
}

void decode_block(const BlockQ6_K& block, float* out) {
  const float d = half(block.d);
  for (int c = 0; c < 8; ++c) {
    const int run = c / 4, part = c % 4;
    const __m256i low = field(block.low + run * 64 + part % 2 * 32, part < 2 ? 0 : 4, 15);
    const __m256i high = shift_left(field(block.high + run * 32, 2 * part, 3), 4);
    scaled(_mm256_or_si256(low, high), 32, d * static_cast<float>(block.scales[2 * c]),
           d * static_cast<float>(block.scales[2 * c + 1]), out + 32 * c);
  }
}

template <class Block, int kElements>
void decode_blocks(const void* packed, float* out, std::size_t n) {
  const auto* bytes = static_cast<const unsigned char*>(packed);
  for (std::size_t i = 0; i < n; i += kElements, bytes += sizeof(Block)) {
    Block block;
    __builtin_memcpy(&block, bytes, sizeof(Block));  // stored blocks need not be aligned
    decode_block(block, out + i);
  }
}

template <class Row>
void decode_dense(const void* packed, float* out, std::size_t n) {
  const auto* bytes = static_cast<const std::uint8_t*>(packed);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, Row::load(bytes + i * Row::kBytes));
  if (i < n)
    store_first(out + i, static_cast<int>(n - i),
                load_tail<Row>(bytes + i * Row::kBytes, static_cast<std::int64_t>(n - i)));
}

}  // namespace

bool decode(TensorType type, const void* packed, float* out, std::size_t n) {
  switch (type) {
    case TensorType::kF16: decode_dense<RowF16>(packed, out, n); return true;
    case TensorType::kBF16: decode_dense<RowBF16>(packed, out, n); return true;
    case TensorType::kQ4_0: decode_blocks<BlockQ4_0, 32>(packed, out, n); return true;
    case TensorType::kQ4_1: decode_blocks<BlockQ4_1, 32>(packed, out, n); return true;
    case TensorType::kQ5_0: decode_blocks<BlockQ5_0, 32>(packed, out, n); return true;
    case TensorType::kQ5_1: decode_blocks<BlockQ5_1, 32>(packed, out, n); return true;
    case TensorType::kQ8_0: decode_blocks<BlockQ8_0, 32>(packed, out, n); return true;
    case TensorType::kQ2_K: decode_blocks<BlockQ2_K, 256>(packed, out, n); return true;
    case TensorType::kQ3_K: decode_blocks<BlockQ3_K, 256>(packed, out, n); return true;
    case TensorType::kQ4_K: decode_blocks<BlockQ4_K, 256>(packed, out, n); return true;
    case TensorType::kQ5_K: decode_blocks<BlockQ5_K, 256>(packed, out, n); return true;
    case TensorType::kQ6_K: decode_blocks<BlockQ6_K, 256>(packed, out, n); return true;
    default: return false;
  }
}

}  // namespace retort::kernels::avx2
