// The instruction-set levels that kernels are written for.
#pragma once

#include <cstdint>

namespace retort::kernels {

enum class Isa : std::uint8_t {
  kBaseline,  // plain C++
  kAvx2,      // AVX2, FMA and F16C
  kAvx512,    // AVX-512 F, BW, DQ, VL and VNNI, and what kAvx2 has
};

// Whether processor and operating system both support the level.
bool supported(Isa isa) noexcept;
// "needs AVX512-VNNI, which this processor lacks"; "" when supported. Static.
const char* why_unsupported(Isa isa) noexcept;

}  // namespace retort::kernels
