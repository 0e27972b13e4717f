// Tokenizers out of the metadata of a GGUF file (tokenizer.ggml.*).
#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/formats/checkpoint.h"
#include "core/text/tokenizer.h"

namespace retort::text {

// Models gpt2 (byte-level BPE), llama (SentencePiece BPE by scores), bert (WordPiece), t5 (Unigram).
// Errors: kMissingPart (no tokenizer.ggml.model or tokens), kCorrupt, kUnsupported (another model or pre-tokenizer);
// they name the key.
Result<std::shared_ptr<Tokenizer>> tokenizer_from_gguf(const Metadata& metadata);

}  // namespace retort::text
