#include "kernels/cuda/plan_check.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "kernels/cuda/launches.h"

namespace retort::cuda {
namespace {

struct KnownType { std::int32_t number; Type type; };
constexpr std::array kTypes = {
    KnownType{RETORT_TYPE_F32, Type::kF32},   KnownType{RETORT_TYPE_F16, Type::kF16},
    KnownType{RETORT_TYPE_BF16, Type::kBF16}, KnownType{RETORT_TYPE_Q8_0, Type::kQ8_0},
    KnownType{RETORT_TYPE_Q4_0, Type::kQ4_0}, KnownType{RETORT_TYPE_Q4_K, Type::kQ4_K},
    KnownType{RETORT_TYPE_Q6_K, Type::kQ6_K}};
static_assert(kTypes.size() == static_cast<std::size_t>(Type::kCount));

constexpr std::uint32_t kSteps = 1u << RETORT_STEP_EMBEDDING | 1u << RETORT_STEP_NORM | 1u << RETORT_STEP_ADD |
                                 1u << RETORT_STEP_ADD_NORM | 1u << RETORT_STEP_LINEARS | 1u << RETORT_STEP_ATTENTION |
                                 1u << RETORT_STEP_GATE | 1u << RETORT_STEP_ELEMENT;
constexpr std::int64_t kLargest = std::int64_t{1} << 31;   // of a row, a batch, a context: indices are 32 bits
// A grid has 65535 blocks down, and a product of many rows makes one of 64 or 128 rows of kMostTargets linears.
constexpr std::int64_t kMostLinearRows = 65535 / kMostTargets * 64;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;  // of a weight, of a cache

std::string label(const char* name) { return std::string("'") + (name ? name : "") + "'"; }
retort_status refuse(const char* name, const std::string& why) { return fail(RETORT_UNSUPPORTED, label(name) + ": " + why); }
retort_status wrong(const char* name, const std::string& why) { return fail(RETORT_BAD_ARGUMENT, label(name) + ": " + why); }

bool within(std::int64_t value, std::int64_t least, std::int64_t most) { return value >= least && value <= most; }

retort_status check_value(const retort_plan& plan, const retort_step& step, const retort_value& value, bool head, bool written) {
  const bool known = within(value.place, RETORT_PLACE_ARENA, RETORT_PLACE_OUTPUT) && value.width > 0;
  if (!known) return wrong(step.name, "a value without a place or width");
  if (value.place == RETORT_PLACE_ARENA && (value.offset < 0 || value.offset + value.width > plan.arena_floats))
    return wrong(step.name, "a value outside the arena");
  if (value.place == RETORT_PLACE_HIDDEN && (value.width != plan.hidden || (head && written)))
    return wrong(step.name, "hidden states of another width, or written by the head");
  if (value.place == RETORT_PLACE_OUTPUT && (!head || value.width != plan.outputs))
    return wrong(step.name, "an output outside the head, or of another width");
  return RETORT_OK;
}

// -1 where there is none.
retort_status check_vector(const retort_plan& plan, const retort_step& step, std::int32_t weight, std::int64_t rows, std::int64_t columns) {
  if (weight == -1) return RETORT_OK;
  if (!within(weight, 0, plan.weight_count - 1)) return wrong(step.name, "a weight that the plan doesn't have");
  const retort_weight& w = plan.weights[weight];
  if (!(w.uses & RETORT_USE_VECTOR) || w.rows != rows || w.columns != columns)
    return wrong(step.name, "vector " + label(w.name) + " isn't [" + std::to_string(rows) + ", " + std::to_string(columns) + "]");
  return RETORT_OK;
}

retort_status check_norm(const retort_plan& plan, const retort_step& step) {
  if (!within(step.groups, 1, step.out.width) || step.out.width % step.groups != 0) return wrong(step.name, "a row that its groups don't divide");
  if (plan.batch * step.groups >= kLargest) return refuse(step.name, "more parts of rows than a grid has blocks");
  const std::int64_t columns = step.own_weights ? step.out.width : step.out.width / step.groups;
  if (const retort_status s = check_vector(plan, step, step.weight, 1, columns)) return s;
  return check_vector(plan, step, step.bias, 1, columns);
}

retort_status check_linears(const retort_plan& plan, const retort_step& step, bool head) {
  if (step.linears < 1 || step.first_linear < 0 || step.first_linear > plan.linear_count - step.linears)
    return wrong(step.name, "linears that the plan doesn't have");
  for (std::int32_t i = step.first_linear; i < step.first_linear + step.linears; ++i) {
    const retort_linear& linear = plan.linears[i];
    if (!within(linear.weight, 0, plan.weight_count - 1)) return wrong(step.name, "a weight that the plan doesn't have");
    const retort_weight& w = plan.weights[linear.weight];
    if (const retort_status s = check_value(plan, step, linear.out, head, true)) return s;
    if (!(w.uses & RETORT_USE_LINEAR) || w.columns != step.a.width || w.rows != linear.out.width)
      return wrong(step.name, "weight " + label(w.name) + " doesn't fit its rows");
    if (w.columns > plan.widest_input) return wrong(step.name, "a linear wider than the plan's widest input");
    if (const retort_status s = check_vector(plan, step, linear.bias, 1, w.rows)) return s;
  }
  return RETORT_OK;
}

retort_status check_rope(const retort_plan& plan, const retort_step& step, std::int32_t rope) {
  if (rope == -1) return RETORT_OK;
  if (!within(rope, 0, plan.rope_count - 1)) return wrong(step.name, "a rotation that the plan doesn't have");
  if (!within(plan.ropes[rope].half, 1, step.head_dim / 2)) return wrong(step.name, "a rotation wider than a head");
  return RETORT_OK;
}

retort_status check_attention(const retort_plan& plan, const retort_step& step, bool head) {
  if (step.heads < 1 || step.kv_heads < 1 || step.heads % step.kv_heads != 0 || step.head_dim < 1)
    return wrong(step.name, "heads that don't divide");
  if (step.head_dim > kLargestHeadDim)
    return refuse(step.name, "heads of " + std::to_string(step.head_dim) + " values; at most " + std::to_string(kLargestHeadDim));
  if (step.out.width != step.heads * step.head_dim || step.a.width != step.out.width || step.b.width != step.kv_heads * step.head_dim ||
      step.c.width != step.b.width)
    return wrong(step.name, "queries, keys and values that don't fit their heads");
  if (head) return refuse(step.name, "attention in the head");
  if (step.causal != plan.causal) return refuse(step.name, "causal and other attention in one plan");
  if (step.causal && (!within(step.layer, 0, plan.layers - 1) || step.kv_heads != plan.kv_heads || step.head_dim != plan.head_dim))
    return wrong(step.name, "a layer without a cache of its shape");
  if (!step.causal && step.window != 0) return refuse(step.name, "a window over whole sequences");
  if (step.window < 0) return wrong(step.name, "a negative window");
  if (const retort_status s = check_rope(plan, step, step.query_rope)) return s;
  if (const retort_status s = check_rope(plan, step, step.key_rope)) return s;
  if (step.relative_bias >= 0 && step.causal) return refuse(step.name, "a relative position bias over a cache");
  return check_vector(plan, step, step.relative_bias, step.heads, 2 * plan.batch - 1);
}

retort_status check_element(const retort_step& step) {
  if (!within(step.element, 0, RETORT_ELEMENT_SLICE)) return refuse(step.name, "an element-wise operation unknown here");
  if (step.element == RETORT_ELEMENT_SLICE) {
    const bool fits = step.slice_period > 0 && step.slice_first >= 0 && step.slice_count > 0 &&
                      step.slice_first + step.slice_count <= step.slice_period && step.a.width % step.slice_period == 0 &&
                      step.a.width / step.slice_period * step.slice_count == step.out.width;
    return fits ? RETORT_OK : wrong(step.name, "a slice that doesn't fit its row");
  }
  if (step.a.width != step.out.width) return wrong(step.name, "a result of another width");
  if (step.element == RETORT_ELEMENT_MULTIPLY && step.b.width != 1 && step.b.width != step.out.width)
    return wrong(step.name, "factors of another width");
  return RETORT_OK;
}

struct Reads { bool a, b, c, sum, out; };
constexpr Reads reads_of(std::int32_t kind, std::int32_t element) {
  switch (kind) {
    case RETORT_STEP_EMBEDDING: return {false, false, false, false, true};
    case RETORT_STEP_NORM: return {true, false, false, false, true};
    case RETORT_STEP_ADD: return {true, true, false, true, false};
    case RETORT_STEP_ADD_NORM: return {true, true, false, true, true};
    case RETORT_STEP_LINEARS: return {true, false, false, false, false};
    case RETORT_STEP_ATTENTION: return {true, true, true, false, true};
    case RETORT_STEP_GATE: return {true, true, false, false, true};
    default: return {true, element == RETORT_ELEMENT_MULTIPLY, false, false, true};
  }
}

retort_status check_embedding(const retort_plan& plan, const retort_step& step, bool head) {
  if (head || !within(step.lookup, 0, RETORT_LOOKUP_TYPE)) return refuse(step.name, "this lookup");
  if (!within(step.weight, 0, plan.weight_count - 1)) return wrong(step.name, "a table that the plan doesn't have");
  const retort_weight& w = plan.weights[step.weight];
  if (!(w.uses & RETORT_USE_ROWS) || w.columns != step.out.width) return wrong(step.name, "table " + label(w.name) + " has other rows");
  return RETORT_OK;
}

retort_status check_step(const retort_plan& plan, const retort_step& step, bool head) {
  if (!within(step.kind, 0, 31) || !(kSteps >> step.kind & 1u))
    return refuse(step.name, step.kind == RETORT_STEP_EXPERTS ? "mixtures of experts don't run on this device" : "a step unknown here");
  const Reads r = reads_of(step.kind, step.element);
  const struct { bool there; const retort_value& value; bool written; } values[] = {
      {r.a, step.a, false}, {r.b, step.b, false}, {r.c, step.c, false}, {r.sum, step.sum, true}, {r.out, step.out, true}};
  for (const auto& v : values)
    if (v.there)
      if (const retort_status s = check_value(plan, step, v.value, head, v.written)) return s;
  const bool activates = step.kind == RETORT_STEP_GATE || (step.kind == RETORT_STEP_ELEMENT && step.element == RETORT_ELEMENT_ACTIVATION);
  if (activates && !within(step.activation, 0, RETORT_ACTIVATION_SIGMOID)) return refuse(step.name, "an activation unknown here");
  switch (step.kind) {
    case RETORT_STEP_EMBEDDING: return check_embedding(plan, step, head);
    case RETORT_STEP_ADD_NORM:
      if (step.sum.width != step.out.width) return wrong(step.name, "a norm of another width");
      [[fallthrough]];
    case RETORT_STEP_ADD:
      if (step.a.width != step.sum.width || step.b.width != step.sum.width) return wrong(step.name, "a sum of different widths");
      return step.kind == RETORT_STEP_ADD ? RETORT_OK : check_norm(plan, step);
    case RETORT_STEP_NORM:
      if (step.a.width != step.out.width) return wrong(step.name, "a norm of another width");
      return check_norm(plan, step);
    case RETORT_STEP_LINEARS: return check_linears(plan, step, head);
    case RETORT_STEP_ATTENTION: return check_attention(plan, step, head);
    case RETORT_STEP_GATE:
      return step.a.width == step.out.width && step.b.width == step.out.width ? RETORT_OK : wrong(step.name, "a gate of different widths");
    default: return check_element(step);
  }
}

retort_status check_sizes(const retort_plan& plan) {
  if (plan.size != sizeof(retort_plan)) return fail(RETORT_BAD_ARGUMENT, "a plan of another version");
  const bool sane = within(plan.batch, 1, 65535) && within(plan.context, 1, kLargest - 1) && within(plan.hidden, 1, kLargest - 1) &&
                    within(plan.outputs, 0, kLargest - 1) && within(plan.arena_floats, 0, kLargest - 1) &&
                    within(plan.widest_input, 0, kLargest - 1) && within(plan.layers, 0, 65535) && plan.step_count >= 0 &&
                    plan.head_step_count >= 0 && plan.linear_count >= 0 && plan.weight_count >= 0 && plan.rope_count >= 0;
  if (!sane) return fail(RETORT_BAD_ARGUMENT, "a plan with sizes out of range (a batch has at most 65535 rows)");
  if (plan.causal && plan.layers > 0 && (!within(plan.kv_heads, 1, 65535) || !within(plan.head_dim, 1, 65535)))
    return fail(RETORT_BAD_ARGUMENT, "a cache without heads");
  const std::int64_t of_position = std::int64_t{plan.kv_heads} * plan.head_dim;   // below 2^32
  if (plan.causal && plan.layers * plan.context > kMostBytes / 8 / std::max<std::int64_t>(1, of_position))
    return fail(RETORT_BAD_ARGUMENT, "a cache of sizes out of range");
  if (plan.causal && plan.pool >= 0) return fail(RETORT_UNSUPPORTED, "a pool over a cache");
  if (!within(plan.kv_type, RETORT_KV_F32, RETORT_KV_F16)) return fail(RETORT_UNSUPPORTED, "a cache of another type than f32 or f16");
  if (!within(plan.pool, -1, RETORT_POOL_MEAN_SQRT)) return fail(RETORT_UNSUPPORTED, "a pool unknown here");
  if (plan.head_step_count == 0 && plan.outputs > 0 && plan.outputs != plan.hidden)
    return fail(RETORT_BAD_ARGUMENT, "a head without steps and of another width than the hidden states");
  return RETORT_OK;
}

}  // namespace

const Type* find_type(std::int32_t gguf_number) {
  for (const KnownType& known : kTypes)
    if (known.number == gguf_number) return &known.type;
  return nullptr;
}

std::uint64_t weight_bytes(const retort_weight& w) {
  if (w.uses == 0) return 0;
  if (w.uses & RETORT_USE_VECTOR) return static_cast<std::uint64_t>(w.rows) * static_cast<std::uint64_t>(w.columns) * 4;
  const MatrixBytes bytes = matrix_bytes(*find_type(w.type), w.rows, w.columns);
  return bytes.body + bytes.scales;
}

retort_status check_weights(const retort_weight* weights, std::int32_t count) {
  for (std::int32_t i = 0; i < count; ++i) {
    const retort_weight& w = weights[i];
    if (w.uses == 0) continue;
    const Type* const type = find_type(w.type);
    if (!type) return refuse(w.name, "weights of GGUF type " + std::to_string(w.type) + " don't run on this device");
    if (!within(w.rows, 1, kLargest - 1) || !within(w.columns, 1, kLargest - 1)) return wrong(w.name, "a shape out of range");
    if (!is_dense(*type) && w.columns % layout_of(*type).block != 0) return wrong(w.name, "a row that isn't made of whole blocks");
    if (w.rows > kMostBytes / 4 / w.columns) return wrong(w.name, "a shape out of range");
    if (w.uses & RETORT_USE_LINEAR && w.rows > kMostLinearRows)
      return refuse(w.name, "a linear of " + std::to_string(w.rows) + " outputs; at most " + std::to_string(kMostLinearRows));
    if (w.bytes != stored_bytes(*type, w.rows, w.columns)) return wrong(w.name, "bytes that don't fit its shape");
    if (w.uses & RETORT_USE_VECTOR && (w.uses != RETORT_USE_VECTOR || *type != Type::kF32)) return wrong(w.name, "a vector that isn't F32 alone");
  }
  return RETORT_OK;
}

retort_status check_plan(const retort_plan& plan) {
  if (const retort_status s = check_sizes(plan)) return s;
  if (const retort_status s = check_weights(plan.weights, plan.weight_count)) return s;
  for (std::int32_t i = 0; i < plan.step_count; ++i)
    if (const retort_status s = check_step(plan, plan.steps[i], false)) return s;
  for (std::int32_t i = 0; i < plan.head_step_count; ++i)
    if (const retort_status s = check_step(plan, plan.head_steps[i], true)) return s;
  return RETORT_OK;
}

std::uint64_t rounded_row_bytes(const retort_plan& plan) {
  return static_cast<std::uint64_t>(round_up(plan.widest_input, 256)) * (two_terms(plan) ? 4 : 2);
}

std::int64_t head_rows(const retort_plan& plan) {
  constexpr std::int64_t kOutputBytes = 64 << 20;
  const std::int64_t row = std::max<std::int64_t>(1, plan.outputs) * 4;
  return std::clamp<std::int64_t>(kOutputBytes / row, 1, plan.batch);
}

SessionSizes session_sizes(const retort_plan& plan) {
  SessionSizes s;
  const auto u = [](std::int64_t v) { return static_cast<std::uint64_t>(v); };
  const std::uint64_t batch = u(plan.batch), row = u(plan.hidden) * 4;
  if (plan.causal)
    s.cache = u(plan.layers) * u(plan.context) * u(plan.kv_heads) * u(plan.head_dim) * (plan.kv_type == RETORT_KV_F16 ? 2 : 4);
  s.arena = u(plan.arena_floats) * batch * 4;
  s.hidden = batch * row;
  s.pooled = plan.pool >= 0 ? batch * row : 0;
  s.output = u(head_rows(plan)) * u(plan.outputs) * 4;
  s.head_input = u(head_rows(plan)) * row;
  s.rounded = plan.batch > kFewTokens ? batch * (rounded_row_bytes(plan) + 4) : 0;
  std::int64_t heads = 0;
  for (std::int32_t i = 0; i < plan.step_count; ++i)
    if (plan.steps[i].kind == RETORT_STEP_ATTENTION) heads = std::max<std::int64_t>(heads, plan.steps[i].heads);
  const Splits splits = attention_splits(plan.context);
  if (plan.causal && splits.splits > 1)
    s.partial = u(std::min<std::int64_t>(plan.batch, kFewTokens)) * u(heads) * u(splits.splits) * u(plan.head_dim + 2) * 4;
  s.state = (8 * batch + 64) * 4;
  for (std::int32_t i = 0; i < plan.rope_count; ++i) s.ropes += u(round_up(plan.ropes[i].half + 1, 64)) * 4;
  s.top = sizeof(double) + kLargestTop * 8;
  if (within(plan.outputs, 1, kLargestSampled)) s.sample = kSampleState + u(plan.outputs) * sizeof(double);
  return s;
}

void fill_capabilities(retort_capabilities& out) {
  const std::uint32_t size = out.size;
  out = {};
  out.size = size;
  out.steps = kSteps;
  out.element_ops = (2u << RETORT_ELEMENT_SLICE) - 1;
  out.activations = (2u << RETORT_ACTIVATION_SIGMOID) - 1;
  out.kv_types = 1u << RETORT_KV_F32 | 1u << RETORT_KV_F16;
  out.pools = (2u << RETORT_POOL_MEAN_SQRT) - 1;
  for (const KnownType& known : kTypes) out.linear_types |= std::uint64_t{1} << known.number;
  out.row_types = out.linear_types;
  out.largest_head_dim = kLargestHeadDim;
  out.largest_top = kLargestTop;
  out.largest_sampled = kLargestSampled;
  std::strcpy(out.arithmetic, "f32 for up to 4 rows and for F32 weights; else weights in f16 and activations in one f16 (q8) or two (f32), summed in f32");
}

}  // namespace retort::cuda
