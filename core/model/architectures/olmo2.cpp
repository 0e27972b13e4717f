// OLMo 2 (OLMo team 2024): norms only after each half of a layer; RMS norm over all of q and all of k.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace olmo2 {

constexpr Flag kBias = &ModelConfig::attention_bias;

constexpr std::array kParts = {
    parts::kEmbedding, parts::kQuery.with_bias(kBias), parts::kKey.with_bias(kBias), parts::kValue.with_bias(kBias),
    PartRow{Part::kQueryNorm, "blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm", Dim::kQuery, Dim::kNone},
    PartRow{Part::kKeyNorm, "blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Dim::kKeyValue, Dim::kNone},
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias),
    PartRow{Part::kPostAttentionNorm, "blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm", Dim::kHidden,
            Dim::kNone},
    parts::kGate, parts::kUp, parts::kDown,
    PartRow{Part::kPostFeedForwardNorm, "blk.{}.post_ffw_norm", "model.layers.{}.post_feedforward_layernorm", Dim::kHidden,
            Dim::kNone},
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied, flags::kAttentionBias, flags::kAttentionOutputBias};

constexpr DecoderTraits kTraits = {.id = "olmo2", .counts = counts::kUsual, .parts = kParts, .flags = kFlags,
                                    .epsilon_otherwise = 1e-5};

}  // namespace olmo2

Architecture olmo2_architecture() {
  return decoder_architecture<olmo2::kTraits>({"olmo2"}, {"Olmo2ForCausalLM", "olmo2"});
}

}  // namespace retort
