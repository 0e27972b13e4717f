// Folders from before tokenizer.json: vocab.txt (WordPiece), vocab.json with merges.txt (byte-level BPE). They become the
// tokenizer.json that transformers would write for their class.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/formats/checkpoint.h"

namespace retort::text {

// The text of a tokenizer.json; empty when the checkpoint has neither. Errors: kCorrupt, kUnsupported (a tokenizer class).
Result<std::string> tokenizer_json_of_older_files(const Checkpoint& checkpoint);

}  // namespace retort::text
