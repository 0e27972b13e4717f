// Llama (Touvron et al. 2023; Dubey et al. 2024): RMS norm, rotary positions, grouped-query attention, SwiGLU.
// SmolLM2, TinyLlama, Llama 2 and 3, DeepSeek's distilled Llamas and their relatives. GGUF files of Mistral and Mixtral
// carry the name "llama" too: a window or experts there are taken as they are.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace llama {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden,  counts::kLayers,
    counts::kHeads,      counts::kKeyHeads, counts::kHeadDim,
    counts::kFeedForward, counts::kContext,
    CountRow{{"", "attention.sliding_window"}, &ModelConfig::window, false, true},
    CountRow{{"", "expert_count"}, &ModelConfig::experts, false, true},
    CountRow{{"", "expert_used_count"}, &ModelConfig::experts_used, false, true},
};

constexpr std::array kParts = {
    parts::kEmbedding,
    parts::kAttentionNorm,
    parts::kQuery.with_bias(&ModelConfig::attention_bias),
    parts::kKey.with_bias(&ModelConfig::attention_bias),
    parts::kValue.with_bias(&ModelConfig::attention_bias),
    parts::kOutput.with_bias(&ModelConfig::attention_output_bias),
    parts::kFeedForwardNorm,
    parts::kGate.with_bias(&ModelConfig::mlp_bias),
    parts::kUp.with_bias(&ModelConfig::mlp_bias),
    parts::kDown.with_bias(&ModelConfig::mlp_bias),
    PartRow{Part::kRouter, "blk.{}.ffn_gate_inp", "model.layers.{}.block_sparse_moe.gate", Dim::kExperts, Dim::kHidden},
    PartRow{Part::kExpertGate, "blk.{}.ffn_gate_exps", "model.layers.{}.block_sparse_moe.experts.{}.w1", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertUp, "blk.{}.ffn_up_exps", "model.layers.{}.block_sparse_moe.experts.{}.w3", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertDown, "blk.{}.ffn_down_exps", "model.layers.{}.block_sparse_moe.experts.{}.w2", Dim::kHidden, Dim::kExpertFeedForward},
    parts::kFinalNorm,
    parts::kHead,
};

constexpr std::array kFlags = {flags::kTied, flags::kAttentionBias, flags::kAttentionOutputBias, flags::kMlpBias};

// GGUF files of other families carry the name "llama" too (Granite's multipliers).
constexpr std::array kRefused = {
    ConfigKey{"num_local_experts", ""}, ConfigKey{"", "logit_scale"},
    ConfigKey{"", "residual_scale"},    ConfigKey{"", "embedding_scale"},     ConfigKey{"", "attention.scale"},
};

// llama.cpp divides the chosen experts' shares by their sum.
Result<void> adjust(const ConfigSource&, ModelConfig& config) {
  config.normalize_experts = config.experts > 0;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "llama", .counts = kCounts, .parts = kParts, .flags = kFlags, .refused = kRefused,
                                   .gguf_interleaved = true, .adjust = adjust};

}  // namespace llama

Architecture llama_architecture() {
  return decoder_architecture<llama::kTraits>({"llama"}, {"LlamaForCausalLM", "llama"});
}

}  // namespace retort
