#include "core/model/cpu_session.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/model/pooling.h"
#include "core/model/session_rules.h"

namespace retort {
Result<void> CpuSession::run(std::span<const TokenId> tokens, const JobContext& job) {
  RETORT_CHECK(check_run(*model_, options_.context, position_, tokens));
  const std::lock_guard lock(engine_->in_use);
  hidden_rows_ = head_rows_ = 0;
  RETORT_CHECK(reserve_hidden(static_cast<std::int64_t>(tokens.size())));
  RETORT_CHECK(use_frequencies(position_ + static_cast<std::int64_t>(tokens.size()), job));
  return run_blocks(tokens, job);
}

// Sequences share a pass up to the batch: the linears see all their tokens at once, attention each by itself.
Result<void> CpuSession::encode(const EncoderBatch& batch, const JobContext& job) {
  RETORT_CHECK(check_encode(*model_, options_.batch, batch));
  const std::lock_guard lock(engine_->in_use);
  hidden_rows_ = head_rows_ = 0;
  const std::int64_t hidden = model_->config.hidden;
  RETORT_CHECK(reserve_hidden(static_cast<std::int64_t>(batch.tokens.size())));
  if (plan_.pool >= 0) {
    const std::size_t bytes = batch.lengths.size() * static_cast<std::size_t>(hidden) * sizeof(float);
    if (pooled_.size() < bytes) {
      RETORT_TRY(pooled_, AlignedBuffer::allocate(bytes, "pooled states"));
    }
  }
  RETORT_CHECK(use_frequencies(options_.context, job));
  std::int64_t token = 0;
  for (std::size_t first = 0, last = 0; first < batch.lengths.size(); first = last) {
    std::int64_t rows = 0;
    while (last < batch.lengths.size() && rows + batch.lengths[last] <= options_.batch) rows += batch.lengths[last++];
    const std::size_t at = static_cast<std::size_t>(token);
    Frame frame{.rows = rows, .hidden = hidden_.as<float>() + token * hidden, .tokens = batch.tokens.data() + at,
                .types = batch.types.empty() ? nullptr : batch.types.data() + at, .positions = batch.positions.data() + at,
                .lengths = batch.lengths.subspan(first, last - first)};
    RETORT_CHECK(run_body(frame, job));
    if (plan_.pool >= 0) pool(frame, pooled_.as<float>() + static_cast<std::int64_t>(first) * hidden);
    token += rows;
  }
  hidden_rows_ = token;
  head_rows_ = plan_.pool >= 0 ? static_cast<std::int64_t>(batch.lengths.size()) : token;
  return {};
}

void CpuSession::pool(const Frame& frame, float* out) const {
  const Node& node = model_->graph.nodes[static_cast<std::size_t>(plan_.pool)];
  const std::int64_t n = model_->config.hidden;
  const float* row = frame.hidden;
  for (const std::int64_t length : frame.lengths) {
    pool_sequence(node.pool, row, length, n, out);
    row += length * n;
    out += n;
  }
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
  bool changed = false;
  for (std::size_t i = 0; i < rotaries_.size(); ++i) {
    const std::int32_t rope = static_cast<std::int32_t>(i);
    const std::int64_t key = rope_length_key(rope_of(model_->config, rope), length);
    if (key == rotaries_[i].key) continue;
    rotaries_[i].frequencies = rope_frequencies(model_->config, length, rope);
    rotaries_[i].key = key;
    changed = true;
  }
  if (!changed || !recomputes_ || position_ == 0) return {};
  const std::vector<TokenId> again = history_;
  rewind(0);
  RETORT_CHECK(reserve_hidden(static_cast<std::int64_t>(again.size())));
  return run_blocks(again, job);
}

Result<void> CpuSession::run_blocks(std::span<const TokenId> tokens, const JobContext& job) {
  const std::int64_t start = position_;
  hidden_rows_ = head_rows_ = 0;
  while (!tokens.empty()) {
    const std::span<const TokenId> block = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(options_.batch)));
    const Frame frame{.rows = static_cast<std::int64_t>(block.size()),
                      .hidden = hidden_.as<float>() + (position_ - start) * model_->config.hidden, .tokens = block.data()};
    if (auto done = run_body(frame, job); !done) {
      rewind(start);   // a run happens whole or not at all
      hidden_rows_ = head_rows_ = 0;
      return done;
    }
    position_ += frame.rows;
    if (recomputes_) history_.insert(history_.end(), block.begin(), block.end());
    tokens = tokens.subspan(block.size());
  }
  hidden_rows_ = head_rows_ = position_ - start;
  return {};
}

Result<void> CpuSession::run_body(const Frame& frame, const JobContext& job) {
  prepare_rotary(frame);
  for (BoundStep& step : steps_) {
    // Before every step: a layer of a large model takes seconds.
    if (job.stopped()) return Error{.code = ErrorCode::kCanceled, .place = fmt::format("layer {}", step.layer)};
    execute(step, frame);
  }
  return {};
}

void* CpuSession::cache_row(bool values, std::int64_t layer, std::int64_t position) const noexcept {
  const ModelConfig& c = model_->config;
  const std::int64_t row = ((values ? c.layers : 0) + layer) * options_.context + position;
  const std::int64_t element = options_.cache_f16 ? 2 : 4;
  return cache_.as<std::byte>() + row * c.kv_heads * c.head_dim * element;
}

std::span<const float> CpuSession::hidden() const {
  return {hidden_.as<float>(), static_cast<std::size_t>(hidden_rows_ * model_->config.hidden)};
}

void CpuSession::apply_head(const float* rows, std::int64_t count, float* out) {
  const std::int64_t hidden = model_->config.hidden, outputs = model_->graph.outputs();
  if (model_->graph.logits == plan_.head_input) {
    std::memcpy(out, rows, static_cast<std::size_t>(count * outputs) * sizeof(float));
    return;
  }
  for (std::int64_t r = 0; r < count; r += options_.batch) {
    // Heads only read their input: the plan lets nothing run in place on it.
    const Frame frame{.rows = std::min(options_.batch, count - r), .hidden = const_cast<float*>(rows + r * hidden),
                      .out = out + r * outputs};
    for (BoundStep& step : head_steps_) execute(step, frame);
  }
}

Result<std::span<const float>> CpuSession::logits(std::int64_t first, std::int64_t count) {
  RETORT_CHECK(check_logits(*model_, head_rows_, first, count));
  const std::int64_t outputs = model_->graph.outputs();
  const std::lock_guard lock(engine_->in_use);
  if (count > logits_capacity_) {
    RETORT_TRY(logits_, AlignedBuffer::allocate(static_cast<std::size_t>(count * outputs) * sizeof(float), "logits"));
    logits_capacity_ = count;
  }
  const float* const rows = (plan_.pool >= 0 ? pooled_ : hidden_).as<float>();
  apply_head(rows + first * model_->config.hidden, count, logits_.as<float>());
  return std::span<const float>{logits_.as<float>(), static_cast<std::size_t>(count * outputs)};
}

Result<void> CpuSession::head(std::span<const float> hidden_rows, std::span<float> out) {
  RETORT_TRY(const std::int64_t rows, check_head(*model_, hidden_rows, out));
  const std::lock_guard lock(engine_->in_use);
  apply_head(hidden_rows.data(), rows, out.data());
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
                     rotary_.size() + pooled_.size() + expert_rows_.size();
  return parts;
}

}  // namespace retort
