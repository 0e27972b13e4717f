#include "core/model/cpu_session.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "kernels/api/half.h"

namespace retort {
namespace {

constexpr std::int64_t kRowsPerTile = 8;            // of norms, gates, rotations
constexpr std::int64_t kTokensPerAttention = 48;    // what the matrix form of attention takes at a time
// Multiply-adds below which attention isn't worth waking the pool.
constexpr std::int64_t kSmallAttention = 32 * 1024;

void add_bias(const float* bias, float* y, std::int64_t rows, std::int64_t n, kernels::AddInto add) {
  for (std::int64_t r = 0; r < rows; ++r) add(bias, y + r * n, static_cast<std::size_t>(n));
}

}  // namespace

template <class F>
void CpuSession::for_rows(std::int64_t rows, F&& f) {
  if (rows <= kRowsPerTile) {
    f(0, rows);
    return;
  }
  engine_->pool.parallel_for(static_cast<std::size_t>((rows + kRowsPerTile - 1) / kRowsPerTile),
                             [&](std::size_t tile, int) {
                               const std::int64_t first = static_cast<std::int64_t>(tile) * kRowsPerTile;
                               f(first, std::min(kRowsPerTile, rows - first));
                             });
}

Result<void> CpuSession::check(std::span<const TokenId> tokens) const {
  if (static_cast<std::uint64_t>(position_) + tokens.size() > static_cast<std::uint64_t>(options_.context))
    return Error{.code = ErrorCode::kBadArgument, .place = "tokens",
                 .expected = fmt::format("at most {} in a context of {}", options_.context - position_, options_.context),
                 .found = std::to_string(tokens.size()), .next_step = "choose a larger context"};
  for (const TokenId token : tokens)
    if (token < 0 || token >= model_->config.vocabulary)
      return Error{.code = ErrorCode::kBadArgument, .place = "token id",
                   .expected = fmt::format("0 to {}", model_->config.vocabulary - 1), .found = std::to_string(token)};
  return {};
}

Result<void> CpuSession::run(std::span<const TokenId> tokens, const JobContext& job) {
  RETORT_CHECK(check(tokens));
  const std::lock_guard lock(engine_->in_use);
  hidden_rows_ = 0;
  RETORT_CHECK(reserve_hidden(static_cast<std::int64_t>(tokens.size())));
  RETORT_CHECK(use_frequencies(position_ + static_cast<std::int64_t>(tokens.size()), job));
  return run_blocks(tokens, job);
}

Result<void> CpuSession::reserve_hidden(std::int64_t tokens) {
  if (tokens <= hidden_capacity_) return {};
  const std::size_t bytes = static_cast<std::size_t>(tokens * model_->config.hidden) * sizeof(float);
  RETORT_TRY(hidden_, AlignedBuffer::allocate(bytes, "hidden states"));
  hidden_capacity_ = tokens;
  return {};
}

// Dynamic scaling: keys already in the cache keep the frequencies of their time, as transformers has it. LongRoPE: all
// positions change together, so what is in the cache is computed again.
Result<void> CpuSession::use_frequencies(std::int64_t length, const JobContext& job) {
  const std::int64_t key = rope_length_key(model_->config.rope, length);
  if (key == frequency_key_) return {};
  frequencies_ = rope_frequencies(model_->config, length);
  frequency_key_ = key;
  if (model_->config.rope.scaling != RopeScaling::kLongRope || position_ == 0) return {};
  const std::vector<TokenId> again = history_;
  rewind(0);
  RETORT_CHECK(reserve_hidden(static_cast<std::int64_t>(again.size())));
  return run_blocks(again, job);
}

Result<void> CpuSession::run_blocks(std::span<const TokenId> tokens, const JobContext& job) {
  const std::int64_t start = position_;
  hidden_rows_ = 0;
  while (!tokens.empty()) {
    const std::span<const TokenId> block = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(options_.batch)));
    float* hidden = hidden_.as<float>() + (position_ - start) * model_->config.hidden;
    if (auto done = run_block(block, hidden, job); !done) {
      rewind(start);   // a run happens whole or not at all
      hidden_rows_ = 0;
      return done;
    }
    position_ += static_cast<std::int64_t>(block.size());
    if (model_->config.rope.scaling == RopeScaling::kLongRope) history_.insert(history_.end(), block.begin(), block.end());
    tokens = tokens.subspan(block.size());
  }
  hidden_rows_ = position_ - start;
  return {};
}

