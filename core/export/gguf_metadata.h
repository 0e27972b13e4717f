// GGUF metadata of a Hugging Face folder, key by key as llama.cpp's own converter names them. Which keys an architecture has
// stands in its tables (model/architectures/decoder.h), the same that its reader asks.
#pragma once

#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/model/model.h"

namespace retort {

// The architecture under which a model is written: its own, or the one that llama.cpp reads it as (Mistral: llama).
struct GgufTarget {
  const Architecture* architecture = nullptr;
  std::string name;                 // general.architecture
};
// Its general.architecture when a folder of it is written; empty when none can be (encoders).
std::string gguf_name(const Architecture& architecture);
// Errors: kUnsupported for what has no name.
Result<GgufTarget> gguf_target(const Model& model);

// general.* and the architecture's keys. Errors: kUnsupported (a rotary scaling that GGUF cannot say).
Result<Metadata> gguf_metadata(const Model& model, const GgufTarget& target, std::vector<std::string>& notes);

// Vectors beside the weights: rope_freqs.weight (what divides each rotary frequency: Llama 3's scaling), LongRoPE's factors.
struct RopeTensor {
  std::string name;
  std::vector<float> values;
};
std::vector<RopeTensor> rope_tensors(const ModelConfig& config);

// Reads the metadata as a reader would and compares what it finds with the model. Errors: kUnsupported, naming the first fact that
// the file could not say.
Result<void> check_gguf_metadata(const Model& model, const GgufTarget& target, const Checkpoint& file);

// tokenizer.ggml.*: tokens, types, merges or scores, special ids, chat template.
// Errors: kUnsupported (a tokenizer that llama.cpp does not have), kCorrupt.
Result<void> add_tokenizer_metadata(const Model& model, Metadata& metadata, std::vector<std::string>& notes);

}  // namespace retort
