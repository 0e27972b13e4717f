// SmolLM3 (Hugging Face 2025): Llama whose every fourth layer has no rotation.
#include <algorithm>

#include <fmt/format.h>

#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace smollm3 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias), parts::kFeedForwardNorm, parts::kGate.with_bias(&ModelConfig::mlp_bias), parts::kUp.with_bias(&ModelConfig::mlp_bias), parts::kDown.with_bias(&ModelConfig::mlp_bias),
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTiedUnlessSaid, flags::kAttentionBias, flags::kAttentionOutputBias, flags::kMlpBias};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  const ConfigKey key{"no_rope_layers", ""};
  RETORT_TRY(const auto rotates, source.numbers(key));
  RETORT_TRY(const auto interval, source.count({"no_rope_layer_interval", ""}, 1 << 20));
  const std::size_t layers = static_cast<std::size_t>(std::min<std::int64_t>(config.layers, 1 << 20));
  if (rotates && rotates->size() < layers)
    return source.error(key, fmt::format("{} numbers", layers), fmt::format("{}", rotates->size()));
  for (std::size_t l = 0; l < layers; ++l)
    config.without_rope.push_back(rotates ? (*rotates)[l] == 0 : (l + 1) % static_cast<std::size_t>(interval.value_or(4)) == 0);
  RETORT_TRY(const auto slides, source.flag({"use_sliding_window", ""}));
  if (!slides.value_or(false)) config.window = 0;
  RETORT_CHECK(read_layer_types(source, config, [](std::int64_t) { return false; }));
  if (!source.has({"layer_types", ""})) config.sliding = config.without_rope;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "smollm3", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .theta_otherwise = 2e6, .gguf_interleaved = true, .adjust = adjust};

}  // namespace smollm3

Architecture smollm3_architecture() {
  return decoder_architecture<smollm3::kTraits>({"smollm3"}, {"SmolLM3ForCausalLM", "smollm3"});
}

}  // namespace retort
