#include "kernels/dispatch/ops.h"

#include <algorithm>
#include <cstring>

#include "kernels/api/half.h"
#include "kernels/api/isa.h"
#include "kernels/avx2/attention.h"
#include "kernels/avx2/avx2.h"
#include "kernels/dispatch/linear_list.h"
#include "kernels/reference/reference.h"

namespace retort::kernels {
namespace {

struct Level {
  Isa needs;
  Ops ops;
};

constexpr Ops avx2_ops(const char* name) {
  return {name,          &avx2::rms_norm,      &avx2::layer_norm, &avx2::add_into, &avx2::silu_gate, &avx2::activate,
          &avx2::multiply_into, &avx2::scale, &avx2::soft_cap,   &avx2::rope,     &avx2::attention};
}

// Best first, reference last.
constexpr Level kLevels[] = {
    // Little of a model's time is spent here: the AVX-512 level has linears of its own and AVX2's everything else.
    {Isa::kAvx512, avx2_ops("avx512")},
    {Isa::kAvx2, avx2_ops("avx2")},
    {Isa::kBaseline,
     {"reference", &reference::rms_norm, &reference::layer_norm, &reference::add_into, &reference::silu_gate,
      &reference::activate, &reference::multiply_into, &reference::scale, &reference::soft_cap, &reference::rope,
      &reference::attention}},
};

void report_linears(void (*row)(void* context, const KernelReport& report), void* context) {
  for (const TypeTraits& type : tensor_types()) {
    const LinearKernel *decode = nullptr, *prefill = nullptr;
    for (const LinearKernel& kernel : linear_kernels()) {
      if (kernel.type != type.type) continue;
      const bool general = kernel.most_tokens == INT64_MAX;
      const bool fits = *kernel.refusal() == '\0' && (decode == nullptr || decode->layout == kernel.layout);
      const bool chosen = fits && (general ? prefill == nullptr : decode == nullptr);
      std::string reason = chosen ? "best of this list" : kernel.refusal();
      if (reason.empty()) reason = fits ? "a better one comes first" : "wants another layout of the weight";
      row(context, {"linear " + std::string(type.name) + (general ? ", many tokens" : ", few tokens"), kernel.name,
                    chosen, reason});
      if (chosen && decode == nullptr) decode = &kernel;
      if (chosen && general) prefill = &kernel;
    }
  }
}

}  // namespace

const Ops* ops(std::string_view forced) noexcept {
  const std::string_view wanted = forced.empty() ? forced_by_environment() : forced;
  for (const Level& level : kLevels)
    if (supported(level.needs) && (wanted.empty() || wanted == level.ops.name)) return &level.ops;
  return nullptr;
}

// Enough for every level: the scores of a block of tokens and one panel of keys or values.
std::size_t attention_scratch_floats(const AttentionArgs& args) noexcept {
  const auto padded = [](std::int64_t n) { return (std::max<std::int64_t>(n, 1) + 15) / 16 * 16; };
  return static_cast<std::size_t>(avx2::kAttentionTokens * padded(args.past + args.tokens) +
                                  avx2::kAttentionDepth * padded(args.head_dim));
}

static bool beyond_reference() noexcept {
  static const bool fast = ops() != nullptr && std::string_view(ops()->name) != "reference";
  return fast;
}

void decode(TensorType type, const void* packed, float* out, std::size_t n) noexcept {
  if (!beyond_reference() || !avx2::decode(type, packed, out, n)) traits(type).decode(packed, out, n);
}

void to_f16(const float* x, std::size_t n, void* out) noexcept {
  if (beyond_reference()) return avx2::to_f16(x, n, out);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t half = f32_to_f16(x[i]);
    std::memcpy(static_cast<char*>(out) + 2 * i, &half, 2);
  }
}

void report_kernels(void (*row)(void* context, const KernelReport& report), void* context) {
  report_linears(row, context);
  bool found = false;
  for (const Level& level : kLevels) {
    const bool chosen = !found && supported(level.needs);
    const std::string reason = chosen ? "best of this list" : *why_unsupported(level.needs) != '\0'
                                                                   ? why_unsupported(level.needs)
                                                                   : "a better one comes first";
    row(context, {"norms, gate, rotary, attention", level.ops.name, chosen, reason});
    found = found || chosen;
  }
}

}  // namespace retort::kernels
