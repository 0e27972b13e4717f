#include "kernels/cuda/session.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace retort::cuda {
namespace {

std::uint64_t unsigned_of(std::int64_t v) { return static_cast<std::uint64_t>(v); }

}  // namespace

retort_status Model::upload(std::int32_t index, const void* data, std::uint64_t given) {
  if (index < 0 || unsigned_of(index) >= weights.size()) return fail(RETORT_BAD_ARGUMENT, "a weight that the model doesn't have");
  DeviceWeight& weight = weights[static_cast<std::size_t>(index)];
  const retort_weight& info = weight.info;
  const std::string& name = weight.name;
  if (info.uses == 0 || given != info.bytes) return fail(RETORT_BAD_ARGUMENT, "'" + name + "': bytes that don't fit its shape");
  const std::uint64_t size = weight_bytes(info);
  Memory memory;
  if (const retort_status s = memory.allocate(size, ("'" + name + "'").c_str())) return s;
  Stream& stream = device->stream;
  if (info.uses & RETORT_USE_VECTOR) {
    if (const retort_status s = stream.copy_in(memory.data(), data, size)) return s;
    weight.vector = memory.as<float>();
  } else {
    const Type type = *find_type(info.type);
    const MatrixBytes whole = matrix_bytes(type, info.rows, info.columns), row = matrix_bytes(type, 1, info.columns);
    const std::uint64_t stored = stored_bytes(type, 1, info.columns);
    // A few megabytes of rows at a time through the host's memory.
    const std::int64_t rows = std::max<std::int64_t>(1, std::min<std::int64_t>(info.rows, (std::int64_t{4} << 20) / static_cast<std::int64_t>(row.body)));
    std::vector<unsigned char> body(row.body * unsigned_of(rows)), scales(row.scales * unsigned_of(rows));
    for (std::int64_t r = 0; r < info.rows; r += rows) {
      const std::int64_t now = std::min(rows, info.rows - r);
      split_rows(type, static_cast<const unsigned char*>(data) + unsigned_of(r) * stored, now, info.columns, body.data(), scales.data());
      if (const retort_status s = stream.copy_in(memory.as<unsigned char>(unsigned_of(r) * row.body), body.data(), row.body * unsigned_of(now))) return s;
      if (!scales.empty())
        if (const retort_status s = stream.copy_in(memory.as<unsigned char>(whole.body + unsigned_of(r) * row.scales), scales.data(), row.scales * unsigned_of(now)))
          return s;
    }
    weight.matrix = {memory.as<unsigned char>(), whole.scales ? memory.as<std::uint16_t>(whole.body) : nullptr, static_cast<std::int32_t>(info.rows),
                     static_cast<std::int32_t>(info.columns), static_cast<std::int32_t>(divide_up(info.columns, layout_of(type).block)), type};
  }
  if (const retort_status s = stream.wait()) return s;
  if (!weight.memory.data()) this->bytes += size;
  weight.memory = std::move(memory);
  return RETORT_OK;
}

Session::Session(Model& model, const retort_plan& plan)
    : model_(model), plan_(plan), steps_(plan.steps, plan.steps + plan.step_count),
      head_steps_(plan.head_steps, plan.head_steps + plan.head_step_count), linears_(plan.linears, plan.linears + plan.linear_count),
      ropes_(plan.ropes, plan.ropes + plan.rope_count), sizes_(session_sizes(plan)) {
  for (std::vector<retort_step>* steps : {&steps_, &head_steps_})
    for (retort_step& step : *steps) step.name = nullptr;   // the host's
}

