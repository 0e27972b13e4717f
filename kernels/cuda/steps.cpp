// The steps of a plan: each becomes one or a few launches.
#include <algorithm>

#include "kernels/cuda/session.h"

namespace retort::cuda {

float* Session::at(const retort_value& value, const Frame& frame) const {
  switch (value.place) {
    case RETORT_PLACE_ARENA: return arena_.as<float>() + value.offset * plan_.batch;
    case RETORT_PLACE_HIDDEN: return frame.hidden;
    case RETORT_PLACE_OUTPUT: return frame.output;
    default: return nullptr;
  }
}

void Session::execute(const retort_step& step, const Frame& frame) {
  switch (step.kind) {
    case RETORT_STEP_EMBEDDING: return embed(step, frame);
    case RETORT_STEP_NORM: return normalize(step, frame, false);
    case RETORT_STEP_ADD_NORM: return normalize(step, frame, true);
    case RETORT_STEP_LINEARS: return linears(step, frame);
    case RETORT_STEP_ATTENTION: return attend(step, frame);
    default: return element(step, frame);   // ADD, GATE, ELEMENT; check_plan() lets nothing else pass
  }
}

void Session::embed(const retort_step& step, const Frame& frame) {
  EmbedArgs a{};
  a.table = matrix(step.weight);
  a.lookup = step.lookup == RETORT_LOOKUP_TOKEN ? Table::kToken : step.lookup == RETORT_LOOKUP_TYPE ? Table::kType : Table::kPosition;
  a.tokens = {state_.tokens, state_.types, frame.encoder ? state_.positions : nullptr, state_.start};
  a.position_offset = static_cast<std::int32_t>(plan_.position_offset);
  a.out = at(step.out, frame);
  launch_embed(stream(), a, frame.rows);
}

void Session::normalize(const retort_step& step, const Frame& frame, bool add) {
  NormArgs a{};
  a.a = at(step.a, frame);
  a.b = add ? at(step.b, frame) : nullptr;
  a.sum = add ? at(step.sum, frame) : nullptr;
  a.out = at(step.out, frame);
  a.weight = vector(step.weight);
  a.bias = vector(step.bias);
  a.width = step.out.width;
  a.groups = step.groups;
  a.own_weights = step.own_weights;
  a.mean = step.norm == RETORT_NORM_LAYER;
  a.epsilon = step.epsilon;
  a.offset = step.weight_offset;
  launch_norm(stream(), a, frame.rows);
}

// Neighbours of one type go together, as many as one launch takes.
void Session::linears(const retort_step& step, const Frame& frame) {
  LinearJob job{};
  job.x = at(step.a, frame);
  job.tokens = frame.rows;
  job.columns = step.a.width;
  job.rounded = rounded_.as<std::uint16_t>();
  job.two_terms = two_terms(plan_);
  job.scales = rounded_.as<float>(static_cast<std::uint64_t>(plan_.batch) * rounded_row_bytes(plan_));
  job.multiprocessors = device().multiprocessors;
  for (std::int32_t i = 0; i < step.linears; ++i) {
    const retort_linear& linear = linears_[static_cast<std::size_t>(step.first_linear + i)];
    const Matrix& w = matrix(linear.weight);
    if (job.count > 0 && (job.count == kMostTargets || w.type != job.type)) {
      launch_linears(stream(), job);
      job.count = 0;
    }
    job.type = w.type;
    job.targets[job.count++] = {w, vector(linear.bias), at(linear.out, frame)};
  }
  launch_linears(stream(), job);
}

RotaryTable Session::rotary(std::int32_t rope) const {
  if (rope < 0) return {};
  const std::size_t i = static_cast<std::size_t>(rope);
  const float* const table = rope_memory_.as<float>() + rope_offsets_[i];
  return {table, table + ropes_[i].half, ropes_[i].half, ropes_[i].interleaved};
}

void Session::attend(const retort_step& step, const Frame& frame) {
  const bool half = plan_.kv_type == RETORT_KV_F16;
  const std::int64_t layer = plan_.context * plan_.kv_heads * plan_.head_dim * (half ? 2 : 4) * step.layer;
  RotateArgs r{};
  r.q = at(step.a, frame);
  r.k = at(step.b, frame);
  r.v = at(step.c, frame);
  if (step.causal) {
    r.key_cache = keys_.as<unsigned char>(static_cast<std::uint64_t>(layer));
    r.value_cache = values_.as<unsigned char>(static_cast<std::uint64_t>(layer));
  }
  r.start = state_.start;
  r.positions = frame.encoder ? state_.positions : nullptr;
  r.query = rotary(step.query_rope);
  r.key = rotary(step.key_rope);
  r.heads = step.heads;
  r.kv_heads = step.kv_heads;
  r.head_dim = step.head_dim;
  r.cache_f16 = half;
  if (step.causal || r.query.inverse || r.key.inverse) launch_rotate(stream(), r, frame.rows);

  AttendArgs a{};
  a.q = r.q;
  a.keys = step.causal ? r.key_cache : r.k;
  a.values = step.causal ? r.value_cache : r.v;
  a.out = at(step.out, frame);
  a.partial = step.causal ? partial_.as<float>() : nullptr;
  a.start = state_.start;
  a.begins = step.causal ? nullptr : state_.begins;
  a.ends = state_.ends;
  a.bias = vector(step.relative_bias);
  a.bias_stride = static_cast<std::int32_t>(2 * plan_.batch - 1);
  a.bias_zero = static_cast<std::int32_t>(plan_.batch - 1);
  a.heads = step.heads;
  a.kv_heads = step.kv_heads;
  a.head_dim = step.head_dim;
  a.window = step.window;
  a.scale = step.scale;
  a.soft_cap = step.soft_cap;
  launch_attend(stream(), a, step.causal && half, frame.rows, step.causal ? plan_.context : plan_.batch);
}

void Session::element(const retort_step& step, const Frame& frame) {
  const bool adds = step.kind == RETORT_STEP_ADD;
  const retort_value& result = adds ? step.sum : step.out;
  if (step.kind == RETORT_STEP_ELEMENT && step.element == RETORT_ELEMENT_NORMALIZE)
    return launch_normalize(stream(), {at(step.a, frame), at(step.out, frame), step.out.width}, frame.rows);
  ElementArgs a{};
  a.a = at(step.a, frame);
  a.b = at(step.b, frame);
  a.out = at(result, frame);
  a.width = result.width;
  a.count = std::int64_t{frame.rows} * result.width;
  a.a_width = step.a.width;
  a.b_width = step.b.width;
  a.scale = step.scale;
  a.function = static_cast<Function>(step.activation);
  a.slice_first = static_cast<std::int32_t>(step.slice_first);
  a.slice_count = static_cast<std::int32_t>(step.slice_count);
  a.slice_period = static_cast<std::int32_t>(step.slice_period);
  if (adds) a.op = ElementOp::kAdd;
  else if (step.kind == RETORT_STEP_GATE) a.op = ElementOp::kGate;
  else
    switch (step.element) {
      case RETORT_ELEMENT_MULTIPLY: a.op = ElementOp::kMultiply; break;
      case RETORT_ELEMENT_SCALE: a.op = ElementOp::kScale; break;
      case RETORT_ELEMENT_SOFT_CAP: a.op = ElementOp::kSoftCap; break;
      case RETORT_ELEMENT_ACTIVATION: a.op = ElementOp::kActivation; break;
      default: a.op = ElementOp::kSlice; break;
    }
  launch_element(stream(), a);
}

}  // namespace retort::cuda
