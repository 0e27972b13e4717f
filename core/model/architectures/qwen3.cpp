// Qwen3 (Yang et al. 2025): RMS norm over each head of q and k; no biases.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace qwen3 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kQueryNorm, parts::kKeyNorm,
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias), parts::kFeedForwardNorm, parts::kGate, parts::kUp, parts::kDown,
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied, flags::kAttentionBias, flags::kAttentionOutputBias};

constexpr DecoderTraits kTraits = {.id = "qwen3", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .adjust = read_qwen_window};

}  // namespace qwen3

Architecture qwen3_architecture() {
  return decoder_architecture<qwen3::kTraits>({"qwen3"}, {"Qwen3ForCausalLM", "qwen3"});
}

}  // namespace retort
