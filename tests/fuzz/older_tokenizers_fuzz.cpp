// vocab.txt, vocab.json with merges.txt, and the files that say which tokens are special; parted by NUL bytes.
#include <algorithm>
#include <string_view>

#include "core/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  retort::Checkpoint checkpoint;
  checkpoint.format = retort::CheckpointFormat::kSafetensors;
  std::size_t at = 0;
  for (std::string* part : {&checkpoint.tokenizer_config_json, &checkpoint.vocab_txt, &checkpoint.vocab_json, &checkpoint.merges_txt,
                            &checkpoint.added_tokens_json, &checkpoint.special_tokens_map_json}) {
    const std::size_t end = std::min(input.find('\0', at), input.size());
    *part = input.substr(at, end - at);
    at = std::min(end + 1, input.size());
  }
  const auto tokenizer = retort::load_tokenizer(checkpoint);
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->encode("Hello [SEP] wörld <s> 東京", true);
  static_cast<void>((*tokenizer)->decode(ids, true));
  return 0;
}