Result<void> CpuSession::run_block(std::span<const TokenId> tokens, float* hidden, const JobContext& job) {
  prepare_rotary(static_cast<std::int64_t>(tokens.size()));
  std::int32_t layer = -2;
  for (const BoundStep& step : steps_) {
    if (step.layer != layer) {
      layer = step.layer;
      if (job.stopped()) return Error{.code = ErrorCode::kCanceled, .place = fmt::format("layer {}", layer)};
    }
    execute(step, tokens, hidden);
  }
  return {};
}

void CpuSession::execute(const BoundStep& step, std::span<const TokenId> tokens, float* hidden) {
  const std::int64_t m = static_cast<std::int64_t>(tokens.size()), n = step.width;
  const std::size_t width = static_cast<std::size_t>(n);
  const kernels::Ops& ops = engine_->ops;
  const float epsilon = static_cast<float>(model_->config.norm_epsilon);
  float* const out = step.out ? step.out : hidden;
  switch (step.kind) {
    case StepKind::kEmbedding: embed(step, tokens); break;
    case StepKind::kLinears: linears(step, m); break;
    case StepKind::kAttention: attend(step, m); break;
    case StepKind::kNorm:
      for_rows(m, [&](std::int64_t r, std::int64_t count) {
        ops.rms_norm(step.a + r * n, step.weight, 0, epsilon, out + r * n, static_cast<std::size_t>(count), width);
      });
      break;
    case StepKind::kAdd:
    case StepKind::kAddNorm:
      for_rows(m, [&](std::int64_t r, std::int64_t count) {
        const std::size_t block = static_cast<std::size_t>(count) * width;
        if (step.sum != step.a) std::memcpy(step.sum + r * n, step.a + r * n, block * sizeof(float));
        ops.add_into(step.b + r * n, step.sum + r * n, block);
        if (step.kind == StepKind::kAddNorm)
          ops.rms_norm(step.sum + r * n, step.weight, 0, epsilon, out + r * n, static_cast<std::size_t>(count), width);
      });
      break;
    case StepKind::kGate:
      for_rows(m, [&](std::int64_t r, std::int64_t count) {
        ops.silu_gate(step.a + r * n, step.b + r * n, step.sum + r * n, static_cast<std::size_t>(count) * width);
      });
      break;
  }
}

void CpuSession::embed_row(TokenId token, float* out) const {
  const WeightHandle& weight = model_->weights[static_cast<std::size_t>(embedding_)];
  const std::size_t columns = static_cast<std::size_t>(weight.shape[1]), row = static_cast<std::size_t>(token);
  if (weight.coded) return weight.coded->decode(static_cast<std::int64_t>(token), 1, 0, weight.shape[1], out);
  kernels::decode(weight.type, weight.data.data() + row * kernels::row_bytes(weight.type, columns), out, columns);
  if (weight.row_scales.empty()) return;
  for (std::size_t i = 0; i < columns; ++i) out[i] *= weight.row_scales[row];
}

void CpuSession::embed(const BoundStep& step, std::span<const TokenId> tokens) {
  for_rows(static_cast<std::int64_t>(tokens.size()), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r)
      embed_row(tokens[static_cast<std::size_t>(r)], step.out + r * step.width);
  });
}

