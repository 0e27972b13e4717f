// Phi-1.5 and Phi-2 (Li et al. 2023): attention and feed-forward side by side after one layer norm, biases everywhere,
// part of each head rotated.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace phi2 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm.with_bias(), parts::kQuery.with_bias(), parts::kKey.with_bias(),
    parts::kValue.with_bias(),
    PartRow{Part::kAttentionOutput, "blk.{}.attn_output", "model.layers.{}.self_attn.dense", Dim::kHidden, Dim::kQuery}.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "model.layers.{}.mlp.fc1", Dim::kFeedForward, Dim::kHidden}.with_bias(),
    PartRow{Part::kDown, "blk.{}.ffn_down", "model.layers.{}.mlp.fc2", Dim::kHidden, Dim::kFeedForward}.with_bias(),
    PartRow{Part::kFinalNorm, "output_norm", "model.final_layernorm", Dim::kHidden, Dim::kNone}.with_bias(),
    parts::kHead.with_bias(),
};

constexpr std::array kFlags = {flags::kTied};
constexpr std::array kRefused = {ConfigKey{"qk_layernorm", ""}};

Result<void> adjust(const ConfigSource&, ModelConfig& config) {
  config.parallel_residual = true;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "phi2", .counts = counts::kUsual, .parts = kParts, .flags = kFlags,
                                   .refused = kRefused, .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .activation_otherwise = "gelu_new", .layer_norm = true,
                                   .rotary_part_otherwise = 0.5, .adjust = adjust};

}  // namespace phi2

Architecture phi2_architecture() {
  return decoder_architecture<phi2::kTraits>({"phi2"}, {"PhiForCausalLM", "phi"});
}

}  // namespace retort
