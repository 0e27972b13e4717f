#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/model/architectures/config_source.h"
#include "core/model/architectures/list.h"

namespace retort {

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> list = {
      llama_architecture(),
      mistral_architecture(),
      mixtral_architecture(),
      qwen2_architecture(),
      qwen2_moe_architecture(),
      qwen3_architecture(),
      qwen3_moe_architecture(),
      gemma_architecture(),
      gemma2_architecture(),
      gemma3_architecture(),
      phi2_architecture(),
      phi3_architecture(),
      smollm3_architecture(),
      olmo2_architecture(),
      granite_architecture(),
      starcoder2_architecture(),
      stablelm_architecture(),
      cohere_architecture(),
      gpt2_architecture(),
      gptneox_architecture(),
      bert_architecture(),
      distilbert_architecture(),
      roberta_architecture(),
      electra_architecture(),
      albert_architecture(),
      mpnet_architecture(),
  };
  return list;
}

Result<const Architecture*> find_architecture(const Checkpoint& checkpoint) {
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  std::vector<std::string> known;
  for (const Architecture& architecture : architectures()) {
    const auto& names = source.gguf() ? architecture.gguf_names : architecture.class_names;
    if (std::find(names.begin(), names.end(), source.architecture()) != names.end()) return &architecture;
    known.insert(known.end(), names.begin(), names.end());
  }
  return Error{.code = ErrorCode::kUnsupported, .file = checkpoint.path.string(), .place = "architecture",
               .expected = fmt::format("one of {}", fmt::join(known, ", ")),
               .found = source.architecture().empty() ? "none stated" : source.architecture().substr(0, 80)};
}

}  // namespace retort