void CpuSession::linears(const BoundStep& step, std::int64_t m) {
  if (tap_ && options_.plan == PlanKind::kTap)
    for (const Node* node : step.linears) tap_(*node, {step.a, static_cast<std::size_t>(m * step.width)}, m);
  kernels::run_linears(step.calls, step.a, m, step.width, scratch_.as<void>(), engine_->pool);
  for (std::size_t i = 0; i < step.calls.size(); ++i) {
    if (!step.biases[i]) continue;
    const kernels::LinearCall& call = step.calls[i];
    for_rows(m, [&](std::int64_t r, std::int64_t count) {
      add_bias(step.biases[i], call.y + r * call.y_stride, count, call.y_stride, engine_->ops.add_into);
    });
  }
}

// [batch, half] cosines, then as many sines, for the positions of this block.
void CpuSession::prepare_rotary(std::int64_t m) {
  float* const cosine = rotary_.as<float>();
  float* const sine = cosine + options_.batch * half_;
  const std::size_t half = static_cast<std::size_t>(half_);
  for_rows(m, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r)
      rope_row(frequencies_, position_ + r, {cosine + r * half_, half}, {sine + r * half_, half});
  });
}

void* CpuSession::cache_row(bool values, std::int64_t layer, std::int64_t position) const noexcept {
  const ModelConfig& c = model_->config;
  const std::int64_t row = ((values ? c.layers : 0) + layer) * options_.context + position;
  const std::int64_t element = options_.cache_f16 ? 2 : 4;
  return cache_.as<std::byte>() + row * c.kv_heads * c.head_dim * element;
}

void CpuSession::rotate_and_store(const BoundStep& step, std::int64_t token) {
  const ModelConfig& c = model_->config;
  const std::size_t rotary = static_cast<std::size_t>(2 * half_), head = static_cast<std::size_t>(c.head_dim);
  const std::int64_t key_width = step.kv_heads * c.head_dim;
  const float* cosine = rotary_.as<float>() + token * half_;
  const float* sine = cosine + options_.batch * half_;
  float* const key = step.key + token * key_width;
  const float* const value = step.value + token * key_width;
  if (step.rotate_query)
    engine_->ops.rope(step.query + token * step.width, cosine, sine, static_cast<std::size_t>(step.heads), head, rotary,
                      c.rope.interleaved);
  if (step.rotate_key)
    engine_->ops.rope(key, cosine, sine, static_cast<std::size_t>(step.kv_heads), head, rotary, c.rope.interleaved);
  void* const keys = cache_row(false, step.layer, position_ + token);
  void* const values = cache_row(true, step.layer, position_ + token);
  if (!options_.cache_f16) {
    std::memcpy(keys, key, static_cast<std::size_t>(key_width) * sizeof(float));
    std::memcpy(values, value, static_cast<std::size_t>(key_width) * sizeof(float));
    return;
  }
  for (std::int64_t i = 0; i < key_width; ++i) static_cast<std::uint16_t*>(keys)[i] = kernels::f32_to_f16(key[i]);
  for (std::int64_t i = 0; i < key_width; ++i) static_cast<std::uint16_t*>(values)[i] = kernels::f32_to_f16(value[i]);
}

void CpuSession::attend(const BoundStep& step, std::int64_t m) {
  const ModelConfig& c = model_->config;
  for_rows(m, [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t r = first; r < first + count; ++r) rotate_and_store(step, r);
  });
  kernels::AttentionArgs args{};
  args.query = step.query;
  args.q_stride = step.width;
  args.keys = cache_row(false, step.layer, 0);
  args.values = cache_row(true, step.layer, 0);
  args.cache_f16 = options_.cache_f16;
  args.out = step.out;
  args.out_stride = step.width;
  args.tokens = m;
  args.past = position_;
  args.kv_heads = step.kv_heads;
  args.head_dim = c.head_dim;
  args.group = step.heads / step.kv_heads;
  args.window = 0;
  args.scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));

  // Heads within token tiles, the last tokens first: theirs is the most work.
  const std::int64_t tiles = (m + kTokensPerAttention - 1) / kTokensPerAttention;
  const auto unit = [&](std::size_t i, int worker) {
    const std::int64_t tile = tiles - 1 - static_cast<std::int64_t>(i) / step.heads;
    const std::int64_t first = tile * kTokensPerAttention;
    engine_->ops.attention(args, static_cast<std::int64_t>(i) % step.heads, first,
                           std::min(kTokensPerAttention, m - first),
                           attention_scratch_.as<float>() + static_cast<std::size_t>(worker) * attention_floats_);
  };
  const std::size_t units = static_cast<std::size_t>(tiles * step.heads);
  if (m * (position_ + m) * step.width < kSmallAttention) {
    for (std::size_t i = 0; i < units; ++i) unit(i, 0);
  } else {
    engine_->pool.parallel_for(units, unit);
  }
}

