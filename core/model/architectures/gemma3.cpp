// Gemma 3, text (Gemma team 2025): Gemma 2 without caps, norms over each head of q and k, five layers with a sliding
// window and frequencies of their own for each that sees everything.
#include <cmath>

#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace gemma3 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm,
    parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias),
    parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kQueryNorm, parts::kKeyNorm,
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias),
    PartRow{Part::kPostAttentionNorm, "blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm", Dim::kHidden,
            Dim::kNone},
    PartRow{Part::kFeedForwardNorm, "blk.{}.ffn_norm", "model.layers.{}.pre_feedforward_layernorm", Dim::kHidden, Dim::kNone},
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm", Dim::kHidden,
            Dim::kNone},
    parts::kGate, parts::kUp, parts::kDown, parts::kFinalNorm, parts::kHead,
};

constexpr std::array kNumbers = {
    NumberRow{{"attn_logit_softcapping", "attn_logit_softcapping"}, &ModelConfig::attention_soft_cap},
    NumberRow{{"final_logit_softcapping", "final_logit_softcapping"}, &ModelConfig::final_soft_cap},
};

constexpr std::array kFlags = {flags::kTiedUnlessSaid, flags::kAttentionBias, flags::kAttentionOutputBias};
constexpr std::array kRefused = {ConfigKey{"use_bidirectional_attention", ""}};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  RETORT_TRY(const auto scalar, source.count({"query_pre_attn_scalar", ""}, 1 << 20));
  // GGUF doesn't state it: the head's width, but for the 27B model the share of the hidden width.
  const double otherwise = static_cast<double>(source.gguf() && config.layers == 62 ? config.hidden / config.heads : config.head_dim);
  config.attention_scale = 1 / std::sqrt(scalar ? static_cast<double>(*scalar) : otherwise);
  RETORT_TRY(config.local_rope, read_local_rope(source, config, 10000));
  RETORT_TRY(const auto pattern, source.count({"sliding_window_pattern", ""}, 1 << 20));
  RETORT_CHECK(read_layer_types(source, config, [](std::int64_t) { return true; }));
  if (source.has({"layer_types", ""})) return {};
  for (std::size_t l = 0; l < config.sliding.size(); ++l)
    config.sliding[l] = (l + 1) % static_cast<std::size_t>(pattern.value_or(6)) != 0;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "gemma3", .counts = counts::kSliding, .parts = kParts, .numbers = kNumbers,
                                   .flags = kFlags, .refused = kRefused, .activation = {"hidden_activation", ""},
                                   .activation_otherwise = "gelu_pytorch_tanh", .folder_norm_offset = 1,
                                   .theta_otherwise = 1e6, .adjust = adjust};

}  // namespace gemma3

Architecture gemma3_architecture() {
  return decoder_architecture<gemma3::kTraits>({"gemma3"}, {"Gemma3ForCausalLM", "gemma3_text"});
}

}  // namespace retort
