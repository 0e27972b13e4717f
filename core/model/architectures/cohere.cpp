// Command R (Cohere 2024): attention and feed-forward side by side after one layer norm without bias; pairs of neighbours
// rotated; scaled logits.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace cohere {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias),
    parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    PartRow{Part::kQueryNorm, "blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm", Dim::kHeads, Dim::kHeadDim}
        .only(&ModelConfig::query_key_norm),
    PartRow{Part::kKeyNorm, "blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Dim::kKeyHeads, Dim::kHeadDim}
        .only(&ModelConfig::query_key_norm),
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias), parts::kGate, parts::kUp, parts::kDown,
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kNumbers = {NumberRow{{"logit_scale", "logit_scale"}, &ModelConfig::logit_scale}};
constexpr std::array kFlags = {
    flags::kTiedUnlessSaid, flags::kAttentionBias, flags::kAttentionOutputBias,
    FlagRow{{"use_qk_norm", ""}, &ModelConfig::query_key_norm, false},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  if (!source.has({"logit_scale", "logit_scale"})) config.logit_scale = 0.0625;
  config.parallel_residual = true;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "cohere", .counts = counts::kUsual, .parts = kParts, .numbers = kNumbers,
                                   .flags = kFlags, 
                                   .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .layer_norm = true, .theta_otherwise = 500000,
                                   .gguf_interleaved = true, .folder_interleaved = true, .adjust = adjust};

}  // namespace cohere

Architecture cohere_architecture() {
  return decoder_architecture<cohere::kTraits>({"command-r"}, {"CohereForCausalLM", "cohere"});
}

}  // namespace retort
