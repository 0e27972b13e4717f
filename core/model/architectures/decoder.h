// What all decoder architectures share: from a table of configuration keys, tensor names and shapes to ModelConfig and
// Graph. An architecture's own file holds the table. Which parts the table has decides the shape of a layer:
//
//   kQkv instead of kQuery, kKey, kValue: one fused product; kGateUp instead of kGate, kUp likewise
//   kGate: act(gate) · up; without it the feed-forward is down(act(up))
//   kQueryNorm, kKeyNorm: before the rotation; over each head, or over all of them where the weight is that wide
//   kAttentionNorm, kFeedForwardNorm: before; kPostAttentionNorm, kPostFeedForwardNorm: after, before the sum
//   kRouter: a mixture of experts; kSharedGate: an expert that every token takes, weighed by kSharedRouter
#pragma once

#include <span>
#include <string_view>

#include "core/model/architectures/config_source.h"
#include "core/model/graph.h"

namespace retort {

enum class Dim : std::uint8_t {
  kNone, kOne, kVocabulary, kPositions, kHidden, kHeads, kKeyHeads, kHeadDim, kQuery, kKeyValue, kQkv, kFeedForward, kGateUp, kExperts,
  kExpertFeedForward, kSharedFeedForward, kTypes, kEmbeddingWidth, kBuckets, kLabels
};

enum class Part : std::uint8_t {
  kEmbedding, kPositions, kAttentionNorm, kQuery, kKey, kValue, kQkv, kQueryNorm, kKeyNorm, kAttentionOutput,
  kPostAttentionNorm, kFeedForwardNorm, kGate, kUp, kGateUp, kDown, kPostFeedForwardNorm, kRouter, kExpertGate, kExpertUp,
  kExpertDown, kSharedRouter, kSharedGate, kSharedUp, kSharedDown, kFinalNorm, kHead,
  // encoders
  kTypes, kEmbeddingNorm, kEmbeddingProjection, kRelativeBias
};

using Flag = bool ModelConfig::*;

// One weight: its base names ("{}" is the layer, a second one the expert), to which ".weight" and ".bias" are appended,
// and its shape. GGUF stacks experts: there the name has no second hole.
struct PartRow {
  Part part;
  std::string_view gguf;
  std::string_view hugging_face;
  Dim rows;
  Dim columns;                          // kNone: a vector
  Flag bias = nullptr;                  // set when the part may have a bias
  bool biased = false;                  // it always has one
  Flag when = nullptr, unless = nullptr;   // the part is there only if
  bool transposed = false;              // folders store [columns, rows]

  constexpr PartRow with_bias() const { PartRow r = *this; r.biased = true; return r; }
  constexpr PartRow with_bias(Flag flag) const { PartRow r = *this; r.bias = flag; return r; }
  constexpr PartRow only(Flag flag) const { PartRow r = *this; r.when = flag; return r; }
  constexpr PartRow except(Flag flag) const { PartRow r = *this; r.unless = flag; return r; }
};

struct CountRow {
  ConfigKey key;
  std::int64_t ModelConfig::*field;
  bool required;
  bool may_be_zero = false;             // 0 says: none
};
struct NumberRow {
  ConfigKey key;
  double ModelConfig::*field;
};
// GGUF states few of these: there a bias or a norm exists if its tensor does.
struct FlagRow {
  ConfigKey key;
  Flag field;
  bool otherwise;                       // when it isn't stated
};

enum class QkvOrder : std::uint8_t { kConcatenated, kPerHead };   // q, k, v rows; or q, k, v of each head in turn

struct DecoderTraits {
  std::string_view id;
  std::span<const CountRow> counts;
  std::span<const PartRow> parts;
  std::span<const NumberRow> numbers = {};
  std::span<const FlagRow> flags = {};
  // Facts that would change the computation in a way the graph doesn't do: present (and not 0 or false) means
  // kUnsupported.
  std::span<const ConfigKey> refused = {};

  ConfigKey epsilon = {"rms_norm_eps", "attention.layer_norm_rms_epsilon"};
  double epsilon_otherwise = 1e-6;
  ConfigKey activation = {"hidden_act", ""};
  std::string_view activation_otherwise = "silu";
  bool layer_norm = false;              // else RMS
  float folder_norm_offset = 0;         // folders store the norms' weights minus this
  bool rotary = true;
  double theta_otherwise = 10000, rotary_part_otherwise = 1;
  bool gguf_interleaved = false;        // llama.cpp turns pairs (2i, 2i + 1); else halves
  bool folder_interleaved = false;
  QkvOrder folder_qkv = QkvOrder::kConcatenated;
  std::string_view folder_prefix = "model.";   // folders of the bare decoder lack it
  std::string_view gguf_as = "";        // general.architecture of the files that are written, where it isn't the model's own
  // What the tables can't say: layer patterns, values made of others. Last of all.
  Result<void> (*adjust)(const ConfigSource& source, ModelConfig& config) = nullptr;
};

// Errors: kCorrupt (values), kMissingPart (a required key), kUnsupported, naming the key.
Result<ModelConfig> configure_decoder(const DecoderTraits& traits, const Checkpoint& checkpoint);
// Errors: kMissingPart when the checkpoint has too few tensors for its layers.
Result<Graph> build_decoder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint);

// Whether layer `l` has a window, frequencies of its own, no rotation, experts.
bool layer_slides(const ModelConfig& config, std::int64_t layer) noexcept;
bool layer_rotates(const ModelConfig& config, std::int64_t layer) noexcept;
bool layer_has_experts(const ModelConfig& config, std::int64_t layer) noexcept;

// "model.layers.{}.x" of layer 3: "model.layers.3.x"; fills the first hole.
std::string fill_hole(std::string_view pattern, std::int64_t number);
// The part's name in the checkpoint, without ".weight".
std::string source_base(const DecoderTraits& traits, const PartRow& row, std::int64_t layer, const Checkpoint& checkpoint);
// nullptr when the architecture, or this model of it, has no such part.
const PartRow* find_part(const DecoderTraits& traits, const ModelConfig& config, Part part) noexcept;

// For `adjust`: `layer_types` of config.json, or `slides(l)` for each layer where it isn't stated.
Result<void> read_layer_types(const ConfigSource& source, ModelConfig& config, bool (*slides)(std::int64_t layer));

// Qwen2 and 3: the window counts only where use_sliding_window says so, in the layers from max_window_layers on.
Result<void> read_qwen_window(const ConfigSource& source, ModelConfig& config);
// Qwen2-MoE: likewise, but in every second layer before max_window_layers.
Result<void> read_qwen_moe_window(const ConfigSource& source, ModelConfig& config);
// Qwen's layers without experts: mlp_only_layers, and those that decoder_sparse_step passes over.
Result<void> read_dense_layers(const ConfigSource& source, ModelConfig& config);

// The rotary part of the configuration, in every spelling. `config` already holds head_dim and context.
struct RopeDefaults {
  double theta = 10000, part = 1;
  bool gguf_interleaved = true, folder_interleaved = false;
};
Result<RopeConfig> read_rope(const ConfigSource& source, const ModelConfig& config, const Checkpoint& checkpoint,
                             const RopeDefaults& otherwise = {});
// Gemma 3's second set of frequencies, for the layers that slide.
Result<RopeConfig> read_local_rope(const ConfigSource& source, const ModelConfig& config, double theta);

// An activation by the name that transformers gives it; nullptr when unknown.
const kernels::Activation* find_activation(std::string_view name) noexcept;

}  // namespace retort
