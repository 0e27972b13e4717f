// GPT-2 (Radford et al. 2019): learned positions, layer norms, fused q, k, v. Folders store weights by inputs (Conv1D).
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace gpt2 {

constexpr PartRow turned(PartRow row) {
  row.transposed = true;
  return row.with_bias();
}

constexpr std::array kCounts = {
    counts::kVocabulary,
    CountRow{{"n_embd", "embedding_length"}, &ModelConfig::hidden, true},
    CountRow{{"n_layer", "block_count"}, &ModelConfig::layers, true},
    CountRow{{"n_head", "attention.head_count"}, &ModelConfig::heads, true},
    CountRow{{"n_inner", "feed_forward_length"}, &ModelConfig::feed_forward, false},
    CountRow{{"n_positions", "context_length"}, &ModelConfig::context, true},
};

constexpr std::array kParts = {
    PartRow{Part::kEmbedding, "token_embd", "transformer.wte", Dim::kVocabulary, Dim::kHidden},
    PartRow{Part::kPositions, "position_embd", "transformer.wpe", Dim::kPositions, Dim::kHidden},
    PartRow{Part::kAttentionNorm, "blk.{}.attn_norm", "transformer.h.{}.ln_1", Dim::kHidden, Dim::kNone}.with_bias(),
    turned({Part::kQkv, "blk.{}.attn_qkv", "transformer.h.{}.attn.c_attn", Dim::kQkv, Dim::kHidden}),
    turned({Part::kAttentionOutput, "blk.{}.attn_output", "transformer.h.{}.attn.c_proj", Dim::kHidden, Dim::kQuery}),
    PartRow{Part::kFeedForwardNorm, "blk.{}.ffn_norm", "transformer.h.{}.ln_2", Dim::kHidden, Dim::kNone}.with_bias(),
    turned({Part::kUp, "blk.{}.ffn_up", "transformer.h.{}.mlp.c_fc", Dim::kFeedForward, Dim::kHidden}),
    turned({Part::kDown, "blk.{}.ffn_down", "transformer.h.{}.mlp.c_proj", Dim::kHidden, Dim::kFeedForward}),
    PartRow{Part::kFinalNorm, "output_norm", "transformer.ln_f", Dim::kHidden, Dim::kNone}.with_bias(),
    parts::kHead,
};

constexpr std::array kFlags = {flags::kTiedUnlessSaid};
constexpr std::array kRefused = {ConfigKey{"scale_attn_by_inverse_layer_idx", ""},
                                 ConfigKey{"add_cross_attention", ""}};

Result<void> adjust(const ConfigSource& source, ModelConfig& config) {
  if (config.feed_forward == 0) config.feed_forward = 4 * config.hidden;
  config.positions = config.context;
  RETORT_TRY(const auto scaled, source.flag({"scale_attn_weights", ""}));
  if (!scaled.value_or(true)) config.attention_scale = 1;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "gpt2", .counts = kCounts, .parts = kParts, .flags = kFlags, .refused = kRefused,
                                   .epsilon = {"layer_norm_epsilon", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .activation = {"activation_function", ""},
                                   .activation_otherwise = "gelu_new", .layer_norm = true, .rotary = false,
                                   .folder_prefix = "transformer.", .adjust = adjust};

}  // namespace gpt2

Architecture gpt2_architecture() {
  return decoder_architecture<gpt2::kTraits>({"gpt2"}, {"GPT2LMHeadModel", "gpt2"});
}

}  // namespace retort
