#include "core/distill/train_session.h"

#include <algorithm>
#include <cstring>

#include "core/distill/op_rules.h"
#include "core/model/rope.h"

namespace retort::distill {

Result<std::unique_ptr<TrainSession>> TrainSession::make(const Graph& graph, const ModelConfig& config, Parameters& parameters,
                                                         TrainPlanOptions options, kernels::ThreadPool& pool) {
  const kernels::MatmulKernel* const kernel = kernels::matmul_kernel({}, options.compute);
  if (!kernels::ops() || !kernels::train_ops() || !kernel)
    return Error{.code = ErrorCode::kUnsupported, .place = "RETORT_KERNEL", .expected = "kernels that this processor has",
                 .found = std::string(kernels::forced_by_environment())};
  if (options.trainable.empty())
    for (std::size_t id = 0; id < graph.weights.size(); ++id) options.trainable.push_back(parameters[id].trainable);
  RETORT_TRY(TrainPlan plan, make_train_plan(graph, options));
  std::unique_ptr<TrainSession> session(new TrainSession(graph, config, parameters, std::move(plan), *kernel, pool));
  session->run_.padding = options.padding;
  session->run_.rounded = &session->rounded_;
  RETORT_TRY(session->matmul_scratch_,
             AlignedBuffer::allocate(static_cast<std::size_t>(pool.threads()) * kernels::kMatmulScratch * sizeof(float), "work space"));
  session->run_.matmul_scratch = session->matmul_scratch_.as<float>();
  return session;
}

Result<void> TrainSession::check(const Batch& batch) const {
  if (batch.ids.empty())
    return Error{.code = ErrorCode::kBadArgument, .place = "batch", .expected = "at least one token", .found = "none"};
  for (const TokenId id : batch.ids)
    if (id < 0 || id >= run_.config.vocabulary)
      return Error{.code = ErrorCode::kBadArgument, .place = "batch",
                   .expected = "ids below " + std::to_string(run_.config.vocabulary), .found = std::to_string(id)};
  const std::int64_t learned = run_.config.positions > 0 ? run_.config.positions - run_.config.position_offset : 0;
  const std::int64_t most = learned > 0 ? learned : run_.config.context;
  for (const std::int32_t type : batch.types)
    if (type < 0 || (run_.config.token_types > 0 && type >= run_.config.token_types))
      return Error{.code = ErrorCode::kBadArgument, .place = "batch", .expected = "token types that the model has", .found = std::to_string(type)};
  for (const std::int32_t position : batch.positions)
    if (position < 0 || (most > 0 && position >= most))
      return Error{.code = ErrorCode::kBadArgument, .place = "batch", .expected = "at most " + std::to_string(most) + " tokens",
                   .found = "position " + std::to_string(position), .next_step = "train with a smaller context"};
  return {};
}

// Room for this batch; kept for smaller ones.
Result<void> TrainSession::make_room(const Batch& batch) {
  if (batch.tokens() > room_tokens_ || batch.sequences() > room_sequences_) {
    room_tokens_ = std::max(room_tokens_, batch.tokens());
    room_sequences_ = std::max(room_sequences_, batch.sequences());
    offsets_ = lay_out(plan_, room_tokens_, room_sequences_);
    arena_ = AlignedBuffer();
    RETORT_TRY(arena_, AlignedBuffer::allocate(offsets_.back() * sizeof(float), "activations"));
    run_.arena = arena_.as<float>();
    run_.offsets = offsets_.data();
  }
  if (batch.longest() > room_longest_ || scratch_.size() == 0) {
    room_longest_ = std::max(room_longest_, batch.longest());
    std::int64_t widest = 0;
    for (const PlanBuffer& buffer : plan_.buffers) widest = std::max(widest, buffer.width);
    run_.worker_floats = worker_scratch_floats(room_longest_, widest);
    scratch_ = AlignedBuffer();
    RETORT_TRY(scratch_, AlignedBuffer::allocate(static_cast<std::size_t>(run_.pool.threads()) * run_.worker_floats * sizeof(float), "work space"));
    run_.worker_scratch = scratch_.as<float>();
  }
  const std::int64_t rows = *std::max_element(batch.positions.begin(), batch.positions.end()) + 1;
  const bool rotates = std::any_of(run_.graph.nodes.begin(), run_.graph.nodes.end(), [](const Node& n) { return n.op == Op::kRope; });
  if (rotates && rows > table_rows_) {
    for (std::int32_t rope = 0; rope < 2; ++rope) {
      if (rope == 1 && !run_.config.local_rope) continue;
      const RopeFrequencies frequencies = rope_frequencies(run_.config, rows, rope);
      const std::size_t half = frequencies.inverse.size();
      RopeTable& table = rope_[static_cast<std::size_t>(rope)];
      table.rotary = static_cast<std::int64_t>(2 * half);
      table.cosine.resize(static_cast<std::size_t>(rows) * half);
      table.sine.resize(table.cosine.size());
      for (std::int64_t p = 0; p < rows; ++p)
        rope_row(frequencies, p, std::span(table.cosine).subspan(static_cast<std::size_t>(p) * half, half),
                 std::span(table.sine).subspan(static_cast<std::size_t>(p) * half, half));
      table.minus_sine = table.sine;
      for (float& x : table.minus_sine) x = -x;
    }
    table_rows_ = rows;
    run_.rope = rope_.data();
  }
  return {};
}

Result<void> TrainSession::execute(std::size_t from, std::size_t to, const JobContext& job) {
  for (std::size_t at = from; at < to; ++at) {
    const Instruction& step = plan_.instructions[at];
    if (step.node >= 0 && at % 8 == 0) RETORT_CHECK(job.check(run_.node(step).name));
    switch (step.act) {
      case Act::kForward: rule_of(run_.node(step).op).forward(run_, step); break;
      case Act::kBackward: rule_of(run_.node(step).op).backward(run_, step); break;
      case Act::kCopy: copy(run_, step); break;
      case Act::kAccumulate: accumulate(run_, step); break;
      case Act::kLoss: break;
    }
  }
  return {};
}

Result<void> TrainSession::forward(const Batch& batch, const JobContext& job) {
  RETORT_CHECK(check(batch));
  RETORT_CHECK(make_room(batch));
  batch_ = batch;
  run_.batch = &batch_;
  RETORT_CHECK(execute(0, static_cast<std::size_t>(plan_.loss), job));
  for (const BufferId id : plan_.output_gradients)
    if (id != kNoBuffer) std::memset(run_.buffer(id), 0, run_.floats(id) * sizeof(float));
  return {};
}

std::span<const float> TrainSession::value(std::size_t index) const noexcept {
  const BufferId id = plan_.output_values[index];
  return {run_.buffer(id), run_.floats(id)};
}

std::span<float> TrainSession::gradient(std::size_t index) noexcept {
  const BufferId id = plan_.output_gradients[index];
  if (id == kNoBuffer) return {};
  return {run_.buffer(id), run_.floats(id)};
}

Result<void> TrainSession::backward(const JobContext& job) {
  return execute(static_cast<std::size_t>(plan_.loss) + 1, plan_.instructions.size(), job);
}

}  // namespace retort::distill
