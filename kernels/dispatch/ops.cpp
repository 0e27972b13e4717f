#include "kernels/dispatch/ops.h"

#include <algorithm>

#include "kernels/api/isa.h"
#include "kernels/dispatch/linear_list.h"
#include "kernels/reference/reference.h"

namespace retort::kernels {
namespace {

struct Level {
  Isa needs;
  Ops ops;
};

// Best first, reference last.
constexpr Level kLevels[] = {
    {Isa::kBaseline,
     {"reference", &reference::rms_norm, &reference::layer_norm, &reference::add_into, &reference::silu_gate,
      &reference::rope, &reference::attention}},
};

void report_linears(void (*row)(void* context, const KernelReport& report), void* context) {
  for (const TypeTraits& type : tensor_types()) {
    const LinearKernel *decode = nullptr, *prefill = nullptr;
    for (const LinearKernel& kernel : linear_kernels()) {
      if (kernel.type != type.type) continue;
      const bool general = kernel.most_tokens == INT64_MAX;
      const bool fits = supported(kernel.needs) && (decode == nullptr || decode->layout == kernel.layout);
      const bool chosen = fits && (general ? prefill == nullptr : decode == nullptr);
      std::string reason = chosen ? "best of this list" : why_unsupported(kernel.needs);
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

std::size_t attention_scratch_floats(const AttentionArgs& args) noexcept {
  return static_cast<std::size_t>(std::max<std::int64_t>(args.past + args.tokens, 1));
}

void decode(TensorType type, const void* packed, float* out, std::size_t n) noexcept {
  traits(type).decode(packed, out, n);
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
