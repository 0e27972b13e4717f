// tokenizer.json, a NUL byte, tokenizer_config.json; and what they make of a text.
#include <string>

#include "core/text/tokenizer.h"
#include "fuzz_target.h"

RETORT_FUZZ_TARGET(tokenizer) {
  std::string parts[2];
  retort::fuzz::for_each_part(data, size, 2, [&](std::size_t part, const std::uint8_t* at, std::size_t length) {
    parts[part].assign(reinterpret_cast<const char*>(at), length);
  });
  const auto made = retort::tokenizer_from_json(parts[0], parts[1]);
  if (!made.ok()) return 0;
  for (const char* text : {"Hello [SEP] wörld's 1234 <s>\n  東京 e\u0301 \xff\xf0\x9f", ""}) {
    const auto ids = (*made)->encode(text, true);
    static_cast<void>((*made)->decode(ids, true));
    static_cast<void>((*made)->encode_pair(text, "b", true));
    for (const retort::TokenId id : ids) static_cast<void>((*made)->piece_bytes(id));
  }
  return 0;
}
