#include "core/model/device_session.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/model/rope.h"
#include "core/model/session_rules.h"

namespace retort {
namespace {

Likeliest likeliest_of(std::int32_t id, float value, double log_sum) {
  if (id < 0) return {};
  return {id, std::exp(static_cast<double>(value) - log_sum)};
}

}  // namespace

DeviceSession::DeviceSession(std::shared_ptr<const OpenedDevice> device, std::shared_ptr<const Model> model,
                             const RunOptions& options, std::int64_t rows, bool pools)
    : device_(std::move(device)), model_(std::move(model)), options_(options), rows_(rows), pools_(pools) {}

DeviceSession::~DeviceSession() {
  if (session_) table().session_close(session_);
  if (weights_) table().model_close(weights_);
}

Result<std::unique_ptr<Session>> DeviceSession::create(std::shared_ptr<const OpenedDevice> device, std::shared_ptr<const Model> model,
                                                       const RunOptions& options, const DevicePlan& plan) {
  std::unique_ptr<DeviceSession> session(new DeviceSession(std::move(device), std::move(model), options, plan.rows(), plan.pools()));
  RETORT_CHECK(session->upload(plan));
  return std::unique_ptr<Session>(std::move(session));
}

Result<void> DeviceSession::check(retort_status status, const char* what) {
  if (status == RETORT_OK) return {};
  if (status == RETORT_FAILED) failed_ = true;
  return device_->library->error(status, fmt::format("{} on {}", what, device_->name));
}

Result<void> DeviceSession::usable() const {
  if (!failed_) return {};
  return Error{.code = ErrorCode::kRead, .place = device_->name, .expected = "a device that works", .found = "one that failed before",
               .next_step = "start again; --backend cpu computes without the device"};
}

Result<void> DeviceSession::upload(const DevicePlan& plan) {
  const std::span<const retort_weight> weights = plan.weights();
  RETORT_CHECK(check(table().model_open(device_->handle, weights.data(), static_cast<std::int32_t>(weights.size()), &weights_), "weights"));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].uses == 0) continue;
    std::vector<float> made;
    RETORT_TRY(const std::span<const std::byte> data, plan.data(i, made));
    if (data.size() != weights[i].bytes)
      return Error{.code = ErrorCode::kInternal, .place = weights[i].name, .expected = fmt::format("{} bytes", weights[i].bytes),
                   .found = fmt::format("{}", data.size())};
    RETORT_CHECK(check(table().model_upload(weights_, static_cast<std::int32_t>(i), data.data(), data.size()), weights[i].name));
    plan.done_with(i);
  }
  const retort_plan view = plan.view();
  RETORT_CHECK(check(table().session_open(weights_, &view, &session_), "work space"));
  RETORT_CHECK(read_memory());
  retort_capabilities can = sized<retort_capabilities>();
  RETORT_CHECK(check(table().capabilities(device_->handle, &can), "what it can do"));
  most_drawn_from_ = can.largest_sampled;
  room_ = pooled_room_ = rows_;
  recomputes_ = recomputes_cache(*model_);
  rope_keys_.assign(static_cast<std::size_t>(view.rope_count), -1);
  return {};
}

Result<void> DeviceSession::forget_last(std::int64_t hidden_rows, std::int64_t pooled_rows) {
  hidden_rows_ = head_rows_ = 0;
  fetched_ = false;
  if (hidden_rows <= room_ && pooled_rows <= pooled_room_) return {};
  room_ = std::max(room_, hidden_rows);
  pooled_room_ = std::max(pooled_room_, pooled_rows);
  RETORT_CHECK(check(table().reserve(session_, room_, pooled_room_), "hidden states"));
  return read_memory();
}

Result<void> DeviceSession::read_memory() {
  retort_memory memory = sized<retort_memory>();
  RETORT_CHECK(check(table().session_memory(session_, &memory), "memory"));
  memory_ = {memory.weights, memory.kv_cache, memory.work_space};
  return {};
}

