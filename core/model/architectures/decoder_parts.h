// The names that most decoders share, from Llama: an architecture's table takes them and adds its own.
#pragma once

#include <array>

#include "core/model/architectures/decoder.h"

namespace retort {

// A registry's line for a decoder that its tables describe whole.
template <const DecoderTraits& traits>
Architecture decoder_architecture(std::vector<std::string> gguf_names, std::vector<std::string> class_names) {
  return {std::string(traits.id), std::move(gguf_names), std::move(class_names),
          [](const Checkpoint& checkpoint) { return configure_decoder(traits, checkpoint); },
          [](const ModelConfig& config, const Checkpoint& checkpoint) { return build_decoder(traits, config, checkpoint); }, &traits};
}

}  // namespace retort

namespace retort::parts {

inline constexpr PartRow kEmbedding{Part::kEmbedding, "token_embd", "model.embed_tokens", Dim::kVocabulary, Dim::kHidden};
inline constexpr PartRow kAttentionNorm{Part::kAttentionNorm, "blk.{}.attn_norm", "model.layers.{}.input_layernorm",
                                        Dim::kHidden, Dim::kNone};
inline constexpr PartRow kQuery{Part::kQuery, "blk.{}.attn_q", "model.layers.{}.self_attn.q_proj", Dim::kQuery, Dim::kHidden};
inline constexpr PartRow kKey{Part::kKey, "blk.{}.attn_k", "model.layers.{}.self_attn.k_proj", Dim::kKeyValue, Dim::kHidden};
inline constexpr PartRow kValue{Part::kValue, "blk.{}.attn_v", "model.layers.{}.self_attn.v_proj", Dim::kKeyValue, Dim::kHidden};
inline constexpr PartRow kQueryNorm{Part::kQueryNorm, "blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm",
                                    Dim::kHeadDim, Dim::kNone};
inline constexpr PartRow kKeyNorm{Part::kKeyNorm, "blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm", Dim::kHeadDim,
                                  Dim::kNone};
inline constexpr PartRow kOutput{Part::kAttentionOutput, "blk.{}.attn_output", "model.layers.{}.self_attn.o_proj",
                                 Dim::kHidden, Dim::kQuery};
inline constexpr PartRow kFeedForwardNorm{Part::kFeedForwardNorm, "blk.{}.ffn_norm",
                                          "model.layers.{}.post_attention_layernorm", Dim::kHidden, Dim::kNone};
inline constexpr PartRow kGate{Part::kGate, "blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj", Dim::kFeedForward, Dim::kHidden};
inline constexpr PartRow kUp{Part::kUp, "blk.{}.ffn_up", "model.layers.{}.mlp.up_proj", Dim::kFeedForward, Dim::kHidden};
inline constexpr PartRow kDown{Part::kDown, "blk.{}.ffn_down", "model.layers.{}.mlp.down_proj", Dim::kHidden, Dim::kFeedForward};
inline constexpr PartRow kFinalNorm{Part::kFinalNorm, "output_norm", "model.norm", Dim::kHidden, Dim::kNone};
inline constexpr PartRow kHead{Part::kHead, "output", "lm_head", Dim::kVocabulary, Dim::kHidden};

}  // namespace retort::parts

namespace retort::counts {

inline constexpr CountRow kVocabulary{{"vocab_size", "vocab_size"}, &ModelConfig::vocabulary, false};
inline constexpr CountRow kHidden{{"hidden_size", "embedding_length"}, &ModelConfig::hidden, true};
inline constexpr CountRow kLayers{{"num_hidden_layers", "block_count"}, &ModelConfig::layers, true};
inline constexpr CountRow kHeads{{"num_attention_heads", "attention.head_count"}, &ModelConfig::heads, true};
inline constexpr CountRow kKeyHeads{{"num_key_value_heads", "attention.head_count_kv"}, &ModelConfig::kv_heads, false};
inline constexpr CountRow kHeadDim{{"head_dim", "attention.key_length"}, &ModelConfig::head_dim, false};
inline constexpr CountRow kFeedForward{{"intermediate_size", "feed_forward_length"}, &ModelConfig::feed_forward, true};
inline constexpr CountRow kContext{{"max_position_embeddings", "context_length"}, &ModelConfig::context, false};
inline constexpr CountRow kWindow{{"sliding_window", "attention.sliding_window"}, &ModelConfig::window, false, true};
inline constexpr CountRow kExperts{{"num_local_experts", "expert_count"}, &ModelConfig::experts, true};
inline constexpr CountRow kExpertsUsed{{"num_experts_per_tok", "expert_used_count"}, &ModelConfig::experts_used, true};

// Every decoder of today has these.
inline constexpr std::array kUsual = {kVocabulary, kHidden, kLayers, kHeads, kKeyHeads, kHeadDim, kFeedForward, kContext};
inline constexpr std::array kSliding = {kVocabulary, kHidden, kLayers, kHeads, kKeyHeads, kHeadDim, kFeedForward, kContext, kWindow};

}  // namespace retort::counts

namespace retort::flags {

inline constexpr FlagRow kTied{{"tie_word_embeddings", ""}, &ModelConfig::tied_head, false};
inline constexpr FlagRow kTiedUnlessSaid{{"tie_word_embeddings", ""}, &ModelConfig::tied_head, true};
inline constexpr FlagRow kAttentionBias{{"attention_bias", ""}, &ModelConfig::attention_bias, false};
inline constexpr FlagRow kAttentionOutputBias{{"attention_bias", ""}, &ModelConfig::attention_output_bias, false};
inline constexpr FlagRow kMlpBias{{"mlp_bias", ""}, &ModelConfig::mlp_bias, false};

}  // namespace retort::flags
