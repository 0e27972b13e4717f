// What of a plan a device does not do: each refusal names the part, what was wanted and what there is.
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "core/model/device_plan.h"

namespace retort {
namespace {

constexpr std::array<std::string_view, 9> kStepNames = {"embeddings", "norms", "additions", "additions with a norm", "linear layers",
                                                        "attention", "gates", "operations of single values", "mixtures of experts"};
constexpr std::array<std::string_view, 6> kElementNames = {"multiplying", "scaling", "soft caps", "activations", "normalizing", "slicing"};
constexpr std::array<std::string_view, 8> kFunctionNames = {"SiLU", "GELU", "GELU (tanh)", "quick GELU", "ReLU", "squared ReLU", "tanh", "sigmoid"};
constexpr std::array<std::string_view, 5> kPoolNames = {"first", "last", "mean", "max", "mean over the root"};
constexpr std::array<std::string_view, 2> kCacheNames = {"F32", "F16"};

bool has_bit(std::uint64_t set, std::int32_t bit) noexcept { return bit >= 0 && bit < 64 && (set >> bit & 1) != 0; }

template <std::size_t N>
std::string bit_names(std::uint64_t set, const std::array<std::string_view, N>& names) {
  std::string text;
  for (std::size_t i = 0; i < N; ++i)
    if (has_bit(set, static_cast<std::int32_t>(i))) text += (text.empty() ? "" : ", ") + std::string(names[i]);
  return text.empty() ? "none" : text;
}

std::string type_names(std::uint64_t set) {
  std::string text;
  for (const kernels::TypeTraits& type : kernels::tensor_types())
    if (type.ggml_id >= 0 && has_bit(set, type.ggml_id)) text += (text.empty() ? "" : ", ") + std::string(type.name);
  return text.empty() ? "none" : text;
}

Error refuse_part(std::string place, std::string expected, std::string found, const char* next_step) {
  return Error{.code = ErrorCode::kUnsupported, .place = std::move(place), .expected = std::move(expected) + " on this device",
               .found = std::move(found), .next_step = next_step};
}

template <std::size_t N>
Result<void> demand(std::uint64_t set, std::int32_t bit, const std::array<std::string_view, N>& names, std::string place) {
  if (has_bit(set, bit)) return {};
  return refuse_part(std::move(place), bit_names(set, names), std::string(names[static_cast<std::size_t>(bit)]), "compute with --backend cpu");
}

}  // namespace

Result<void> DevicePlan::check(const retort_capabilities& device) const {
  for (std::size_t i = 0; i < weights_.size(); ++i) RETORT_CHECK(check_weight(device, i));
  for (const retort_step& step : steps_) RETORT_CHECK(check_step(device, step));
  for (const retort_step& step : head_steps_) RETORT_CHECK(check_step(device, step));
  if (plan_.pool >= 0) RETORT_CHECK(demand(device.pools, plan_.pool, kPoolNames, "pooling"));
  if (plan_.causal) RETORT_CHECK(demand(device.kv_types, plan_.kv_type, kCacheNames, "KV cache"));
  return {};
}

Result<void> DevicePlan::check_weight(const retort_capabilities& device, std::size_t i) const {
  const retort_weight& weight = weights_[i];
  for (const auto& [use, types] : {std::pair{RETORT_USE_LINEAR, device.linear_types}, std::pair{RETORT_USE_ROWS, device.row_types}}) {
    if (!(weight.uses & static_cast<std::uint32_t>(use)) || has_bit(types, weight.type)) continue;
    return refuse_part(weight.name, type_names(types), std::string(kernels::find_ggml_type(weight.type)->name),
                       "compute with --backend cpu, or quantize to a type that the device takes");
  }
  return {};
}

Result<void> DevicePlan::check_step(const retort_capabilities& device, const retort_step& step) const {
  RETORT_CHECK(demand(device.steps, step.kind, kStepNames, step.name));
  const bool activates = step.kind == RETORT_STEP_GATE || step.kind == RETORT_STEP_EXPERTS ||
                         (step.kind == RETORT_STEP_ELEMENT && step.element == RETORT_ELEMENT_ACTIVATION);
  if (activates) RETORT_CHECK(demand(device.activations, step.activation, kFunctionNames, step.name));
  if (step.kind == RETORT_STEP_ELEMENT) RETORT_CHECK(demand(device.element_ops, step.element, kElementNames, step.name));
  if (step.kind == RETORT_STEP_ATTENTION && step.head_dim > device.largest_head_dim)
    return refuse_part(step.name, fmt::format("heads of at most {}", device.largest_head_dim), std::to_string(step.head_dim),
                       "compute with --backend cpu");
  return {};
}

}  // namespace retort
