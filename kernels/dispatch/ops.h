// The best kernel of each operation on this machine, chosen once; RETORT_KERNEL or a setting can force a level.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kernels/api/linear.h"
#include "kernels/api/ops.h"

namespace retort::kernels {

struct Ops {
  const char* name;        // "avx2"
  RmsNorm rms_norm;
  LayerNorm layer_norm;
  AddInto add_into;
  SiluGate silu_gate;
  Activate activate;
  MultiplyInto multiply_into;
  Scale scale;
  SoftCap soft_cap;
  Rope rope;
  Attention attention;
};

// forced: "", "reference", "avx2", "avx512". nullptr when the forced level cannot run here.
const Ops* ops(std::string_view forced = {}) noexcept;
std::size_t attention_scratch_floats(const AttentionArgs& args) noexcept;

// Decodes n elements with the fastest exact decoder of this machine.
void decode(TensorType type, const void* packed, float* out, std::size_t n) noexcept;
// Rounds n floats to f16, to nearest even; `out` need not be aligned.
void to_f16(const float* x, std::size_t n, void* out) noexcept;

// For `retort devices` and Hardware: one row per kernel known for each operation, why it was chosen or skipped.
struct KernelReport {
  std::string operation;   // "linear Q4_0, one token"
  std::string kernel;      // "avx2"
  bool chosen;
  std::string reason;      // "best of this list" · "needs avx512vnni, which this processor lacks"
};
// `count` rows are appended to a caller-owned vector through the callback, so that kernels need no containers.
void report_kernels(void (*row)(void* context, const KernelReport& report), void* context);

// The machine's limits, as its widest instructions reach them; for `retort devices` and the benchmarks.
// Sum of n floats, read once; and about `operations` f32 multiply-adds (2 operations each) in registers.
float sum_floats(const float* x, std::size_t n) noexcept;
float multiply_add_loop(double operations) noexcept;

// What RETORT_KERNEL asks for; "" when unset.
std::string_view forced_by_environment() noexcept;
// "AVX2 FMA F16C", for people.
std::string cpu_features();

}  // namespace retort::kernels