retort_status Session::open() {
  for (const DeviceWeight& weight : model_.weights)
    if (weight.info.uses != 0 && !weight.memory.data())
      return fail(RETORT_BAD_ARGUMENT, "'" + weight.name + "' hasn't been uploaded");
  const struct { Memory& memory; std::uint64_t bytes; const char* what; } pieces[] = {
      {keys_, sizes_.cache, "cached keys"},        {values_, sizes_.cache, "cached values"},
      {arena_, sizes_.arena, "work space"},        {hidden_, sizes_.hidden, "hidden states"},
      {pooled_, sizes_.pooled, "pooled rows"},     {output_, sizes_.output, "outputs"},
      {head_input_, sizes_.head_input, "the head's rows"}, {rounded_, sizes_.rounded, "rounded activations"},
      {partial_, sizes_.partial, "attention"},     {state_memory_, sizes_.state, "ids"},
      {rope_memory_, sizes_.ropes, "rotations"},   {top_memory_, sizes_.top, "the greatest outputs"},
      {sample_memory_, sizes_.sample, "sampling"}};
  for (const auto& piece : pieces)
    if (const retort_status s = piece.memory.allocate(piece.bytes, piece.what)) return s;
  hidden_rows_ = plan_.batch;
  pooled_rows_ = plan_.pool >= 0 ? plan_.batch : 0;
  auto* const first = state_memory_.as<std::int32_t>();
  const std::int64_t batch = plan_.batch;
  // start, then the first token, so that a decode step copies one piece.
  state_ = {first, first + 1, first + 1 + batch, first + 1 + 2 * batch, first + 1 + 3 * batch, first + 1 + 4 * batch, first + 1 + 5 * batch};
  if (const retort_status s = stream().clear(state_.types, unsigned_of(batch) * 4)) return s;
  std::uint64_t offset = 0;
  for (const retort_rope& rope : ropes_) {
    rope_offsets_.push_back(offset);
    offset += unsigned_of(round_up(rope.half + 1, 64));
  }
  return RETORT_OK;
}

retort_status Session::set_rope(std::int32_t rope, const float* inverse, float factor) {
  if (rope < 0 || unsigned_of(rope) >= ropes_.size()) return fail(RETORT_BAD_ARGUMENT, "a rotation that the plan doesn't have");
  const std::size_t half = static_cast<std::size_t>(ropes_[static_cast<std::size_t>(rope)].half);
  std::vector<float> table(inverse, inverse + half);
  table.push_back(factor);
  if (const retort_status s = stream().copy_in(rope_memory_.as<float>() + rope_offsets_[static_cast<std::size_t>(rope)], table.data(), table.size() * 4)) return s;
  return stream().wait();
}

retort_status Session::reserve(std::int64_t hidden_rows, std::int64_t pooled_rows) {
  const std::uint64_t row = unsigned_of(plan_.hidden) * 4;
  if (hidden_rows > hidden_rows_) {
    if (hidden_rows > std::int64_t{1} << 40) return fail(RETORT_BAD_ARGUMENT, "room for too many hidden states");
    if (const retort_status s = hidden_.allocate(unsigned_of(hidden_rows) * row, "hidden states")) return s;
    hidden_rows_ = hidden_rows;
    for (Replay* replay : {&decode_step_, &greedy_choice_, &drawing_}) replay->graph.reset();   // they hold the old address
  }
  if (plan_.pool >= 0 && pooled_rows > pooled_rows_) {
    if (pooled_rows > std::int64_t{1} << 40) return fail(RETORT_BAD_ARGUMENT, "room for too many pooled rows");
    if (const retort_status s = pooled_.allocate(unsigned_of(pooled_rows) * row, "pooled rows")) return s;
    pooled_rows_ = pooled_rows;
  }
  return RETORT_OK;
}

retort_status Session::check_pass(const retort_pass& pass) const {
  if (pass.size != sizeof(retort_pass)) return fail(RETORT_BAD_ARGUMENT, "a pass of another version");
  if (pass.rows < 1 || pass.rows > plan_.batch || !pass.tokens) return fail(RETORT_BAD_ARGUMENT, "a pass has 1 to batch rows");
  if (pass.hidden_row < 0 || pass.hidden_row + pass.rows > hidden_rows_) return fail(RETORT_BAD_ARGUMENT, "hidden states beyond what is reserved");
  if (plan_.causal) {
    if (pass.start < 0 || pass.start + pass.rows > plan_.context) return fail(RETORT_BAD_ARGUMENT, "positions beyond the context");
    return RETORT_OK;
  }
  std::int64_t rows = 0;
  for (std::int32_t i = 0; i < pass.sequences && pass.lengths; ++i) {
    if (pass.lengths[i] < 1) return fail(RETORT_BAD_ARGUMENT, "an empty sequence");
    rows += pass.lengths[i];
  }
  if (rows != pass.rows || !pass.positions) return fail(RETORT_BAD_ARGUMENT, "sequences that don't make up the rows, or rows without positions");
  if (plan_.pool >= 0 && (pass.pooled_row < 0 || pass.pooled_row + pass.sequences > pooled_rows_))
    return fail(RETORT_BAD_ARGUMENT, "pooled rows beyond what is reserved");
  return RETORT_OK;
}

