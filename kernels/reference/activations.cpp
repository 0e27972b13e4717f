#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/api/half.h"
#include "kernels/reference/reference.h"

namespace retort::kernels::reference {
namespace {

// Round half to even for |x| < 2^22, without depending on the rounding mode's library calls or on undefined
// conversions of NaN: the sum's low mantissa bits are the integer.
int nearest(float x) {
  const float shifted = x + 12582912.0f;  // 1.5 · 2^23
  return (std::bit_cast<int>(shifted) & 0x007fffff) - 0x00400000;
}

std::int8_t code(float x) { return static_cast<std::int8_t>(nearest(x)); }

float max_magnitude(const float* x, std::size_t n) {
  float most = 0;
  for (std::size_t i = 0; i < n; ++i) most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
  return most;
}

// Rounds n values by the unrounded 127 / most; returns most / 127.
float round_symmetric(const float* x, std::size_t n, std::int8_t* codes) {
  const float most = max_magnitude(x, n);
  if (most < kSmallestRounded) {
    std::memset(codes, 0, n);
    return 0;
  }
  const float inverse = 127.0f / most;
  for (std::size_t i = 0; i < n; ++i) codes[i] = code(x[i] * inverse);
  return most / 127.0f;
}

float round_super_block(const float* x, std::int8_t* codes) {
  float most = 0, signed_most = 0;
  for (int i = 0; i < 256; ++i) {
    if (std::fabs(x[i]) > most) {
      most = std::fabs(x[i]);
      signed_most = x[i];
    }
  }
  if (most < kSmallestRounded) {
    std::memset(codes, 0, 256);
    return 0;
  }
  const float inverse = -127.0f / signed_most;
  for (int i = 0; i < 256; ++i) codes[i] = code(inverse * x[i]);
  return 1.0f / inverse;
}

int sum(const std::int8_t* codes, std::size_t n) {
  int total = 0;
  for (std::size_t i = 0; i < n; ++i) total += codes[i];
  return total;
}

void round_blocks32(const float* x, std::size_t n, const Q8Row& out) {
  for (std::size_t b = 0; b < n / 32; ++b) {
    out.scales[b] = f16_to_f32(f32_to_f16(round_symmetric(x + 32 * b, 32, out.codes + 32 * b)));
    out.sums[b] = sum(out.codes + 32 * b, 32);
    out.scaled_sums[b] = out.scales[b] * static_cast<float>(out.sums[b]);
  }
}

void round_blocks256(const float* x, std::size_t n, const Q8Row& out) {
  for (std::size_t b = 0; b < n / 256; ++b) out.scales[b] = round_super_block(x + 256 * b, out.codes + 256 * b);
  for (std::size_t i = 0; i < n / 16; ++i) out.sums16[i] = static_cast<std::int16_t>(sum(out.codes + 16 * i, 16));
  for (std::size_t i = 0; i < n / 32; ++i) out.sums32[i] = static_cast<std::int16_t>(sum(out.codes + 32 * i, 32));
}

}  // namespace

void round_row(Q8Layout layout, const float* x, std::size_t n, const Q8Row& out) {
  switch (layout) {
    case Q8Layout::kBlocks32: round_blocks32(x, n, out); return;
    case Q8Layout::kBlocks256: round_blocks256(x, n, out); return;
    case Q8Layout::kRow:
      out.scales[0] = round_symmetric(x, n, out.codes);
      out.sums[0] = sum(out.codes, n);
      for (std::size_t i = n; i % 4 != 0; ++i) out.codes[i] = 0;
      return;
    case Q8Layout::kNone: return;
  }
}

void expand_row(Q8Layout layout, const Q8Row& row, std::size_t n, float* out) {
  const std::size_t block = layout == Q8Layout::kBlocks32 ? 32 : layout == Q8Layout::kBlocks256 ? 256 : n;
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(row.codes[i]) * row.scales[i / block];
}

}  // namespace retort::kernels::reference
