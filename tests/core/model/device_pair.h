// A model on a device and on the reference backend, and what both are asked.
#pragma once

#include <filesystem>
#include <numeric>

#include "core/model/device_backend.h"
#include "core/model/encoder_input.h"

namespace retort {

inline std::string data_path(const char* name) { return (std::filesystem::path(RETORT_TEST_DATA) / name).string(); }

inline std::shared_ptr<const Model> opened(const std::string& path) {
  auto model = open_model(path);
  if (!model) qWarning("%s %s %s", model.error().place.c_str(), model.error().expected.c_str(), model.error().found.c_str());
  return model ? std::make_shared<const Model>(*std::move(model)) : nullptr;
}

inline std::vector<TokenId> some_tokens(std::int64_t count, std::int64_t vocabulary) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>((i * 7919 + 13) % static_cast<std::size_t>(vocabulary));
  return tokens;
}

// Sequences of several lengths, for encoders.
struct Sequences {
  explicit Sequences(const Model& model)
      : tokens(some_tokens(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}), model.config.vocabulary)) {
    for (const std::int64_t length : lengths)
      for (std::int64_t i = 0; i < length; ++i) {
        positions.push_back(static_cast<std::int32_t>(i + model.config.position_offset));
        types.push_back(model.config.token_types > 1 && i > length / 2 ? 1 : 0);
      }
  }
  EncoderBatch batch() const { return {tokens, types, positions, lengths}; }
  // Rows of the head's result.
  std::int64_t outputs(const Model& model) const {
    const bool pooled = model.graph.head == HeadKind::kSequenceLabels || model.graph.head == HeadKind::kEmbedding;
    return static_cast<std::int64_t>(pooled ? lengths.size() : tokens.size());
  }

  std::vector<std::int64_t> lengths = {7, 1, 12, 20, 3, 9};
  std::vector<TokenId> tokens;
  std::vector<std::int32_t> positions, types;
};

struct Pair {
  std::unique_ptr<Backend> device, reference;
  std::unique_ptr<Session> on_device, on_processor;
};

inline Result<Pair> compiled(const std::shared_ptr<const Model>& model, const RunOptions& on_device, const RunOptions& on_processor) {
  Pair pair;
  RETORT_TRY(pair.device, make_backend("cuda:0", 0));
  RETORT_TRY(pair.reference, make_backend("reference", 2));
  RETORT_TRY(pair.on_device, pair.device->compile(model, on_device));
  RETORT_TRY(pair.on_processor, pair.reference->compile(model, on_processor));
  return pair;
}
inline Result<Pair> compiled(const std::shared_ptr<const Model>& model, const RunOptions& options) { return compiled(model, options, options); }

}  // namespace retort
