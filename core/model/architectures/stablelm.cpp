// StableLM (Bellagente et al. 2024): Llama with layer norms and a quarter of each head rotated; the 12B model runs
// attention and feed-forward side by side.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace stablelm {

constexpr Flag kBias = &ModelConfig::attention_bias;

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm.with_bias(), parts::kQuery.with_bias(kBias), parts::kKey.with_bias(kBias),
    parts::kValue.with_bias(kBias), parts::kOutput,
    parts::kFeedForwardNorm.with_bias().except(&ModelConfig::parallel_residual), parts::kGate, parts::kUp, parts::kDown,
    parts::kFinalNorm.with_bias(), parts::kHead,
};

constexpr std::array kFlags = {
    flags::kTied, FlagRow{{"use_qkv_bias", ""}, kBias, false},
    FlagRow{{"use_parallel_residual", ""}, &ModelConfig::parallel_residual, false},
};
constexpr std::array kRefused = {ConfigKey{"qk_layernorm", ""}};

constexpr DecoderTraits kTraits = {.id = "stablelm", .counts = counts::kUsual, .parts = kParts, .flags = kFlags,
                                   .refused = kRefused, .epsilon = {"layer_norm_eps", "attention.layer_norm_epsilon"},
                                   .epsilon_otherwise = 1e-5, .layer_norm = true, .rotary_part_otherwise = 0.25};

}  // namespace stablelm

Architecture stablelm_architecture() {
  return decoder_architecture<stablelm::kTraits>({"stablelm"}, {"StableLmForCausalLM", "StableLMEpochForCausalLM", "stablelm"});
}

}  // namespace retort
