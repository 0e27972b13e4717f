// vocab.txt, vocab.json with merges.txt, and the files that say which tokens are special; parted by NUL bytes.
#include <string>

#include "core/text/tokenizer.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(older_tokenizers) {
  retort::Checkpoint checkpoint;
  checkpoint.format = retort::CheckpointFormat::kSafetensors;
  std::string* const files[] = {&checkpoint.tokenizer_config_json, &checkpoint.vocab_txt, &checkpoint.vocab_json,
                                &checkpoint.merges_txt, &checkpoint.added_tokens_json, &checkpoint.special_tokens_map_json};
  retort::fuzz::for_each_part(data, size, std::size(files), [&](std::size_t part, const std::uint8_t* at, std::size_t length) {
    files[part]->assign(reinterpret_cast<const char*>(at), length);
  });
  const auto tokenizer = retort::load_tokenizer(checkpoint);
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->encode("Hello [SEP] wörld <s> 東京", true);
  static_cast<void>((*tokenizer)->decode(ids, true));
  return 0;
}
