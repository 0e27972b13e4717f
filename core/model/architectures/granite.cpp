// Granite 3 (IBM 2024): Llama with multipliers for embeddings, scores, residuals and logits.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace granite {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias), parts::kFeedForwardNorm, parts::kGate.with_bias(&ModelConfig::mlp_bias), parts::kUp.with_bias(&ModelConfig::mlp_bias), parts::kDown.with_bias(&ModelConfig::mlp_bias),
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kNumbers = {
    NumberRow{{"embedding_multiplier", "embedding_scale"}, &ModelConfig::embedding_scale},
    NumberRow{{"residual_multiplier", "residual_scale"}, &ModelConfig::residual_scale},
    NumberRow{{"attention_multiplier", "attention.scale"}, &ModelConfig::attention_scale},
    NumberRow{{"logits_scaling", "logit_scale"}, &ModelConfig::logit_scale},
};
constexpr std::array kFlags = {flags::kTied, flags::kAttentionBias, flags::kAttentionOutputBias, flags::kMlpBias};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  // The class's own default, where Llama's is the root of the head's width.
  if (!source.gguf() && config.attention_scale == 0) config.attention_scale = 1;
  if (!(config.logit_scale > 0)) return source.error({"logits_scaling", "logit_scale"}, "above 0", "less");
  config.logit_scale = 1 / config.logit_scale;   // the file's number divides
  return {};
}

constexpr DecoderTraits kTraits = {.id = "granite", .counts = counts::kUsual, .parts = kParts, .numbers = kNumbers,
                                   .flags = kFlags,  .gguf_interleaved = true, .adjust = adjust};

}  // namespace granite

Architecture granite_architecture() {
  return decoder_architecture<granite::kTraits>({"granite"}, {"GraniteForCausalLM", "granite"});
}

}  // namespace retort
