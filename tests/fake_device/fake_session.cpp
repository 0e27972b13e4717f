// The executor of a plan, step by step as kernels/api/device_plugin.h describes each, with the reference kernels.
#include "fake_session.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/api/half.h"
#include "kernels/api/tensor_type.h"

namespace kernels = retort::kernels;

namespace {

const kernels::Ops& ops() { return *kernels::ops("reference"); }
std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }

kernels::AttentionArgs attention_args(const retort_plan& plan) {
  kernels::AttentionArgs args{};
  args.cache_f16 = plan.kv_type == RETORT_KV_F16;
  args.tokens = plan.batch;
  args.past = plan.context;
  args.kv_heads = plan.kv_heads;
  args.head_dim = plan.head_dim;
  args.group = 64;   // room for any grouping
  return args;
}

void pool_rows(std::int32_t pool, const float* rows, std::int64_t count, std::int64_t width, float* out) {
  for (std::int64_t i = 0; i < width; ++i) {
    double sum = 0;
    float greatest = rows[i];
    for (std::int64_t r = 0; r < count; ++r) {
      sum += static_cast<double>(rows[r * width + i]);
      greatest = std::max(greatest, rows[r * width + i]);
    }
    const double n = static_cast<double>(count);
    switch (pool) {
      case RETORT_POOL_FIRST: out[i] = rows[i]; break;
      case RETORT_POOL_LAST: out[i] = rows[(count - 1) * width + i]; break;
      case RETORT_POOL_MEAN: out[i] = static_cast<float>(sum / n); break;
      case RETORT_POOL_MAX: out[i] = greatest; break;
      default: out[i] = static_cast<float>(sum / std::sqrt(n)); break;
    }
  }
}

}  // namespace

retort_session::retort_session(retort_model* from, const retort_plan& given)
    : model(from), plan(given), steps(given.steps, given.steps + given.step_count),
      head_steps(given.head_steps, given.head_steps + given.head_step_count),
      linear_list(given.linears, given.linears + given.linear_count), ropes(given.ropes, given.ropes + given.rope_count),
      frequencies(size_of(given.rope_count)), bound(model->weights.size()) {
  // Nothing of the caller's is kept: not even names.
  plan.steps = plan.head_steps = nullptr;
  plan.linears = nullptr;
  plan.weights = nullptr;
  plan.ropes = nullptr;
  const kernels::LinearChoice choice{plan.q8_activations ? kernels::Activations::kQ8 : kernels::Activations::kF32, "reference"};
  for (std::size_t i = 0; i < model->weights.size(); ++i) {
    const fake::Weight& weight = model->weights[i];
    if (!(weight.described.uses & RETORT_USE_LINEAR)) continue;
    const char* why = "";
    const kernels::Weight as{kernels::find_ggml_type(weight.described.type)->type, weight.data.data(), nullptr,
                             weight.described.rows, weight.described.columns, nullptr};
    if (!bound[i].bind(as, choice, pool, &why)) fake::say(RETORT_UNSUPPORTED, why);
  }
  arena.resize(size_of(plan.arena_floats * plan.batch));
  kv.resize(size_of(2 * plan.layers * plan.context * plan.kv_heads * plan.head_dim) * (plan.kv_type == RETORT_KV_F16 ? 2 : 4));
  linear_scratch.resize(kernels::linear_scratch_bytes(plan.batch, plan.widest_input, 1) + 64);
  scratch.resize(kernels::attention_scratch_floats(attention_args(plan)));
  reserve(plan.batch, plan.batch);
  model->device->used += memory().kv_cache + memory().work_space;
}

retort_memory retort_session::memory() const {
  return {sizeof(retort_memory), model->bytes, kv.size(),
          4 * size_of(plan.arena_floats * plan.batch + 2 * plan.batch * plan.hidden)};
}

void retort_session::reserve(std::int64_t hidden_rows, std::int64_t pooled_rows) {
  hidden.resize(std::max(hidden.size(), size_of(hidden_rows * plan.hidden)));
  pooled.resize(std::max(pooled.size(), size_of(pooled_rows * plan.hidden)));
}

float* retort_session::at(const retort_value& value, const Frame& frame) {
  switch (value.place) {
    case RETORT_PLACE_ARENA: return arena.data() + value.offset * plan.batch;
    case RETORT_PLACE_HIDDEN: return frame.hidden;
    case RETORT_PLACE_OUTPUT: return frame.out;
    default: return nullptr;
  }
}

const float* retort_session::vector(std::int32_t weight) const {
  return weight < 0 ? nullptr : reinterpret_cast<const float*>(model->weights[size_of(weight)].data.data());
}

retort_status retort_session::run(const retort_pass& pass) {
  if (fake::misbehaves("fail-in-run") && ++passes == 3) return fake::say(RETORT_FAILED, "an illegal memory access was met, on purpose");
  Frame frame{pass.rows, hidden.data() + pass.hidden_row * plan.hidden, nullptr, &pass};
  for (const retort_step& step : steps) execute(step, frame);
  const float* rows = frame.hidden;
  for (std::int32_t s = 0; plan.pool >= 0 && s < pass.sequences; ++s) {
    pool_rows(plan.pool, rows, pass.lengths[s], plan.hidden, pooled.data() + (pass.pooled_row + s) * plan.hidden);
    rows += pass.lengths[s] * plan.hidden;
  }
  return RETORT_OK;
}

