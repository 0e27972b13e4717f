// Mistral (Jiang et al. 2023): Llama with a sliding window. GGUF files of it say "llama".
#include "core/model/architectures/decoder_parts.h"
#include "core/model/architectures/list.h"

namespace retort {
namespace mistral {

constexpr std::array kParts = {
    parts::kEmbedding, parts::kAttentionNorm, parts::kQuery, parts::kKey, parts::kValue,
    parts::kOutput, parts::kFeedForwardNorm, parts::kGate, parts::kUp, parts::kDown,
    parts::kFinalNorm, parts::kHead,
};

constexpr std::array kFlags = {flags::kTied};

constexpr DecoderTraits kTraits = {.id = "mistral", .counts = counts::kSliding, .parts = kParts, .flags = kFlags,
                                    .gguf_interleaved = true, .gguf_as = "llama"};

}  // namespace mistral

Architecture mistral_architecture() {
  return decoder_architecture<mistral::kTraits>({"mistral"}, {"MistralForCausalLM", "mistral"});
}

}  // namespace retort
