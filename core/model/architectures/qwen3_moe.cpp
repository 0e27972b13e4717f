// Qwen3-MoE (Yang et al. 2025): Qwen3 with experts.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace qwen3_moe {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kKeyHeads, counts::kHeadDim,
    counts::kContext, counts::kWindow,
    CountRow{{"intermediate_size", "feed_forward_length"}, &ModelConfig::feed_forward, false},
    CountRow{{"num_local_experts", ""}, &ModelConfig::experts, false},   // transformers 5
    CountRow{{"num_experts", "expert_count"}, &ModelConfig::experts, true},
    counts::kExpertsUsed,
    CountRow{{"moe_intermediate_size", "expert_feed_forward_length"}, &ModelConfig::expert_feed_forward, false},
};

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kQueryNorm, parts::kKeyNorm,
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias), parts::kFeedForwardNorm, parts::kGate, parts::kUp, parts::kDown,
    PartRow{Part::kRouter, "blk.{}.ffn_gate_inp", "model.layers.{}.mlp.gate", Dim::kExperts, Dim::kHidden},
    PartRow{Part::kExpertGate, "blk.{}.ffn_gate_exps", "model.layers.{}.mlp.experts.{}.gate_proj", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertUp, "blk.{}.ffn_up_exps", "model.layers.{}.mlp.experts.{}.up_proj", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertDown, "blk.{}.ffn_down_exps", "model.layers.{}.mlp.experts.{}.down_proj", Dim::kHidden, Dim::kExpertFeedForward},
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {
    flags::kTied, flags::kAttentionBias, flags::kAttentionOutputBias,
    FlagRow{{"norm_topk_prob", ""}, &ModelConfig::normalize_experts, false},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  if (source.gguf()) config.normalize_experts = true;   // which GGUF does not state
  RETORT_CHECK(read_dense_layers(source, config));
  RETORT_TRY(const auto used, source.flag({"use_sliding_window", ""}));
  if (!used.value_or(false)) config.window = 0;   // else in all layers
  return {};
}

constexpr DecoderTraits kTraits = {.id = "qwen3moe", .counts = kCounts, .parts = kParts, .flags = kFlags, 
                                   .adjust = adjust};

}  // namespace qwen3_moe

Architecture qwen3_moe_architecture() {
  return decoder_architecture<qwen3_moe::kTraits>({"qwen3moe"}, {"Qwen3MoeForCausalLM", "qwen3_moe"});
}

}  // namespace retort
