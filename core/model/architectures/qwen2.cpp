// Qwen2 and 2.5 (Yang et al. 2024), DeepSeek's distilled Qwens: Llama with biases on q, k and v.
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace qwen2 {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery.with_bias(), parts::kKey.with_bias(), parts::kValue.with_bias(),
    parts::kOutput, parts::kFeedForwardNorm, parts::kGate, parts::kUp, parts::kDown,
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied};

constexpr DecoderTraits kTraits = {.id = "qwen2", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .adjust = read_qwen_window};

}  // namespace qwen2

Architecture qwen2_architecture() {
  return decoder_architecture<qwen2::kTraits>({"qwen2"}, {"Qwen2ForCausalLM", "qwen2"});
}

}  // namespace retort
