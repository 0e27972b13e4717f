// SentencePiece models (tokenizer.model, spiece.model): a protobuf with pieces, scores, types and the rules of normalization.
// Encodes as the library sentencepiece does; tokenizer_config.json says which tokens go around a text.
#pragma once

#include <memory>
#include <string_view>

#include "core/text/tokenizer.h"

namespace retort::text {

// `added_tokens_json` maps contents to ids (added_tokens.json). Errors: kCorrupt, kUnsupported (word and character models).
Result<std::shared_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::string_view model, std::string_view tokenizer_config_json,
                                                                std::string_view added_tokens_json);

}  // namespace retort::text
