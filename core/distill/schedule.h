// Learning rates over the steps of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace retort::distill {

enum class Decay : std::uint8_t { kConstant, kLinear, kCosine };
std::string_view decay_name(Decay decay) noexcept;               // "cosine"
std::optional<Decay> find_decay(std::string_view name) noexcept;

// Rises linearly from 0 over `warmup` steps (step 0 has rate 0 when there are any), then falls to `floor` · base at `total`.
// The same numbers as transformers' get_*_schedule_with_warmup for floor 0.
struct Schedule {
  Decay decay = Decay::kCosine;
  double base = 5e-5;
  std::int64_t warmup = 0, total = 0;
  double floor = 0;
  double rate(std::int64_t step) const noexcept;
};

}  // namespace retort::distill
