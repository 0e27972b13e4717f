#include "core/model/session_rules.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/formats/shape.h"
#include "core/model/sampling.h"

namespace retort {
namespace {

constexpr std::int64_t kLargestContext = std::int64_t{1} << 24;

Error refuse_encoding() {
  return Error{.code = ErrorCode::kUnsupported, .place = "architecture", .expected = "an encoder",
               .found = "a model that sees only what went before"};
}

Result<void> check_id(std::string_view what, std::int64_t id, std::int64_t count) {
  if (id >= 0 && id < count) return {};
  return Error{.code = ErrorCode::kBadArgument, .place = std::string(what),
               .expected = count > 0 ? fmt::format("0 to {}", count - 1) : "a model that has them", .found = std::to_string(id)};
}

}  // namespace

Result<void> Session::encode(const EncoderBatch&, const JobContext&) { return refuse_encoding(); }

Result<Likeliest> Session::likeliest(std::int64_t row) {
  RETORT_TRY(const std::span<const float> all, logits(row, 1));
  const TokenId token = greedy_token(all);
  if (token < 0) return Likeliest{};
  return Likeliest{token, std::exp(static_cast<double>(all[static_cast<std::size_t>(token)]) - log_sum_exp(all))};
}

Result<void> check_sizes(const RunOptions& options) {
  if (options.context < 1 || options.context > kLargestContext)
    return Error{.code = ErrorCode::kBadArgument, .place = "context",
                 .expected = fmt::format("1 to {}", kLargestContext), .found = std::to_string(options.context)};
  if (options.batch < 1)
    return Error{.code = ErrorCode::kBadArgument, .place = "batch", .expected = "at least 1",
                 .found = std::to_string(options.batch)};
  return {};
}

std::int64_t pass_rows(const Model& model, const RunOptions& options) {
  if (model.graph.causal) return std::min(options.batch, options.context);
  return model.config.positions > 0 ? std::min(options.context, model.config.positions) : options.context;
}

std::int32_t rope_count(const Graph& graph) {
  std::int32_t count = 0;
  for (const Node& node : graph.nodes)
    if (node.op == Op::kRope) count = std::max(count, node.rope + 1);
  return count;
}

bool recomputes_cache(const Model& model) {
  for (std::int32_t rope = 0; rope < rope_count(model.graph); ++rope)
    if (rope_of(model.config, rope).scaling == RopeScaling::kLongRope) return true;
  return false;
}

Result<void> check_run(const Model& model, std::int64_t context, std::int64_t position, std::span<const TokenId> tokens) {
  const ModelConfig& c = model.config;
  if (!model.graph.causal)
    return Error{.code = ErrorCode::kUnsupported, .place = "architecture",
                 .expected = "a model that predicts the next token", .found = c.architecture + ", an encoder"};
  if (static_cast<std::uint64_t>(position) + tokens.size() > static_cast<std::uint64_t>(context))
    return Error{.code = ErrorCode::kBadArgument, .place = "tokens",
                 .expected = fmt::format("at most {} in a context of {}", context - position, context),
                 .found = std::to_string(tokens.size()), .next_step = "choose a larger context"};
  if (c.positions > 0 && position + static_cast<std::int64_t>(tokens.size()) + c.position_offset > c.positions)
    return Error{.code = ErrorCode::kBadArgument, .place = "tokens",
                 .expected = fmt::format("at most {} positions, which the model has learned", c.positions - c.position_offset),
                 .found = std::to_string(static_cast<std::size_t>(position) + tokens.size()),
                 .next_step = "choose a smaller context"};
  for (const TokenId token : tokens) RETORT_CHECK(check_id("token id", token, c.vocabulary));
  return {};
}

Result<void> check_encode(const Model& model, std::int64_t rows, const EncoderBatch& batch) {
  const ModelConfig& c = model.config;
  if (model.graph.causal) return refuse_encoding();
  const std::size_t n = batch.tokens.size();
  std::uint64_t sum = 0;
  for (const std::int64_t length : batch.lengths) {
    if (length < 1 || length > rows)
      return Error{.code = ErrorCode::kBadArgument, .place = "sequence",
                   .expected = fmt::format("1 to {} tokens", rows), .found = std::to_string(length),
                   .next_step = "choose a larger context, or cut the sequence"};
    sum += static_cast<std::uint64_t>(length);
  }
  if (sum != n || batch.positions.size() != n || (!batch.types.empty() && batch.types.size() != n))
    return Error{.code = ErrorCode::kBadArgument, .place = "batch",
                 .expected = fmt::format("{} tokens, positions and types", sum),
                 .found = fmt::format("{}, {} and {}", n, batch.positions.size(), batch.types.size())};
  for (std::size_t i = 0; i < n; ++i) {
    RETORT_CHECK(check_id("token id", batch.tokens[i], c.vocabulary));
    if (c.positions > 0) RETORT_CHECK(check_id("position", batch.positions[i], c.positions));
    if (!batch.types.empty() && (c.token_types > 0 || batch.types[i] != 0))
      RETORT_CHECK(check_id("token type", batch.types[i], c.token_types));
  }
  return {};
}

Result<void> check_logits(const Model& model, std::int64_t rows, std::int64_t first, std::int64_t count) {
  if (model.graph.outputs() == 0)
    return Error{.code = ErrorCode::kUnsupported, .place = "head", .expected = "a model with a head",
                 .found = model.config.architecture + " without one"};
  if (first < 0 || count < 0 || first > rows || count > rows - first)
    return Error{.code = ErrorCode::kBadArgument, .place = "logits",
                 .expected = fmt::format("rows within {} of the last run", rows),
                 .found = fmt::format("{} from {}", count, first)};
  return {};
}

Result<std::int64_t> check_head(const Model& model, std::span<const float> hidden_rows, std::span<float> out) {
  const std::size_t hidden = static_cast<std::size_t>(model.config.hidden);
  const std::size_t outputs = static_cast<std::size_t>(model.graph.outputs());
  const std::size_t rows = hidden_rows.size() / hidden;
  if (outputs == 0 || hidden_rows.size() % hidden != 0 || out.size() != rows * outputs)
    return Error{.code = ErrorCode::kBadArgument, .place = "head",
                 .expected = fmt::format("rows of {} in, rows of {} out", hidden, outputs),
                 .found = fmt::format("{} and {} numbers", hidden_rows.size(), out.size())};
  return static_cast<std::int64_t>(rows);
}

std::size_t weight_elements(const WeightHandle& weight) noexcept {
  return static_cast<std::size_t>(shape_elements(weight.shape));
}

std::vector<float> weight_in_f32(const WeightHandle& weight) {
  const std::size_t n = weight_elements(weight);
  std::vector<float> out(n);
  if (weight.coded) weight.coded->decode(0, weight.shape[0], 0, weight.shape.size() > 1 ? weight.shape[1] : 1, out.data());
  else kernels::traits(weight.type).decode(weight.data.data(), out.data(), n);
  return out;
}

std::vector<float> bias_by_distance(const ModelConfig& config, std::int64_t heads, std::int64_t rows, std::span<const float> table) {
  const std::int64_t zero = rows - 1, stride = 2 * rows - 1;
  std::vector<float> bias(static_cast<std::size_t>(heads * stride));
  for (std::int64_t d = -zero; d <= zero; ++d) {
    const std::int64_t bucket = relative_bucket(d, config.relative_buckets, config.relative_distance);
    for (std::int64_t h = 0; h < heads; ++h)
      bias[static_cast<std::size_t>(h * stride + zero + d)] = table[static_cast<std::size_t>(bucket * heads + h)];
  }
  return bias;
}

}  // namespace retort
