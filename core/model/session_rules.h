// What the sessions of every backend check and derive alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/backend.h"

namespace retort {

// Errors: kBadArgument (context or batch out of range).
Result<void> check_sizes(const RunOptions& options);
// Rows of one pass: an encoder sees a sequence whole, so a pass holds the longest that fits the context.
std::int64_t pass_rows(const Model& model, const RunOptions& options);
// How many sets of rotary frequencies the graph takes.
std::int32_t rope_count(const Graph& graph);
// Whether what is in the cache has to be computed again when the frequencies change (LongRoPE).
bool recomputes_cache(const Model& model);

// Errors as of Session::run() and Session::encode(). `position`: of the first token; `rows`: pass_rows().
Result<void> check_run(const Model& model, std::int64_t context, std::int64_t position, std::span<const TokenId> tokens);
Result<void> check_encode(const Model& model, std::int64_t rows, const EncoderBatch& batch);
// first, count within `rows`, and a head to compute them. Errors as of Session::logits().
Result<void> check_logits(const Model& model, std::int64_t rows, std::int64_t first, std::int64_t count);
// How many rows. Errors as of Session::head().
Result<std::int64_t> check_head(const Model& model, std::span<const float> hidden_rows, std::span<float> out);

std::size_t weight_elements(const WeightHandle& weight) noexcept;
// A norm's or bias' values in f32. What is coded must have passed its check().
std::vector<float> weight_in_f32(const WeightHandle& weight);
// A table by bucket [buckets, heads] as one by distance, for each head: [heads, 2 · rows - 1], distance 0 at rows - 1.
std::vector<float> bias_by_distance(const ModelConfig& config, std::int64_t heads, std::int64_t rows, std::span<const float> table);

}  // namespace retort