void retort_session::head(const float* rows, std::int64_t count, float* out) {
  if (head_steps.empty()) std::memcpy(out, rows, size_of(count * plan.outputs) * sizeof(float));
  for (std::int64_t r = 0; r < count && !head_steps.empty(); r += plan.batch) {
    const Frame frame{std::min(plan.batch, count - r), const_cast<float*>(rows + r * plan.hidden), out + r * plan.outputs, nullptr};
    for (const retort_step& step : head_steps) execute(step, frame);
  }
}

void retort_session::execute(const retort_step& step, const Frame& frame) {
  float *const a = at(step.a, frame), *const b = at(step.b, frame), *const out = at(step.out, frame);
  const std::size_t n = size_of(frame.rows * step.out.width);
  switch (step.kind) {
    case RETORT_STEP_EMBEDDING: embed(step, frame); break;
    case RETORT_STEP_NORM: normalize(step, a, out, frame.rows); break;
    case RETORT_STEP_ADD:
    case RETORT_STEP_ADD_NORM: {
      float* const sum = at(step.sum, frame);
      const std::size_t numbers = size_of(frame.rows * step.sum.width);
      if (sum != a) std::memcpy(sum, a, numbers * sizeof(float));
      ops().add_into(b, sum, numbers);
      if (step.kind == RETORT_STEP_ADD_NORM) normalize(step, sum, out, frame.rows);
      break;
    }
    case RETORT_STEP_LINEARS: linears(step, frame); break;
    case RETORT_STEP_ATTENTION: attend(step, frame); break;
    case RETORT_STEP_GATE:
      if (step.activation == RETORT_ACTIVATION_SILU) {
        ops().silu_gate(a, b, out, n);
        break;
      }
      ops().activate(static_cast<kernels::Activation>(step.activation), a, out, n);
      ops().multiply_into(b, out, n);
      break;
    case RETORT_STEP_ELEMENT: element(step, frame); break;
    default: break;   // mixtures are refused by capabilities()
  }
}

void retort_session::embed(const retort_step& step, const Frame& frame) {
  const fake::Weight& table = model->weights[size_of(step.weight)];
  const kernels::TypeTraits& type = *kernels::find_ggml_type(table.described.type);
  const std::size_t columns = size_of(table.described.columns), row_bytes = kernels::row_bytes(type.type, columns);
  for (std::int64_t r = 0; r < frame.rows; ++r) {
    const retort_pass& pass = *frame.pass;
    std::int64_t row = 0;
    if (step.lookup == RETORT_LOOKUP_TOKEN) row = pass.tokens[r];
    else if (step.lookup == RETORT_LOOKUP_TYPE) row = pass.types ? pass.types[r] : 0;
    else row = pass.positions ? pass.positions[r] : pass.start + r + plan.position_offset;
    type.decode(table.data.data() + size_of(row) * row_bytes, at(step.out, frame) + r * step.out.width, columns);
  }
}

void retort_session::normalize(const retort_step& step, const float* x, float* y, std::int64_t rows) {
  const std::int64_t part = step.out.width / step.groups;
  for (std::int64_t i = 0; i < rows * step.groups; ++i) {
    const std::int64_t column = step.own_weights ? i % step.groups * part : 0;
    const float* const bias = step.bias < 0 ? nullptr : vector(step.bias) + column;
    if (step.norm == RETORT_NORM_LAYER)
      ops().layer_norm(x + i * part, vector(step.weight) + column, bias, step.epsilon, y + i * part, 1, size_of(part));
    else
      ops().rms_norm(x + i * part, vector(step.weight) + column, step.weight_offset, step.epsilon, y + i * part, 1, size_of(part));
  }
}

void retort_session::linears(const retort_step& step, const Frame& frame) {
  for (std::int32_t i = step.first_linear; i < step.first_linear + step.linears; ++i) {
    const retort_linear& linear = linear_list[size_of(i)];
    const kernels::LinearCall call{&bound[size_of(linear.weight)], at(linear.out, frame), linear.out.width};
    kernels::run_linears({&call, 1}, at(step.a, frame), frame.rows, step.a.width, linear_scratch.data(), pool);
    for (std::int64_t r = 0; linear.bias >= 0 && r < frame.rows; ++r)
      ops().add_into(vector(linear.bias), call.y + r * linear.out.width, size_of(linear.out.width));
  }
}

void retort_session::rotate(std::int32_t rope, float* x, std::int64_t position, std::int64_t heads, std::int64_t head_dim) {
  if (rope < 0) return;
  const Rope& f = frequencies[size_of(rope)];
  std::vector<float> cosine(f.inverse.size()), sine(f.inverse.size());
  for (std::size_t i = 0; i < f.inverse.size(); ++i) {
    const double angle = static_cast<double>(static_cast<float>(position) * f.inverse[i]);
    cosine[i] = static_cast<float>(std::cos(angle)) * f.attention_factor;
    sine[i] = static_cast<float>(std::sin(angle)) * f.attention_factor;
  }
  ops().rope(x, cosine.data(), sine.data(), size_of(heads), size_of(head_dim), 2 * f.inverse.size(), ropes[size_of(rope)].interleaved != 0);
}

