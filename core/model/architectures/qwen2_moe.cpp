// Qwen2-MoE (Yang et al. 2024): Qwen2 with experts and one expert that every token takes.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace qwen2_moe {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden, counts::kLayers, counts::kHeads, counts::kKeyHeads, counts::kHeadDim,
    counts::kContext, counts::kWindow,
    CountRow{{"intermediate_size", "feed_forward_length"}, &ModelConfig::feed_forward, false},
    CountRow{{"num_local_experts", ""}, &ModelConfig::experts, false},   // transformers 5
    CountRow{{"num_experts", "expert_count"}, &ModelConfig::experts, true},
    counts::kExpertsUsed,
    CountRow{{"moe_intermediate_size", "expert_feed_forward_length"}, &ModelConfig::expert_feed_forward, false},
    CountRow{{"shared_expert_intermediate_size", "expert_shared_feed_forward_length"}, &ModelConfig::shared_feed_forward, false},
};

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(&ModelConfig::attention_bias), parts::kKey.with_bias(&ModelConfig::attention_bias), parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kOutput, parts::kFeedForwardNorm, parts::kGate, parts::kUp, parts::kDown,
    PartRow{Part::kRouter, "blk.{}.ffn_gate_inp", "model.layers.{}.mlp.gate", Dim::kExperts, Dim::kHidden},
    PartRow{Part::kExpertGate, "blk.{}.ffn_gate_exps", "model.layers.{}.mlp.experts.{}.gate_proj", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertUp, "blk.{}.ffn_up_exps", "model.layers.{}.mlp.experts.{}.up_proj", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertDown, "blk.{}.ffn_down_exps", "model.layers.{}.mlp.experts.{}.down_proj", Dim::kHidden, Dim::kExpertFeedForward},
    PartRow{Part::kSharedRouter, "blk.{}.ffn_gate_inp_shexp", "model.layers.{}.mlp.shared_expert_gate", Dim::kOne, Dim::kHidden},
    PartRow{Part::kSharedGate, "blk.{}.ffn_gate_shexp", "model.layers.{}.mlp.shared_expert.gate_proj", Dim::kSharedFeedForward,
            Dim::kHidden},
    PartRow{Part::kSharedUp, "blk.{}.ffn_up_shexp", "model.layers.{}.mlp.shared_expert.up_proj", Dim::kSharedFeedForward,
            Dim::kHidden},
    PartRow{Part::kSharedDown, "blk.{}.ffn_down_shexp", "model.layers.{}.mlp.shared_expert.down_proj", Dim::kHidden,
            Dim::kSharedFeedForward},
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {
    flags::kTied,
    FlagRow{{"qkv_bias", ""}, &ModelConfig::attention_bias, true},
    FlagRow{{"norm_topk_prob", ""}, &ModelConfig::normalize_experts, false},
};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  if (config.shared_feed_forward == 0) config.shared_feed_forward = config.feed_forward;
  RETORT_CHECK(read_dense_layers(source, config));
  return read_qwen_moe_window(source, config);
}

constexpr DecoderTraits kTraits = {.id = "qwen2moe", .counts = kCounts, .parts = kParts, .flags = kFlags, 
                                   .adjust = adjust};

}  // namespace qwen2_moe

Architecture qwen2_moe_architecture() {
  return decoder_architecture<qwen2_moe::kTraits>({"qwen2moe"}, {"Qwen2MoeForCausalLM", "qwen2_moe"});
}

}  // namespace retort
