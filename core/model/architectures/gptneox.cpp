// GPT-NeoX (Black et al. 2022), Pythia: attention and feed-forward side by side, each after its own layer norm; q, k, v
// fused, head by head.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace gptneox {

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "gpt_neox.embed_in", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kAttentionNorm, "blk.{}.attn_norm", "gpt_neox.layers.{}.input_layernorm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kQkv, "blk.{}.attn_qkv", "gpt_neox.layers.{}.attention.query_key_value", Dim::kQkv, Dim::kHidden,
            &ModelConfig::attention_bias},
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "gpt_neox.layers.{}.attention.dense", Dim::kHidden, Dim::kQuery,
            &ModelConfig::attention_output_bias},
    PartRow{Part::kFeedForwardNorm, "blk.{}.ffn_norm", "gpt_neox.layers.{}.post_attention_layernorm", Dim::kHidden,
            Dim::kNone}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "gpt_neox.layers.{}.mlp.dense_h_to_4h", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "gpt_neox.layers.{}.mlp.dense_4h_to_h", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kFinalNorm, "output_norm", "gpt_neox.final_layer_norm", Dim::kHidden, Dim::kNone}.with_bias(),
    PartRow{Part::kHead, "output", "embed_out", Dim::kVocabulary, Dim::kHidden},
};

constexpr std::array kFlags = {
    flags::kTied,
    FlagRow{{"attention_bias", ""}, &ModelConfig::attention_bias, true},
    FlagRow{{"attention_bias", ""}, &ModelConfig::attention_output_bias, true},
    FlagRow{{"use_parallel_residual", "use_parallel_residual"}, &ModelConfig::parallel_residual, true},
};

constexpr DecoderTraits kTraits = {.id = "gptneox", .counts = counts::kUsual, .parts = kParts, .flags = kFlags,
                                    .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .activation_otherwise = "gelu", .layer_norm = true,
                                   .rotary_part_otherwise = 0.25, .folder_qkv = QkvOrder::kPerHead,
                                   .folder_prefix = "gpt_neox."};

}  // namespace gptneox

Architecture gptneox_architecture() {
  return decoder_architecture<gptneox::kTraits>({"gptneox"}, {"GPTNeoXForCausalLM", "gpt_neox"});
}

}  // namespace retort
