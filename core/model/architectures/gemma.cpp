// Gemma (Gemma team 2024): norms that multiply by 1 + w, embeddings scaled by the root of their width, gated GELU.
#include <cmath>

#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace gemma {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm,
    parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias),
    parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias),
    parts::kFeedForwardNorm,
    parts::kGate, parts::kUp, parts::kDown, parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTiedUnlessSaid, flags::kAttentionBias, flags::kAttentionOutputBias};
constexpr std::array kRefused = {ConfigKey{"use_bidirectional_attention", ""}};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  // The first files say "gelu" and mean the tanh form; a later key says it outright.
  RETORT_TRY(const auto later, source.text({"hidden_activation", ""}));
  if (later) config.activation = *later;
  if (config.activation == "gelu") config.activation = "gelu_pytorch_tanh";
  return {};
}

constexpr DecoderTraits kTraits = {.id = "gemma", .counts = counts::kUsual, .parts = kParts, .flags = kFlags,
                                   .refused = kRefused, .activation_otherwise = "gelu_pytorch_tanh",
                                   .folder_norm_offset = 1, .adjust = adjust};

}  // namespace gemma

Architecture gemma_architecture() {
  return decoder_architecture<gemma::kTraits>({"gemma"}, {"GemmaForCausalLM", "gemma"});
}

}  // namespace retort
