// GGUF metadata of a Hugging Face folder of the Llama architecture, key by key as llama.cpp's own converter names them.
#pragma once

#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/model/model.h"

namespace retort {

// general.* and llama.*. Errors: kUnsupported (a rotary scaling that GGUF cannot say).
Result<Metadata> llama_metadata(const Model& model, std::vector<std::string>& notes);

// rope_freqs.weight: what divides each rotary frequency (Llama 3's scaling); empty when there is none.
std::vector<float> llama_rope_factors(const ModelConfig& config);

// tokenizer.ggml.*: tokens, types, merges or scores, special ids, chat template.
// Errors: kUnsupported (a tokenizer that llama.cpp does not have), kCorrupt.
Result<void> add_tokenizer_metadata(const Model& model, Metadata& metadata, std::vector<std::string>& notes);

// Row r of a GGUF q or k weight is row source_row(r) of transformers': GGUF turns neighbours (2i, 2i+1) of each head,
// transformers turns (i, i + rotary/2). Identity for rows beyond the rotary part of their head.
std::int64_t interleaved_source_row(std::int64_t row, std::int64_t head_dim, std::int64_t rotary) noexcept;

}  // namespace retort