std::byte* retort_session::cache(bool values, std::int32_t layer) {
  const std::size_t element = plan.kv_type == RETORT_KV_F16 ? 2 : 4;
  return kv.data() + size_of(((values ? plan.layers : 0) + layer) * plan.context * plan.kv_heads * plan.head_dim) * element;
}

void retort_session::store(const retort_step& step, std::int64_t row, std::int64_t position) {
  const Frame none;
  for (const bool values : {false, true}) {
    const retort_value& from = values ? step.c : step.b;
    const float* const x = at(from, none) + row * from.width;
    std::byte* const to = cache(values, step.layer);
    for (std::int64_t i = 0; i < from.width; ++i) {
      if (plan.kv_type == RETORT_KV_F16) reinterpret_cast<std::uint16_t*>(to)[position * from.width + i] = kernels::f32_to_f16(x[i]);
      else reinterpret_cast<float*>(to)[position * from.width + i] = x[i];
    }
  }
}

void retort_session::attend(const retort_step& step, const Frame& frame) {
  const retort_pass& pass = *frame.pass;
  for (std::int64_t r = 0; r < frame.rows; ++r) {
    const std::int64_t position = pass.positions ? pass.positions[r] : pass.start + r;
    rotate(step.query_rope, at(step.a, frame) + r * step.a.width, position, step.heads, step.head_dim);
    rotate(step.key_rope, at(step.b, frame) + r * step.b.width, position, step.kv_heads, step.head_dim);
    if (step.causal) store(step, r, pass.start + r);
  }
  kernels::AttentionArgs args{};
  args.query = at(step.a, frame);
  args.q_stride = step.a.width;
  args.out = at(step.out, frame);
  args.out_stride = step.out.width;
  args.kv_heads = step.kv_heads;
  args.head_dim = step.head_dim;
  args.group = step.heads / step.kv_heads;
  args.window = step.window;
  args.scale = step.scale;
  args.soft_cap = step.soft_cap;
  args.bias = vector(step.relative_bias);
  args.bias_stride = 2 * plan.batch - 1;
  args.bias_zero = plan.batch - 1;
  if (step.causal) {
    args.keys = cache(false, step.layer);
    args.values = cache(true, step.layer);
    args.cache_f16 = plan.kv_type == RETORT_KV_F16;
    args.past = pass.start;
    args.tokens = frame.rows;
    for (std::int64_t h = 0; h < step.heads; ++h) ops().attention(args, h, 0, frame.rows, scratch.data());
    return;
  }
  args.bidirectional = true;
  std::int64_t start = 0;
  for (std::int32_t s = 0; s < pass.sequences; start += pass.lengths[s++]) {
    kernels::AttentionArgs one = args;
    one.query += start * args.q_stride;
    one.out += start * args.out_stride;
    one.keys = at(step.b, frame) + start * step.b.width;
    one.values = at(step.c, frame) + start * step.c.width;
    one.tokens = pass.lengths[s];
    for (std::int64_t h = 0; h < step.heads; ++h) ops().attention(one, h, 0, one.tokens, scratch.data());
  }
}

void retort_session::element(const retort_step& step, const Frame& frame) {
  const float *a = at(step.a, frame), *const b = at(step.b, frame);
  float* out = at(step.out, frame);
  const std::size_t n = size_of(frame.rows * step.out.width), row = size_of(step.out.width);
  if (step.element == RETORT_ELEMENT_SLICE) {
    for (std::int64_t p = 0; p < frame.rows * step.a.width; p += step.slice_period, out += step.slice_count)
      std::memcpy(out, a + p + step.slice_first, size_of(step.slice_count) * sizeof(float));
    return;
  }
  if (step.element == RETORT_ELEMENT_ACTIVATION) {
    ops().activate(static_cast<kernels::Activation>(step.activation), a, out, n);
    return;
  }
  if (out != a) std::memcpy(out, a, n * sizeof(float));
  if (step.element == RETORT_ELEMENT_SCALE) ops().scale(step.scale, out, n);
  if (step.element == RETORT_ELEMENT_SOFT_CAP) ops().soft_cap(step.scale, out, n);
  for (std::int64_t r = 0; r < frame.rows; ++r, out += row) {
    if (step.element == RETORT_ELEMENT_MULTIPLY) {
      if (step.b.width == 1 && row > 1) ops().scale(b[r], out, row);
      else ops().multiply_into(b + r * step.b.width, out, row);
    }
    if (step.element == RETORT_ELEMENT_NORMALIZE) {
      double squares = 0;
      for (std::size_t i = 0; i < row; ++i) squares += static_cast<double>(out[i]) * static_cast<double>(out[i]);
      ops().scale(static_cast<float>(1 / std::max(std::sqrt(squares), 1e-12)), out, row);
    }
  }
}
