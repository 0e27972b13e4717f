#include "kernels/dispatch/linear_list.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/reference/reference.h"

namespace retort::kernels {
namespace {

constexpr std::int64_t kAny = INT64_MAX;

constexpr Rounding kRoundings[] = {
    {"reference", Isa::kBaseline, &reference::round_row, &reference::expand_row},
};

std::vector<LinearKernel> make_list() {
  std::vector<LinearKernel> list;
  for (const TypeTraits& type : tensor_types()) {
    if (type.type == TensorType::kI8)
      list.push_back({"reference", Isa::kBaseline, type.type, WeightLayout::kStored, Input::kRounded, kAny,
                      &reference::int8_tile});
    else
      list.push_back({"reference", Isa::kBaseline, type.type, WeightLayout::kStored, Input::kFloat, kAny,
                      &reference::linear_tile});
  }
  return list;
}

}  // namespace

std::span<const LinearKernel> linear_kernels() noexcept {
  static const std::vector<LinearKernel> list = make_list();
  return list;
}

std::span<const Rounding> roundings() noexcept { return kRoundings; }

const Rounding& rounding(std::string_view forced) noexcept {
  for (const Rounding& candidate : kRoundings)
    if (supported(candidate.needs) && forced == candidate.name) return candidate;
  for (const Rounding& candidate : kRoundings)
    if (supported(candidate.needs)) return candidate;
  return kRoundings[0];
}

}  // namespace retort::kernels
