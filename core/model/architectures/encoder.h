// What all BERT-like encoders share: the table of a decoder (configuration keys, tensor names, shapes) and a table of heads.
// A layer is attention over the whole sequence and a feed-forward, each added to its input and then normalised.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/model/architectures/decoder.h"

namespace retort {

// One operation of a head.
struct HeadStep {
  enum class What : std::uint8_t {
    kDense,        // a linear with bias
    kActivation,   // `activation`, or the model's
    kNorm,         // a layer norm with bias
    kVocabulary,   // the last linear of a masked language model: tied to the embedding unless the file has its own
  };
  What what;
  std::string_view name = {};          // in folders; of kVocabulary the linear
  std::string_view canonical = {};     // in the graph, GGUF's where it has one
  Dim rows = Dim::kHidden, columns = Dim::kHidden;
  std::optional<kernels::Activation> activation = std::nullopt;
  std::string_view bias = {};          // kVocabulary: the bias's full name where it isn't the linear's
};

struct HeadRow {
  std::string_view class_name;         // as config.json says
  HeadKind kind;
  bool pooled = false;                 // reads the first token of each sequence
  std::span<const HeadStep> steps = {};
};

struct EncoderTraits {
  DecoderTraits base;
  std::span<const HeadRow> heads;
};

// Errors: those of configure_decoder; kUnsupported for a class without a row.
Result<ModelConfig> configure_encoder(const EncoderTraits& traits, const Checkpoint& checkpoint);
Result<Graph> build_encoder(const EncoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint);
// The classes that have a head, in the table's order.
std::vector<std::string> class_names(const EncoderTraits& traits);

// For `adjust`. Errors: kUnsupported for relative_key and relative_key_query positions.
Result<void> check_absolute_positions(const ConfigSource& source);
// RoBERTa and MPNet: rows of the position table count from the one after the padding's, over tokens other than padding.
Result<void> read_padded_positions(const ConfigSource& source, ModelConfig& config);

// Pooling and normalisation of a sentence encoder, from modules.json and what it names beside the checkpoint; nothing when
// there is no such file. Errors: kUnsupported (modules or modes that the graph doesn't do), kCorrupt.
Result<void> read_sentence_modules(const Checkpoint& checkpoint, ModelConfig& config);

}  // namespace retort
