// A student with fewer pieces than its teacher: only those that the user's text needs, for WordPiece tokenizers. Embeddings
// are half of a small encoder. What is left out can still be spelled: letters, digits and marks stay, alone and as the
// continuation of a word.
#pragma once

#include <span>
#include <vector>

#include "core/distill/training_data.h"

namespace retort::distill {

// The pieces that a student keeps, ascending: special tokens, what ASCII text is spelled with, then the pieces of
// `examples` from the most frequent on, as long as there are at most `most` in all (0: all that occur).
// Errors: kUnsupported (no tokenizer.json with WordPiece), kBadRecipe (`most` is less than what must stay), kCorrupt.
Result<std::vector<TokenId>> needed_pieces(const Model& teacher, std::span<const TrainingExample> examples, std::int64_t most);

// The student with these pieces alone: rows of the embedding, configuration and tokenizer follow.
// Errors: kUnsupported (an embedding that isn't stored row by row), kCorrupt.
Result<Model> trim_vocabulary(const Model& student, std::span<const TokenId> kept);

}  // namespace retort::distill
