// What every kernel body is written against. A body is a function over a `Thread` (its index, its block's shared memory,
// barriers, exchanges within a warp, matrix products). DeviceThread (thread_device.h) is that of a GPU; SimulatedThread
// (simulator.h) runs the very same body on the CPU, so that it can be tested where there is no device.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_fp16.h>
#define RETORT_DEVICE __device__ __forceinline__
#define RETORT_BOTH __host__ __device__ inline
#define RETORT_UNROLL _Pragma("unroll")
#else
#include "kernels/api/half.h"
#define RETORT_DEVICE inline
#define RETORT_BOTH inline
#define RETORT_UNROLL
#endif

namespace retort::cuda {

inline constexpr int kWarp = 32;

struct alignas(16) Bytes16 { std::uint32_t word[4]; };
struct alignas(16) Float4 { float x, y, z, w; };

RETORT_BOTH constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
RETORT_BOTH constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

template <class To, class From>
RETORT_DEVICE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

#ifndef __CUDACC__
// What a device would answer with a fault.
inline void demand_alignment(const void* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % 16 == 0) return;
  std::fputs("simulated kernel: a load of 16 bytes doesn't lie on 16 bytes\n", stderr);
  std::abort();
}
#endif

RETORT_DEVICE Bytes16 load16(const void* from) {
#ifndef __CUDACC__
  demand_alignment(from);
#endif
  return *static_cast<const Bytes16*>(from);
}

// Weights are read once: past the L1 cache on a device.
RETORT_DEVICE Bytes16 load16_once(const void* from) {
#ifdef __CUDA_ARCH__
  Bytes16 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3]) : "l"(from));
  return v;
#else
  return load16(from);
#endif
}

RETORT_DEVICE float f16_to_float(std::uint16_t h) {
#ifdef __CUDACC__
  return __half2float(__ushort_as_half(h));
#else
  return kernels::f16_to_f32(h);
#endif
}
RETORT_DEVICE std::uint16_t float_to_f16(float f) {
#ifdef __CUDACC__
  return __half_as_ushort(__float2half_rn(f));
#else
  return kernels::f32_to_f16(f);
#endif
}
RETORT_DEVICE float bf16_to_float(std::uint16_t h) { return bits_as<float>(static_cast<std::uint32_t>(h) << 16); }

RETORT_DEVICE std::uint32_t pack_f16(float low, float high) {
  return static_cast<std::uint32_t>(float_to_f16(low)) | static_cast<std::uint32_t>(float_to_f16(high)) << 16;
}

// Byte i of four as a float, exactly and without the slow conversion: 2^23 + byte has the byte in its low bits.
RETORT_DEVICE float byte_float(std::uint32_t word, int i) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440u | static_cast<std::uint32_t>(i))) - 8388608.0f;
#else
  return bits_as<float>(0x4b000000u | (word >> (8 * i) & 255u)) - 8388608.0f;
#endif
}

RETORT_DEVICE std::uint16_t half_of(const Bytes16& v, int i) {
  return static_cast<std::uint16_t>(v.word[i / 2] >> (16 * (i % 2)));
}
RETORT_DEVICE std::uint32_t byte_of(const Bytes16& v, int i) { return v.word[i / 4] >> (8 * (i % 4)) & 255u; }

}  // namespace retort::cuda
