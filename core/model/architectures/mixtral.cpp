// Mixtral (Jiang et al. 2024): Mistral with a mixture of experts for its feed-forward. GGUF files of it say "llama".
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace mixtral {

constexpr std::array kCounts = {
    counts::kVocabulary, counts::kHidden,      counts::kLayers,  counts::kHeads,  counts::kKeyHeads,  counts::kHeadDim,
    counts::kFeedForward, counts::kContext, counts::kWindow, counts::kExperts, counts::kExpertsUsed,
};

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery, parts::kKey, parts::kValue, parts::kOutput,
    parts::kFeedForwardNorm,
    PartRow{Part::kRouter, "blk.{}.ffn_gate_inp", "model.layers.{}.block_sparse_moe.gate", Dim::kExperts, Dim::kHidden},
    PartRow{Part::kExpertGate, "blk.{}.ffn_gate_exps", "model.layers.{}.block_sparse_moe.experts.{}.w1", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertUp, "blk.{}.ffn_up_exps", "model.layers.{}.block_sparse_moe.experts.{}.w3", Dim::kExpertFeedForward, Dim::kHidden},
    PartRow{Part::kExpertDown, "blk.{}.ffn_down_exps", "model.layers.{}.block_sparse_moe.experts.{}.w2", Dim::kHidden, Dim::kExpertFeedForward},
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied};

Result<void> adjust(const ConfigSource&, ModelConfig& config) {
  config.normalize_experts = true;
  return {};
}

constexpr DecoderTraits kTraits = {.id = "mixtral", .counts = kCounts, .parts = kParts, .flags = kFlags, 
                                   .epsilon_otherwise = 1e-5, .theta_otherwise = 1e6, .gguf_interleaved = true, .gguf_as = "llama",
                                   .adjust = adjust};

}  // namespace mixtral

Architecture mixtral_architecture() {
  return decoder_architecture<mixtral::kTraits>({}, {"MixtralForCausalLM", "mixtral"});
}

}  // namespace retort
