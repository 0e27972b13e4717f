// A thread of a GPU: the names that kernel bodies use, over CUDA's own.
#pragma once

#include "kernels/cuda/simt.h"

namespace retort::cuda {

extern __shared__ __align__(16) unsigned char g_shared_bytes[];

struct DeviceThread {
  __device__ __forceinline__ int index() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int count() const { return static_cast<int>(blockDim.x); }
  __device__ __forceinline__ int block_x() const { return static_cast<int>(blockIdx.x); }
  __device__ __forceinline__ int block_y() const { return static_cast<int>(blockIdx.y); }
  __device__ __forceinline__ int block_z() const { return static_cast<int>(blockIdx.z); }
  __device__ __forceinline__ int grid_x() const { return static_cast<int>(gridDim.x); }
  __device__ __forceinline__ int lane() const { return index() % kWarp; }
  __device__ __forceinline__ int warp() const { return index() / kWarp; }
  __device__ __forceinline__ int warps() const { return count() / kWarp; }

  // Dynamic shared memory of the block; its size is what the launch says.
  __device__ __forceinline__ unsigned char* shared() const { return g_shared_bytes; }
  __device__ __forceinline__ void sync() const { __syncthreads(); }

  // All 32 lanes of the warp take part, always.
  __device__ __forceinline__ float exchange(float v, int mask) const { return __shfl_xor_sync(0xffffffffu, v, mask); }
  __device__ __forceinline__ std::uint64_t exchange(std::uint64_t v, int mask) const {
    return __shfl_xor_sync(0xffffffffu, static_cast<unsigned long long>(v), mask);
  }

  __device__ __forceinline__ int add_shared(int* counter, int value) const { return atomicAdd(counter, value); }
  __device__ __forceinline__ void add_shared(std::uint64_t* counter, std::uint64_t value) const {
    static_cast<void>(atomicAdd(reinterpret_cast<unsigned long long*>(counter), static_cast<unsigned long long>(value)));
  }

  // Four 8×8 matrices of f16 from shared memory: lane l names row l % 8 of matrix l / 8; it gets columns 2·(l % 4), + 1 of
  // row l / 4 of each.
  __device__ __forceinline__ void load_matrices(std::uint32_t (&out)[4], const void* row) const {
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(at) : "memory");
  }
  // The same, each matrix transposed.
  __device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&out)[4], const void* row) const {
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(at) : "memory");
  }

  // c[16×8] += a[16×16] · b[16×8], f16 products summed in f32; fragments as PTX has them for mma.m16n8k16.
  __device__ __forceinline__ void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    // Turing has half of it: the first and the last eight columns of a.
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
  }

  // 16 bytes from device memory into shared memory, both on 16 bytes: asynchronously where the device can.
  __device__ __forceinline__ void copy16(void* to_shared, const void* from) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    const auto at = static_cast<std::uint32_t>(__cvta_generic_to_shared(to_shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" : : "r"(at), "l"(from) : "memory");
#else
    *static_cast<Bytes16*>(to_shared) = *static_cast<const Bytes16*>(from);
#endif
  }
  // Waits for this thread's copies; a barrier then shows them to the block.
  __device__ __forceinline__ void wait_copies() const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" : : : "memory");
#endif
  }
};

}  // namespace retort::cuda
