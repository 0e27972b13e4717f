// Gemma 2 (Gemma team 2024): norms before and after both halves of a layer, capped scores and logits, every second
// layer with a sliding window.
#include <cmath>

#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace gemma2 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm,
    parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias),
    parts::kValue.with_bias(&ModelConfig::attention_bias),
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
  const double otherwise = static_cast<double>(source.gguf() && config.layers == 46 ? config.hidden / config.heads : config.head_dim);
  config.attention_scale = 1 / std::sqrt(scalar ? static_cast<double>(*scalar) : otherwise);
  return read_layer_types(source, config, [](std::int64_t layer) { return layer % 2 == 0; });
}

constexpr DecoderTraits kTraits = {.id = "gemma2", .counts = counts::kSliding, .parts = kParts, .numbers = kNumbers,
                                   .flags = kFlags, .refused = kRefused, .activation = {"hidden_activation", ""},
                                   .activation_otherwise = "gelu_pytorch_tanh", .folder_norm_offset = 1, .adjust = adjust};

}  // namespace gemma2

Architecture gemma2_architecture() {
  return decoder_architecture<gemma2::kTraits>({"gemma2"}, {"Gemma2ForCausalLM", "gemma2"});
}

}  // namespace retort
