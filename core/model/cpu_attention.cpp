// Rotation, the KV cache, attention.
#include <algorithm>
#include <cstring>

#include "core/model/cpu_session.h"
#include "kernels/api/half.h"

namespace retort {
namespace {

constexpr std::int64_t kTokensPerAttention = 48;    // what the matrix form of attention takes at a time
// Multiply-adds below which attention isn't worth waking the pool.
constexpr std::int64_t kSmallAttention = 32 * 1024;

}  // namespace

// [batch, half] cosines, then as many sines, for the positions of this frame.
void CpuSession::prepare_rotary(const Frame& frame) {
  for (const Rotary& rotary : rotaries_) {
    float* const cosine = rotary.rows;
    float* const sine = cosine + options_.batch * rotary.half;
    const std::size_t half = static_cast<std::size_t>(rotary.half);
    for_rows(frame.rows, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t r = first; r < first + count; ++r)
        rope_row(rotary.frequencies, frame.positions ? frame.positions[r] : position_ + r,
                 {cosine + r * rotary.half, half}, {sine + r * rotary.half, half});
    });
  }
}

void CpuSession::rotate(float* x, std::int32_t rope, std::int64_t token, std::int64_t heads) const {
  if (rope < 0) return;
  const Rotary& rotary = rotaries_[static_cast<std::size_t>(rope)];
  const float* const cosine = rotary.rows + token * rotary.half;
  engine_->ops.rope(x, cosine, cosine + options_.batch * rotary.half, static_cast<std::size_t>(heads),
                    static_cast<std::size_t>(model_->config.head_dim), static_cast<std::size_t>(2 * rotary.half),
                    rope_of(model_->config, rope).interleaved);
}

void CpuSession::rotate_and_store(const BoundStep& step, std::int64_t token) {
  const BoundAttention& bound = step.attention;
  const std::int64_t key_width = bound.node->kv_heads * model_->config.head_dim;
  float* const key = bound.key + token * key_width;
  const float* const value = bound.value + token * key_width;
  rotate(bound.query + token * step.width, bound.query_rope, token, bound.node->heads);
  rotate(key, bound.key_rope, token, bound.node->kv_heads);
  if (!bound.node->causal) return;
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

void CpuSession::attend(const BoundStep& step, const Frame& frame) {
  const BoundAttention& bound = step.attention;
  const Node& node = *bound.node;
  if (node.causal || bound.query_rope >= 0 || bound.key_rope >= 0)
    for_rows(frame.rows, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t r = first; r < first + count; ++r) rotate_and_store(step, r);
    });
  kernels::AttentionArgs args{};
  args.query = bound.query;
  args.q_stride = step.width;
  args.out = bound.out;
  args.out_stride = step.width;
  args.tokens = frame.rows;
  args.kv_heads = node.kv_heads;
  args.head_dim = model_->config.head_dim;
  args.group = node.heads / node.kv_heads;
  args.window = node.window;
  args.scale = node.scale;
  args.soft_cap = node.soft_cap;
  args.bias = bound.bias;
  args.bias_stride = 2 * options_.batch - 1;
  args.bias_zero = options_.batch - 1;
  if (node.causal) attend_causal(step, args);
  else attend_sequences(step, args, frame);
}

// Heads within token tiles, the last tokens first: theirs is the most work.
void CpuSession::attend_causal(const BoundStep& step, kernels::AttentionArgs args) {
  const std::int64_t heads = step.attention.node->heads, m = args.tokens;
  args.keys = cache_row(false, step.layer, 0);
  args.values = cache_row(true, step.layer, 0);
  args.cache_f16 = options_.cache_f16;
  args.past = position_;
  const std::int64_t tiles = (m + kTokensPerAttention - 1) / kTokensPerAttention;
  const auto unit = [&](std::size_t i, int worker) {
    const std::int64_t tile = tiles - 1 - static_cast<std::int64_t>(i) / heads;
    const std::int64_t first = tile * kTokensPerAttention;
    engine_->ops.attention(args, static_cast<std::int64_t>(i) % heads, first, std::min(kTokensPerAttention, m - first),
                           attention_scratch_.as<float>() + static_cast<std::size_t>(worker) * attention_floats_);
  };
  const std::size_t units = static_cast<std::size_t>(tiles * heads);
  if (m * (position_ + m) * step.width < kSmallAttention) {
    for (std::size_t i = 0; i < units; ++i) unit(i, 0);
  } else {
    engine_->pool.parallel_for(units, unit);
  }
}

// Keys and values are those of this pass: no cache. One unit of work is a head of a sequence.
void CpuSession::attend_sequences(const BoundStep& step, kernels::AttentionArgs args, const Frame& frame) {
  const std::size_t heads = static_cast<std::size_t>(step.attention.node->heads);
  const std::int64_t key_width = args.kv_heads * args.head_dim;
  args.bidirectional = true;
  const auto unit = [&](std::size_t i, int worker) {
    std::int64_t start = 0;
    const std::size_t sequence = i / heads;
    for (std::size_t s = 0; s < sequence; ++s) start += frame.lengths[s];
    kernels::AttentionArgs one = args;
    one.query += start * args.q_stride;
    one.out += start * args.out_stride;
    one.keys = step.attention.key + start * key_width;
    one.values = step.attention.value + start * key_width;
    one.tokens = frame.lengths[sequence];
    engine_->ops.attention(one, static_cast<std::int64_t>(i % heads), 0, one.tokens,
                           attention_scratch_.as<float>() + static_cast<std::size_t>(worker) * attention_floats_);
  };
  engine_->pool.parallel_for(frame.lengths.size() * heads, unit);
}

}  // namespace retort