// As the processor's session has it: dynamic scaling leaves keys in the cache as they are, LongRoPE computes them again.
Result<void> DeviceSession::use_frequencies(std::int64_t length, const JobContext& job) {
  bool changed = false;
  for (std::size_t i = 0; i < rope_keys_.size(); ++i) {
    const std::int32_t rope = static_cast<std::int32_t>(i);
    const std::int64_t key = rope_length_key(rope_of(model_->config, rope), length);
    if (key == rope_keys_[i]) continue;
    const RopeFrequencies frequencies = rope_frequencies(model_->config, length, rope);
    RETORT_CHECK(check(table().set_rope(session_, rope, frequencies.inverse.data(), frequencies.attention_factor), "rotary frequencies"));
    rope_keys_[i] = key;
    changed = true;
  }
  if (!changed || !recomputes_ || position_ == 0) return {};
  const std::vector<TokenId> again = history_;
  rewind(0);
  RETORT_CHECK(forget_last(static_cast<std::int64_t>(again.size()), 0));
  return run_blocks(again, job);
}

Result<void> DeviceSession::run(std::span<const TokenId> tokens, const JobContext& job) {
  RETORT_CHECK(usable());
  RETORT_CHECK(check_run(*model_, options_.context, position_, tokens));
  RETORT_CHECK(forget_last(static_cast<std::int64_t>(tokens.size()), 0));
  RETORT_CHECK(use_frequencies(position_ + static_cast<std::int64_t>(tokens.size()), job));
  return run_blocks(tokens, job);
}

// A run happens whole or not at all; stopping is looked for between passes.
Result<void> DeviceSession::run_blocks(std::span<const TokenId> tokens, const JobContext& job) {
  const std::int64_t start = position_;
  hidden_rows_ = head_rows_ = 0;
  fetched_ = false;
  while (!tokens.empty()) {
    const std::span<const TokenId> block = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(rows_)));
    retort_pass pass{};
    pass.size = sizeof pass;
    pass.rows = static_cast<std::int32_t>(block.size());
    pass.tokens = block.data();
    pass.start = position_;
    pass.hidden_row = position_ - start;
    Result<void> done = job.stopped() ? Result<void>(Error{.code = ErrorCode::kCanceled, .place = device_->name})
                                      : check(table().run(session_, &pass), "results");
    if (!done) {
      rewind(start);
      return done;
    }
    position_ += pass.rows;
    if (recomputes_) history_.insert(history_.end(), block.begin(), block.end());
    tokens = tokens.subspan(block.size());
  }
  hidden_rows_ = head_rows_ = position_ - start;
  return {};
}

Result<void> DeviceSession::encode(const EncoderBatch& batch, const JobContext& job) {
  RETORT_CHECK(usable());
  RETORT_CHECK(check_encode(*model_, rows_, batch));
  const std::size_t sequences = batch.lengths.size();
  RETORT_CHECK(forget_last(static_cast<std::int64_t>(batch.tokens.size()), pools_ ? static_cast<std::int64_t>(sequences) : 0));
  RETORT_CHECK(use_frequencies(options_.context, job));
  std::size_t token = 0;
  std::vector<std::int32_t> lengths;
  for (std::size_t first = 0, last = 0; first < sequences; first = last) {
    if (job.stopped()) return Error{.code = ErrorCode::kCanceled, .place = device_->name};
    std::int64_t rows = 0;
    lengths.clear();
    while (last < sequences && rows + batch.lengths[last] <= rows_) {
      lengths.push_back(static_cast<std::int32_t>(batch.lengths[last]));
      rows += batch.lengths[last++];
    }
    retort_pass pass{};
    pass.size = sizeof pass;
    pass.rows = static_cast<std::int32_t>(rows);
    pass.tokens = batch.tokens.data() + token;
    pass.types = batch.types.empty() ? nullptr : batch.types.data() + token;
    pass.positions = batch.positions.data() + token;
    pass.hidden_row = static_cast<std::int64_t>(token);
    pass.sequences = static_cast<std::int32_t>(lengths.size());
    pass.lengths = lengths.data();
    pass.pooled_row = static_cast<std::int64_t>(first);
    RETORT_CHECK(check(table().run(session_, &pass), "results"));
    token += static_cast<std::size_t>(rows);
  }
  hidden_rows_ = static_cast<std::int64_t>(token);
  head_rows_ = pools_ ? static_cast<std::int64_t>(sequences) : hidden_rows_;
  return {};
}

