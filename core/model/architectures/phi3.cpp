// Phi-3, 3.5 and 4-mini (Abdin et al. 2024): Llama with fused q, k, v and gate, up; LongRoPE.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace phi3 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm,
    PartRow{Part::kQkv, "blk.{}.attn_qkv", "model.layers.{}.self_attn.qkv_proj", Dim::kQkv, Dim::kHidden},
    parts::kOutput, parts::kFeedForwardNorm,
    PartRow{Part::kGateUp, "blk.{}.ffn_up", "model.layers.{}.mlp.gate_up_proj", Dim::kGateUp, Dim::kHidden},
    parts::kDown, parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied};

constexpr DecoderTraits kTraits = {.id = "phi3", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .epsilon_otherwise = 1e-5};

}  // namespace phi3

Architecture phi3_architecture() {
  return decoder_architecture<phi3::kTraits>({"phi3"}, {"Phi3ForCausalLM", "phi3"});
}

}  // namespace retort
