// c = op(a) · op(b) between two activations or gradients: what training needs beside the linear over stored weights. All
// are f32; kBf16 rounds a and b to bf16 (to nearest, ties to even) before they are multiplied, and sums in f32. Row-major;
// op transposes where asked. Every kernel runs one tile on one thread.
#pragma once

#include <cstdint>

#include "kernels/api/half.h"
#include "kernels/api/isa.h"

namespace retort::kernels {

struct MatmulTile {
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;   // c is [m, n], the sum runs over k
  const float* a = nullptr;           // [m, a_stride], transposed: [k, a_stride]
  std::int64_t a_stride = 0;
  const float* b = nullptr;           // [k, b_stride], transposed: [n, b_stride]
  std::int64_t b_stride = 0;
  float* c = nullptr;                 // [m, c_stride]
  std::int64_t c_stride = 0;
  bool accumulate = false;            // add to what c holds
  float* scratch = nullptr;           // kMatmulScratch floats, 64-byte aligned
};
using RunMatmul = void (*)(const MatmulTile& tile);

inline constexpr std::int64_t kMatmulDepth = 256, kMatmulRows = 120;
inline constexpr std::int64_t kMatmulScratch = kMatmulDepth * (kMatmulRows + 16);

enum class MatmulPrecision : std::uint8_t { kF32, kBf16 };

// What kernels that multiply f32 registers do to an operand.
struct AsItIs {
  static float of(float x) noexcept { return x; }
};
struct RoundedToBf16 {
  static float of(float x) noexcept { return bf16_to_f32(f32_to_bf16(x)); }
};

struct MatmulKernel {
  const char* name;
  Isa needs;
  MatmulPrecision precision;
  RunMatmul run;
  const char* (*why_not)() noexcept = nullptr;   // further conditions: "" when they hold
};

}  // namespace retort::kernels