// Copies the pieces that this pass has; a step of one token: eight bytes.
retort_status Session::put_state(const retort_pass& pass) {
  const std::size_t batch = static_cast<std::size_t>(plan_.batch), rows = static_cast<std::size_t>(pass.rows);
  const auto put = [&](std::int32_t* to, const std::int32_t* from, std::size_t count) {
    return stream().copy_in(to, from, count * 4);
  };
  staged_.assign(1 + rows, static_cast<std::int32_t>(pass.start));
  std::copy_n(pass.tokens, rows, staged_.begin() + 1);
  if (const retort_status s = put(state_.start, staged_.data(), 1 + rows)) return s;
  if (pass.types || typed_) {
    staged_.assign(batch, 0);
    if (pass.types) std::copy_n(pass.types, rows, staged_.begin());
    if (const retort_status s = put(state_.types, staged_.data(), batch)) return s;
    typed_ = pass.types != nullptr;
  }
  if (plan_.causal) return RETORT_OK;
  if (const retort_status s = put(state_.positions, pass.positions, rows)) return s;
  staged_.assign(2 * batch, 0);
  std::vector<std::int32_t> begins{0};
  std::size_t row = 0;
  for (std::int32_t i = 0; i < pass.sequences; ++i) {
    const std::int32_t begin = static_cast<std::int32_t>(row), end = begin + pass.lengths[i];
    for (; row < static_cast<std::size_t>(end); ++row) {
      staged_[row] = begin;
      staged_[batch + row] = end;
    }
    begins.push_back(end);
  }
  if (const retort_status s = put(state_.begins, staged_.data(), 2 * batch)) return s;
  return put(state_.sequences, begins.data(), begins.size());
}

retort_status Session::run(const retort_pass& pass) {
  if (const retort_status s = check_pass(pass)) return s;
  if (const retort_status s = put_state(pass)) return s;
  const Frame frame{pass.rows, hidden_.as<float>() + pass.hidden_row * plan_.hidden, nullptr, !plan_.causal};
  const bool step = decodes(pass.hidden_row) && pass.rows == 1 && !pass.types;
  if (const retort_status s = play(decode_step_, step, [&] { run_body(frame); })) return s;
  written_rows_ = pass.hidden_row + pass.rows;
  if (plan_.pool >= 0) {
    launch_pool(stream(), {static_cast<PoolKind>(plan_.pool), frame.hidden, state_.sequences, pooled_.as<float>() + pass.pooled_row * plan_.hidden, plan_.hidden},
                pass.sequences);
    written_rows_ = pass.pooled_row + pass.sequences;
  }
  return stream().wait();
}

void Session::run_body(const Frame& frame) {
  for (const retort_step& step : steps_) execute(step, frame);
}

template <class Work>
retort_status Session::play(Replay& replay, bool same, Work&& work) {
  if (!same || !replay.warm) {
    work();
    replay.warm = replay.warm || same;
    return RETORT_OK;
  }
  if (!replay.graph) {
    if (const retort_status s = stream().record()) return s;
    work();
    if (const retort_status s = stream().finish_record(replay.graph)) return s;
  }
  return stream().play(*replay.graph);
}

retort_status Session::check_rows(std::int64_t first, std::int64_t count) const {
  if (first < 0 || count < 0 || first + count > written_rows_) return fail(RETORT_BAD_ARGUMENT, "rows that the last run didn't make");
  return RETORT_OK;
}

retort_status Session::hidden(std::int64_t first, std::int64_t count, float* out) {
  if (first < 0 || count < 0 || first + count > hidden_rows_) return fail(RETORT_BAD_ARGUMENT, "hidden states that aren't there");
  return stream().copy_out(out, hidden_.as<float>() + first * plan_.hidden, unsigned_of(count * plan_.hidden) * 4);
}

void Session::head_pass(const float* rows, std::int32_t count) {
  // The head only reads its rows.
  const Frame frame{count, const_cast<float*>(rows), output_.as<float>(), false};
  if (head_steps_.empty()) {
    ElementArgs copy{};
    copy.op = ElementOp::kCopy;
    copy.a = rows;
    copy.out = frame.output;
    copy.count = std::int64_t{count} * plan_.hidden;
    copy.width = plan_.hidden;
    launch_element(stream(), copy);
  }
  for (const retort_step& step : head_steps_) execute(step, frame);
}

