// What the layers of Qwen's families have in common.
#include <algorithm>

#include <fmt/format.h>

#include "core/model/architectures/decoder.h"

namespace retort {
namespace {

// How many layers patterns are made for before build_decoder has compared their number with the tensors'.
std::int64_t checked_layers(const ModelConfig& config) { return std::min<std::int64_t>(config.layers, 1 << 20); }

Result<void> read_window(const ConfigSource& source, ModelConfig& config, bool moe) {
  RETORT_TRY(const auto used, source.flag({"use_sliding_window", ""}));
  if (!used.value_or(false)) config.window = 0;
  if (config.window == 0) return {};
  RETORT_CHECK(read_layer_types(source, config, [](std::int64_t) { return false; }));
  if (source.has({"layer_types", ""})) return {};
  RETORT_TRY(const auto first, source.number({"max_window_layers", ""}));
  const double limit = first.value_or(28);
  for (std::size_t l = 0; l < config.sliding.size(); ++l) {
    const bool below = static_cast<double>(l) < limit;
    config.sliding[l] = moe ? l % 2 == 0 && below : !below;
  }
  return {};
}

}  // namespace

Result<void> read_qwen_window(const ConfigSource& source, ModelConfig& config) { return read_window(source, config, false); }
Result<void> read_qwen_moe_window(const ConfigSource& source, ModelConfig& config) { return read_window(source, config, true); }

Result<void> read_dense_layers(const ConfigSource& source, ModelConfig& config) {
  RETORT_TRY(const auto step, source.count({"decoder_sparse_step", ""}, 1 << 20));
  const ConfigKey key{"mlp_only_layers", ""};
  RETORT_TRY(const auto only, source.numbers(key));
  config.dense.assign(static_cast<std::size_t>(checked_layers(config)), false);
  for (std::size_t l = 0; l < config.dense.size(); ++l)
    config.dense[l] = (l + 1) % static_cast<std::size_t>(step.value_or(1)) != 0;
  for (const double layer : only.value_or(std::vector<double>{})) {
    if (!(layer >= 0 && layer < static_cast<double>(config.dense.size())))
      return source.error(key, fmt::format("layers 0 to {}", config.layers - 1), fmt::format("{}", layer));
    config.dense[static_cast<std::size_t>(layer)] = true;
  }
  return {};
}

}  // namespace retort
