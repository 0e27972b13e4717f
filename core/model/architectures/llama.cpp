// Llama (Touvron et al. 2023; Dubey et al. 2024): RMS norm, rotary positions, grouped-query attention, SwiGLU.
// SmolLM2, TinyLlama, Llama 2 and 3 and their relatives.
#include "core/model/architectures/list.h"

#include <array>

#include "core/model/architectures/decoder.h"

namespace retort {
namespace {

constexpr std::array kCounts = {
    CountRow{{"vocab_size", "vocab_size"}, &ModelConfig::vocabulary, false},
    CountRow{{"hidden_size", "embedding_length"}, &ModelConfig::hidden, true},
    CountRow{{"num_hidden_layers", "block_count"}, &ModelConfig::layers, true},
    CountRow{{"num_attention_heads", "attention.head_count"}, &ModelConfig::heads, true},
    CountRow{{"num_key_value_heads", "attention.head_count_kv"}, &ModelConfig::kv_heads, false},
    CountRow{{"head_dim", "attention.key_length"}, &ModelConfig::head_dim, false},
    CountRow{{"intermediate_size", "feed_forward_length"}, &ModelConfig::feed_forward, true},
    CountRow{{"max_position_embeddings", "context_length"}, &ModelConfig::context, false},
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "model.embed_tokens", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kAttentionNorm, "blk.{}.attn_norm", "model.layers.{}.input_layernorm", Dim::kHidden, Dim::kNone},
    PartRow{Part::kQuery, "blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Dim::kQuery, Dim::kHidden,
            &ModelConfig::attention_bias},
    PartRow{Part::kKey, "blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Dim::kKeyValue, Dim::kHidden,
            &ModelConfig::attention_bias},
    PartRow{Part::kValue, "blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Dim::kKeyValue, Dim::kHidden,
            &ModelConfig::attention_bias},
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "model.layers.{}.self_attn.o_proj", Dim::kHidden,
            Dim::kQuery, &ModelConfig::attention_output_bias},
    PartRow{Part::kFeedForwardNorm, "blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm", Dim::kHidden,
            Dim::kNone},
    PartRow{Part::kGate, "blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Dim::kFeedForward, Dim::kHidden,
            &ModelConfig::mlp_bias},
    PartRow{Part::kUp, "blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Dim::kFeedForward, Dim::kHidden,
            &ModelConfig::mlp_bias},
    PartRow{Part::kDown, "blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Dim::kHidden, Dim::kFeedForward,
            &ModelConfig::mlp_bias},
    PartRow{Part::kFinalNorm, "output_norm", "model.norm", Dim::kHidden, Dim::kNone},
    PartRow{Part::kHead, "output", "lm_head", Dim::kVocabulary, Dim::kHidden},
};

constexpr std::array<std::string_view, 2> kActivations = {"silu", "swish"};

// GGUF files of other families carry the name "llama" too (Mixtral's experts, Granite's multipliers).
constexpr std::array kRefused = {
    ConfigKey{"num_local_experts", "expert_count"},
    ConfigKey{"", "logit_scale"},
    ConfigKey{"", "residual_scale"},
    ConfigKey{"", "embedding_scale"},
    ConfigKey{"", "attention.scale"},
    ConfigKey{"", "attention.sliding_window"},
};

constexpr DecoderTraits kLlama = {"llama", kCounts, kParts, kActivations, kRefused};

Result<ModelConfig> configure(const Checkpoint& checkpoint) { return configure_decoder(kLlama, checkpoint); }
Result<Graph> build(const ModelConfig& config, const Checkpoint& checkpoint) {
  return build_decoder(kLlama, config, checkpoint);
}

}  // namespace

Architecture llama_architecture() { return {"llama", {"llama"}, {"LlamaForCausalLM", "llama"}, configure, build}; }

}  // namespace retort
