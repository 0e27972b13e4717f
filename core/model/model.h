// Model: a checkpoint bound to an architecture: configuration, graph, weights, tokenizer. Ready for a backend.
// Weights may be replaced one by one, as candidates do: the handle carries a version, so no repacked copy goes stale.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/formats/checkpoint.h"
#include "core/model/config.h"
#include "core/model/graph.h"
#include "core/text/tokenizer.h"

namespace retort {

struct WeightHandle {
  TensorType type = TensorType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
  std::span<const float> row_scales;            // I8 weights: one per row
  std::shared_ptr<const void> keep_alive;       // whoever owns `data`
  std::uint64_t version = 0;
  // Set when the values lie in several parts (GPTQ …): then `type` is kF32 and `data` is empty.
  std::shared_ptr<const CodedTensor> coded{};
  std::shared_ptr<const MappedFile> file{};     // the mapping that `data` lies in, where it does: its pages can be given back

  std::uint64_t stored_bytes() const noexcept { return coded ? coded->bytes() : data.size() + row_scales.size_bytes(); }
};

// A weight's values in one piece: as stored, or decoded to f32 where they lie in several parts.
struct WeightData {
  TensorType type = TensorType::kF32;
  std::span<const std::byte> data;      // into the weight or into `owned`
  std::vector<float> owned;
};
// Errors: kOutOfMemory, kCorrupt (parts that contradict each other).
Result<WeightData> in_one_piece(const WeightHandle& weight);

struct Model {
  std::shared_ptr<const Checkpoint> checkpoint;   // the source
  const Architecture* architecture = nullptr;
  ModelConfig config;
  Graph graph;
  std::vector<WeightHandle> weights;              // by WeightId
  std::shared_ptr<const Tokenizer> tokenizer;     // null when the checkpoint has none
  std::string chat_template;

  std::int64_t parameters() const noexcept;
  std::uint64_t weight_bytes() const noexcept;
  WeightId find_weight(std::string_view canonical_name) const noexcept;
};

// Opens, configures, builds, checks every weight's presence and shape. Errors: those of open_checkpoint, kUnsupported,
// kBadShape, kMissingPart. A missing tokenizer is no error here; encode-needing callers report it.
Result<Model> open_model(const std::filesystem::path& path);
Result<Model> bind_model(std::shared_ptr<const Checkpoint> checkpoint);

}  // namespace retort
