// How the weights of a Hugging Face folder change on their way into a GGUF file: the order of rows, a number added, experts stacked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/model.h"

namespace retort {

struct DecoderTraits;

enum class RowOrder : std::uint8_t {
  kSame,
  kPairsAdjacent,    // q and k of Llama's relatives: GGUF turns neighbours (2i, 2i+1) of each head, transformers (i, i + rotary/2)
  kHeadsTogether,    // q, k, v of each head in turn become all of q, all of k, all of v
};

struct WeightChange {
  RowOrder order = RowOrder::kSame;
  float added = 0;                 // Gemma: transformers stores norms minus one
  bool floats = false;             // a vector, norm or router: F32, with which alone llama.cpp computes
};

// By WeightId; all plain for a model that comes from GGUF.
std::vector<WeightChange> gguf_weight_changes(const Model& model, const DecoderTraits& target);

// Which row of the folder's weight becomes row `row` of the file's.
std::int64_t source_row(const ModelConfig& config, RowOrder order, std::int64_t row) noexcept;

// The tensors of the file: one weight each, or the experts of a layer on top of each other.
struct FileTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<WeightId> weights;   // by expert when there are several
};
std::vector<FileTensor> gguf_tensors(const Model& model);

}  // namespace retort
