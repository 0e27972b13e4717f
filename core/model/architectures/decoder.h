// Decoders as data: which names, which shapes, which biases; one builder makes the graph of all of them.
#pragma once

#include <span>
#include <string_view>

#include "core/model/architectures/config_source.h"
#include "core/model/graph.h"

namespace retort {

// A size that a weight's shape is made of.
enum class Dim : std::uint8_t { kNone, kVocabulary, kHidden, kQuery, kKeyValue, kFeedForward };

enum class Part : std::uint8_t {
  kEmbedding, kAttentionNorm, kQuery, kKey, kValue, kAttentionOutput, kFeedForwardNorm, kGate, kUp, kDown,
  kFinalNorm, kHead
};

// One weight: its base names ("{}" is the layer), to which ".weight" and ".bias" are appended, and its shape.
struct PartRow {
  Part part;
  std::string_view gguf;
  std::string_view hugging_face;
  Dim rows;
  Dim columns;                          // kNone: a vector
  bool ModelConfig::*bias = nullptr;    // set when the part may have a bias
};

struct CountRow {
  ConfigKey key;
  std::int64_t ModelConfig::*field;
  bool required;
};

struct DecoderTraits {
  std::string_view id;
  std::span<const CountRow> counts;
  std::span<const PartRow> parts;
  std::span<const std::string_view> activations;   // hidden_act values that the graph can do
  // Facts that would change the computation in a way the graph doesn't do: present (and not 0) means kUnsupported.
  std::span<const ConfigKey> refused;
};

// Errors: kCorrupt (values), kMissingPart (a required key), kUnsupported, naming the key.
Result<ModelConfig> configure_decoder(const DecoderTraits& traits, const Checkpoint& checkpoint);
// Errors: kMissingPart when the checkpoint has too few tensors for its layers.
Result<Graph> build_decoder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint);

// The rotary part of the configuration, in every spelling. `config` already holds head_dim and context.
Result<RopeConfig> read_rope(const ConfigSource& source, const ModelConfig& config, const Checkpoint& checkpoint);

}  // namespace retort