std::span<const float> DeviceSession::hidden() const {
  if (!fetched_) {
    hidden_.resize(static_cast<std::size_t>(hidden_rows_ * model_->config.hidden));
    if (hidden_rows_ > 0 && (failed_ || table().hidden(session_, 0, hidden_rows_, hidden_.data()) != RETORT_OK)) hidden_.clear();
    fetched_ = true;
  }
  return hidden_;
}

Result<std::span<const float>> DeviceSession::logits(std::int64_t first, std::int64_t count) {
  RETORT_CHECK(usable());
  RETORT_CHECK(check_logits(*model_, head_rows_, first, count));
  const std::size_t numbers = static_cast<std::size_t>(count * model_->graph.outputs());
  if (logits_.size() < numbers * sizeof(float)) {
    RETORT_TRY(logits_, AlignedBuffer::allocate(numbers * sizeof(float), "logits"));
  }
  if (count > 0) RETORT_CHECK(check(table().head(session_, nullptr, first, count, logits_.as<float>()), "logits"));
  return std::span<const float>{logits_.as<float>(), numbers};
}

Result<Likeliest> DeviceSession::likeliest(std::int64_t row) {
  RETORT_CHECK(usable());
  RETORT_CHECK(check_logits(*model_, head_rows_, row, 1));
  std::int32_t id = -1;
  float value = 0;
  double log_sum = 0;
  RETORT_CHECK(check(table().top(session_, row, 1, &id, &value, &log_sum), "the likeliest token"));
  return likeliest_of(id, value, log_sum);
}

Result<void> DeviceSession::can_draw() const {
  if (model_->graph.outputs() <= most_drawn_from_) return {};
  return Error{.code = ErrorCode::kUnsupported, .place = fmt::format("sampling on {}", device_->name),
               .expected = most_drawn_from_ == 0 ? std::string("a device that samples") : fmt::format("at most {} outputs", most_drawn_from_),
               .found = most_drawn_from_ == 0 ? std::string("one that only tells the likeliest") : std::to_string(model_->graph.outputs()),
               .next_step = "use --temperature 0, or compute with --backend cpu"};
}

Result<Likeliest> DeviceSession::draw(std::int64_t row, const Drawing& how) {
  RETORT_CHECK(usable());
  RETORT_CHECK(can_draw());
  RETORT_CHECK(check_logits(*model_, head_rows_, row, 1));
  retort_drawing drawing = sized<retort_drawing>();
  drawing.temperature = how.temperature;
  drawing.top_p = how.top_p;
  drawing.uniform = how.uniform;
  std::int32_t id = -1;
  float value = 0;
  double log_sum = 0;
  RETORT_CHECK(check(table().sample(session_, row, &drawing, &id, &value, &log_sum), "a sampled token"));
  return likeliest_of(id, value, log_sum);
}

Result<void> DeviceSession::head(std::span<const float> hidden_rows, std::span<float> out) {
  RETORT_CHECK(usable());
  RETORT_TRY(const std::int64_t rows, check_head(*model_, hidden_rows, out));
  if (rows == 0) return {};
  return check(table().head(session_, hidden_rows.data(), 0, rows, out.data()), "logits");
}

void DeviceSession::rewind(std::int64_t position) {
  position_ = std::clamp<std::int64_t>(position, 0, position_);
  if (static_cast<std::size_t>(position_) < history_.size()) history_.resize(static_cast<std::size_t>(position_));
}

MemoryByPart DeviceSession::memory() const noexcept { return memory_; }

}  // namespace retort