retort_status Session::head(const float* rows, std::int64_t first, std::int64_t count, float* out) {
  if (plan_.outputs == 0) return fail(RETORT_UNSUPPORTED, "this model has no head");
  if (count < 0) return fail(RETORT_BAD_ARGUMENT, "rows that aren't there");
  if (!rows)
    if (const retort_status s = check_rows(first, count)) return s;
  const std::int64_t most = head_rows(plan_);
  const float* const source = head_row(first);
  for (std::int64_t r = 0; r < count; r += most) {
    const std::int64_t now = std::min(most, count - r);
    const float* from = source + r * plan_.hidden;
    if (rows) {
      if (const retort_status s = stream().copy_in(head_input_.data(), rows + r * plan_.hidden, unsigned_of(now * plan_.hidden) * 4)) return s;
      from = head_input_.as<float>();
    }
    head_pass(from, static_cast<std::int32_t>(now));
    if (const retort_status s = stream().copy_out(out + r * plan_.outputs, output_.data(), unsigned_of(now * plan_.outputs) * 4)) return s;
  }
  return RETORT_OK;
}

retort_status Session::top(std::int64_t row, std::int32_t count, std::int32_t* ids, float* values, double* log_sum) {
  if (plan_.outputs == 0) return fail(RETORT_UNSUPPORTED, "this model has no head");
  if (const retort_status s = check_rows(row, 1)) return s;
  if (count < 1 || count > std::min(plan_.outputs, kLargestTop)) return fail(RETORT_BAD_ARGUMENT, "1 to 1024 of the outputs");
  // log Σ exp, then ids, then values.
  auto* const sum = top_memory_.as<double>();
  auto* const found = top_memory_.as<std::int32_t>(sizeof(double));
  const retort_status played = play(greedy_choice_, decodes(row) && count == 1, [&] {
    head_pass(head_row(row), 1);
    launch_top(stream(), {output_.as<float>(), plan_.outputs, count, found, reinterpret_cast<float*>(found + count), sum});
  });
  if (played) return played;
  std::vector<unsigned char> bytes(sizeof(double) + static_cast<std::size_t>(count) * 8);
  if (const retort_status s = stream().copy_out(bytes.data(), top_memory_.data(), bytes.size())) return s;
  std::memcpy(log_sum, bytes.data(), sizeof(double));
  std::memcpy(ids, bytes.data() + sizeof(double), static_cast<std::size_t>(count) * 4);
  std::memcpy(values, bytes.data() + sizeof(double) + static_cast<std::size_t>(count) * 4, static_cast<std::size_t>(count) * 4);
  return RETORT_OK;
}

retort_status Session::sample(std::int64_t row, const retort_drawing& how, std::int32_t* id, float* value, double* log_sum) {
  if (plan_.outputs == 0) return fail(RETORT_UNSUPPORTED, "this model has no head");
  if (plan_.outputs > kLargestSampled)
    return fail(RETORT_UNSUPPORTED, "sampling from " + std::to_string(plan_.outputs) + " outputs; at most " + std::to_string(kLargestSampled));
  if (const retort_status s = check_rows(row, 1)) return s;
  const bool sane = how.size == sizeof(how) && how.temperature > 0 && how.temperature < INFINITY && how.top_p > 0 && how.top_p <= 1 &&
                    how.uniform >= 0 && how.uniform < 1;
  if (!sane) return fail(RETORT_BAD_ARGUMENT, "a temperature above 0, top_p above 0 and at most 1, a number of [0, 1)");
  auto* const state = sample_memory_.as<SampleState>();
  const Drawing drawing{how.temperature, how.top_p, how.uniform};
  if (const retort_status s = stream().copy_in(&state->how, &drawing, sizeof(drawing))) return s;
  const retort_status played = play(drawing_, decodes(row), [&] {
    head_pass(head_row(row), 1);
    launch_sample(stream(), {output_.as<float>(), plan_.outputs, 0, state, sample_memory_.as<double>(kSampleState)});
  });
  if (played) return played;
  Drawn drawn{};
  if (const retort_status s = stream().copy_out(&drawn, &state->drawn, sizeof(drawn))) return s;
  *id = drawn.id;
  *value = drawn.value;
  *log_sum = drawn.log_sum;
  return RETORT_OK;
}

void Session::memory(retort_memory& out) const {
  out.weights = model_.bytes;
  out.kv_cache = keys_.bytes() + values_.bytes();
  out.work_space = arena_.bytes() + hidden_.bytes() + pooled_.bytes() + output_.bytes() + head_input_.bytes() + rounded_.bytes() +
                   partial_.bytes() + state_memory_.bytes() + rope_memory_.bytes() + top_memory_.bytes() + sample_memory_.bytes();
}

}  // namespace retort::cuda