std::span<const float> CpuSession::hidden() const {
  return {hidden_.as<float>(), static_cast<std::size_t>(hidden_rows_ * model_->config.hidden)};
}

void CpuSession::apply_head(const float* rows, std::int64_t count, float* out) {
  const std::int64_t hidden = model_->config.hidden, vocabulary = model_->config.vocabulary;
  const kernels::BoundLinear* const linear = &linears_[static_cast<std::size_t>(head_node_->weight)];
  for (std::int64_t r = 0; r < count; r += options_.batch) {
    const std::int64_t m = std::min(options_.batch, count - r);
    if (tap_ && options_.plan == PlanKind::kTap)
      tap_(*head_node_, {rows + r * hidden, static_cast<std::size_t>(m * hidden)}, m);
    const kernels::LinearCall call{linear, out + r * vocabulary, vocabulary};
    kernels::run_linears({&call, 1}, rows + r * hidden, m, hidden, scratch_.as<void>(), engine_->pool);
    if (head_bias_) add_bias(head_bias_, call.y, m, vocabulary, engine_->ops.add_into);
  }
}

Result<std::span<const float>> CpuSession::logits(std::int64_t first, std::int64_t count) {
  if (first < 0 || count < 0 || first > hidden_rows_ || count > hidden_rows_ - first)
    return Error{.code = ErrorCode::kBadArgument, .place = "logits",
                 .expected = fmt::format("rows within {} of the last run", hidden_rows_),
                 .found = fmt::format("{} from {}", count, first)};
  const std::lock_guard lock(engine_->in_use);
  const std::int64_t vocabulary = model_->config.vocabulary;
  if (count > logits_capacity_) {
    RETORT_TRY(logits_, AlignedBuffer::allocate(static_cast<std::size_t>(count * vocabulary) * sizeof(float), "logits"));
    logits_capacity_ = count;
  }
  apply_head(hidden_.as<float>() + first * model_->config.hidden, count, logits_.as<float>());
  return std::span<const float>{logits_.as<float>(), static_cast<std::size_t>(count * vocabulary)};
}

Result<void> CpuSession::head(std::span<const float> hidden_rows, std::span<float> out) {
  const std::size_t hidden = static_cast<std::size_t>(model_->config.hidden);
  const std::size_t rows = hidden_rows.size() / hidden;
  if (hidden_rows.size() % hidden != 0 || out.size() != rows * static_cast<std::size_t>(model_->config.vocabulary))
    return Error{.code = ErrorCode::kBadArgument, .place = "head",
                 .expected = fmt::format("rows of {} in, rows of {} out", hidden, model_->config.vocabulary),
                 .found = fmt::format("{} and {} numbers", hidden_rows.size(), out.size())};
  const std::lock_guard lock(engine_->in_use);
  apply_head(hidden_rows.data(), static_cast<std::int64_t>(rows), out.data());
  return {};
}

void CpuSession::rewind(std::int64_t position) {
  position_ = std::clamp<std::int64_t>(position, 0, position_);
  if (static_cast<std::size_t>(position_) < history_.size()) history_.resize(static_cast<std::size_t>(position_));
}

MemoryByPart CpuSession::memory() const noexcept {
  MemoryByPart parts;
  parts.weights = weight_bytes_;
  parts.kv_cache = cache_.size();
  parts.work_space = arena_.size() + hidden_.size() + logits_.size() + scratch_.size() + attention_scratch_.size() +
                     rotary_.size();
  return parts;
}

}  // namespace retort
