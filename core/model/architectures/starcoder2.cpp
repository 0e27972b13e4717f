// StarCoder2 (Lozhkov et al. 2024): layer norms, biases, plain GELU feed-forward, sliding window.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace starcoder2 {

constexpr Flag kBias = &ModelConfig::attention_bias;

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm.with_bias(), parts::kQuery.with_bias(kBias), parts::kKey.with_bias(kBias),
    parts::kValue.with_bias(kBias), parts::kOutput.with_bias(kBias), parts::kFeedForwardNorm.with_bias(),
    PartRow{Part::kUp, "blk.{}.ffn_up", "model.layers.{}.mlp.c_fc", Dim::kFeedForward, Dim::kHidden, kBias},
    PartRow{Part::kDown, "blk.{}.ffn_down", "model.layers.{}.mlp.c_proj", Dim::kHidden, Dim::kFeedForward, kBias},
    parts::kFinalNorm.with_bias(), parts::kHead,
};

constexpr std::array kFlags = {flags::kTiedUnlessSaid, FlagRow{{"use_bias", ""}, kBias, true}};

constexpr DecoderTraits kTraits = {.id = "starcoder2", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .epsilon = {"norm_epsilon", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .activation_otherwise = "gelu_pytorch_tanh",
                                   .layer_norm = true};

}  // namespace starcoder2

Architecture starcoder2_architecture() {
  return decoder_architecture<starcoder2::kTraits>({"starcoder2"}, {"Starcoder2ForCausalLM", "starcoder2"});
}

}  // namespace retort
