#include "core/model/device_plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/model/plan.h"
#include "core/model/rope.h"
#include "core/model/session_rules.h"

namespace retort {
namespace {

constexpr retort_value kNowhere{RETORT_PLACE_NONE, 0, 0};

std::int32_t to_int32(std::int64_t value) noexcept { return static_cast<std::int32_t>(value); }
std::size_t index_of(std::int32_t id) noexcept { return static_cast<std::size_t>(id); }

static_assert(static_cast<int>(Place::kNone) == RETORT_PLACE_NONE && static_cast<int>(Place::kOutput) == RETORT_PLACE_OUTPUT);
static_assert(static_cast<int>(StepKind::kExperts) == RETORT_STEP_EXPERTS && static_cast<int>(StepKind::kLinears) == RETORT_STEP_LINEARS);
static_assert(static_cast<int>(Lookup::kType) == RETORT_LOOKUP_TYPE);
static_assert(static_cast<int>(Pool::kMeanSqrt) == RETORT_POOL_MEAN_SQRT);
static_assert(static_cast<int>(kernels::Activation::kSigmoid) == RETORT_ACTIVATION_SIGMOID);

std::int32_t element_of(Op op) noexcept {
  switch (op) {
    case Op::kScale: return RETORT_ELEMENT_SCALE;
    case Op::kSoftCap: return RETORT_ELEMENT_SOFT_CAP;
    case Op::kActivation: return RETORT_ELEMENT_ACTIVATION;
    case Op::kNormalize: return RETORT_ELEMENT_NORMALIZE;
    case Op::kSlice: return RETORT_ELEMENT_SLICE;
    default: return RETORT_ELEMENT_MULTIPLY;
  }
}

retort_step empty_step(const Step& step, const Node& node) {
  retort_step out{};
  out.kind = static_cast<std::int32_t>(step.kind);
  out.layer = step.layer;
  out.name = node.name.c_str();
  out.a = out.b = out.c = out.sum = out.out = kNowhere;
  out.weight = out.bias = out.query_rope = out.key_rope = out.relative_bias = -1;
  return out;
}

}  // namespace

// One pass over the plan's steps.
class DevicePlan::Lowering {
 public:
  Lowering(DevicePlan& out, const Model& model, const Plan& plan) : out_(out), model_(model), graph_(model.graph), plan_(plan) {}

  void run() {
    out_.weights_.resize(model_.weights.size());
    for (const Step& step : plan_.steps) out_.steps_.push_back(lower(step));
    for (const Step& step : plan_.head_steps) out_.head_steps_.push_back(lower(step));
  }

 private:
  const Node& node(std::int32_t n) const { return graph_.nodes[index_of(n)]; }

  retort_value value(ValueId id) const {
    const std::size_t v = index_of(id);
    return {static_cast<std::int32_t>(plan_.places[v]), to_int32(graph_.widths[v]), std::max<std::int64_t>(plan_.offsets[v], 0)};
  }

  std::int32_t use(WeightId id, std::uint32_t how) {
    if (id != kNoWeight) out_.weights_[index_of(id)].uses |= how;
    return id;
  }

  retort_step lower(const Step& step) {
    const Node& first = node(step.nodes.front());
    retort_step s = empty_step(step, first);
    switch (step.kind) {
      case StepKind::kEmbedding:
        s.out = value(first.output);
        s.lookup = static_cast<std::int32_t>(first.lookup);
        s.weight = use(first.weight, RETORT_USE_ROWS);
        break;
      case StepKind::kNorm:
        s.a = value(first.inputs[0]);
        norm(first, s);
        break;
      case StepKind::kAdd:
      case StepKind::kAddNorm:
        s.a = value(first.inputs[0]);
        s.b = value(first.inputs[1]);
        s.sum = value(first.output);
        if (step.kind == StepKind::kAddNorm) norm(node(step.nodes[1]), s);
        break;
      case StepKind::kLinears:
        s.a = value(first.inputs[0]);
        s.first_linear = to_int32(static_cast<std::int64_t>(out_.linears_.size()));
        for (const std::int32_t n : step.nodes) linear(node(n), s);
        break;
      case StepKind::kAttention: attention(step, s); break;
      case StepKind::kGate:
      case StepKind::kElement: element(first, s); break;
      case StepKind::kExperts: experts(first, s); break;
    }
    return s;
  }

  void norm(const Node& n, retort_step& s) {
    s.out = value(n.output);
    s.norm = n.op == Op::kLayerNorm ? RETORT_NORM_LAYER : RETORT_NORM_RMS;
    s.weight = use(n.weight, RETORT_USE_VECTOR);
    s.bias = use(n.bias, RETORT_USE_VECTOR);
    s.groups = to_int32(n.groups);
    s.own_weights = n.groups > 1 && weight_elements(model_.weights[index_of(n.weight)]) == static_cast<std::size_t>(s.out.width);
    s.epsilon = static_cast<float>(model_.config.norm_epsilon);
    s.weight_offset = n.offset;
  }

  void linear(const Node& n, retort_step& s) {
    out_.linears_.push_back({use(n.weight, RETORT_USE_LINEAR), use(n.bias, RETORT_USE_VECTOR),
                             n.output < 0 ? kNowhere : value(n.output)});
    ++s.linears;
  }

  void attention(const Step& step, retort_step& s) {
    const Node& n = node(step.nodes.back());
    s.name = n.name.c_str();
    s.a = value(n.inputs[0]);
    s.b = value(n.inputs[1]);
    s.c = value(n.inputs[2]);
    s.out = value(n.output);
    for (const std::int32_t i : step.nodes) {
      if (node(i).output == n.inputs[0]) s.query_rope = node(i).rope;
      if (node(i).output == n.inputs[1]) s.key_rope = node(i).rope;
    }
    s.heads = to_int32(n.heads);
    s.kv_heads = to_int32(n.kv_heads);
    s.head_dim = to_int32(model_.config.head_dim);
    s.causal = n.causal;
    s.window = to_int32(n.window);
    s.scale = n.scale;
    s.soft_cap = n.soft_cap;
    if (n.weight != kNoWeight) s.relative_bias = relative_bias(n);
  }

  // Layers share one table, and so the weight that is made of it.
  std::int32_t relative_bias(const Node& n) {
    std::size_t i = 0;
    while (i < out_.derived_.size() && (out_.derived_[i].table != n.weight || out_.derived_[i].heads != n.heads)) ++i;
    if (i == out_.derived_.size()) out_.derived_.push_back({n.weight, n.heads, graph_.weights[index_of(n.weight)].name + " by distance"});
    return to_int32(static_cast<std::int64_t>(model_.weights.size() + i));
  }

  void element(const Node& n, retort_step& s) {
    s.a = value(n.inputs[0]);
    if (n.inputs.size() > 1) s.b = value(n.inputs[1]);
    s.out = value(n.output);
    s.activation = static_cast<std::int32_t>(n.activation);
    s.element = element_of(n.op);
    s.scale = n.scale;
    s.slice_first = n.first;
    s.slice_count = n.count;
    s.slice_period = n.period;
  }

  void experts(const Node& n, retort_step& s) {
    s.a = value(n.inputs[0]);
    s.b = value(n.inputs[1]);
    s.out = value(n.output);
    s.activation = static_cast<std::int32_t>(n.activation);
    s.experts_used = to_int32(n.experts_used);
    s.normalize_experts = n.normalize_experts;
    s.first_linear = to_int32(static_cast<std::int64_t>(out_.linears_.size()));
    for (const Node& expert : n.experts) linear(expert, s);
  }

  DevicePlan& out_;
  const Model& model_;
  const Graph& graph_;
  const Plan& plan_;
};

namespace {

// A weight's type by its number in GGUF, which is the interface's. Vectors always go as f32.
Result<retort_weight> describe_weight(const Model& model, std::size_t i, std::uint32_t uses) {
  const WeightHandle& weight = model.weights[i];
  const std::string& name = model.graph.weights[i].name;
  retort_weight out{};
  out.type = RETORT_TYPE_F32;
  out.name = name.c_str();
  out.uses = uses;
  const bool matrix = weight.shape.size() > 1;
  out.rows = matrix ? weight.shape[0] : 1;
  out.columns = matrix ? weight.shape[1] : weight.shape[0];
  if (uses == 0) return out;
  if (uses == RETORT_USE_VECTOR) {
    out.columns = static_cast<std::int64_t>(weight_elements(weight));
    out.rows = 1;
    out.bytes = sizeof(float) * weight_elements(weight);
    return out;
  }
  const kernels::TypeTraits& traits = kernels::traits(weight.type);
  const char* const next = "compute with --backend cpu, or quantize to a type that the device takes";
  if (weight.coded)
    return Error{.code = ErrorCode::kUnsupported, .place = name, .expected = "a weight in one piece",
                 .found = std::string(weight.coded->scheme()) + ", in several parts", .next_step = next};
  if (!weight.row_scales.empty() || traits.ggml_id < 0 || traits.ggml_id > 63)
    return Error{.code = ErrorCode::kUnsupported, .place = name, .expected = "a type that the device's interface has",
                 .found = std::string(traits.name), .next_step = next};
  out.type = traits.ggml_id;
  out.bytes = weight.data.size();
  // An outline that only predicts memory has sizes without data.
  if (out.bytes == 0) out.bytes = kernels::row_bytes(weight.type, static_cast<std::size_t>(out.columns)) * static_cast<std::size_t>(out.rows);
  return out;
}

}  // namespace

Result<DevicePlan> DevicePlan::make(std::shared_ptr<const Model> model, const RunOptions& options) {
  RETORT_CHECK(check_sizes(options));
  if (options.plan == PlanKind::kTap)
    return Error{.code = ErrorCode::kUnsupported, .place = "calibration", .expected = "the processor, which lets inputs of linears be looked at",
                 .found = "a device", .next_step = "calibrate with --backend cpu"};
  RETORT_TRY(const Plan plan, make_plan(model->graph));
  DevicePlan out(model);
  const ModelConfig& c = model->config;
  out.plan_.size = sizeof(retort_plan);
  out.plan_.causal = model->graph.causal;
  out.plan_.layers = to_int32(model->graph.causal ? c.layers : 0);
  out.plan_.vocabulary = to_int32(c.vocabulary);
  out.plan_.hidden = to_int32(c.hidden);
  out.plan_.outputs = to_int32(model->graph.outputs());
  out.plan_.pool = plan.pool < 0 ? -1 : static_cast<std::int32_t>(model->graph.nodes[index_of(plan.pool)].pool);
  out.plan_.kv_type = options.cache_f16 ? RETORT_KV_F16 : RETORT_KV_F32;
  out.plan_.kv_heads = to_int32(c.kv_heads);
  out.plan_.head_dim = to_int32(c.head_dim);
  out.plan_.context = options.context;
  out.plan_.batch = pass_rows(*model, options);
  out.plan_.position_offset = c.position_offset;
  out.plan_.arena_floats = plan.arena_floats;
  out.plan_.widest_input = plan.widest_input;
  out.plan_.expert_floats = plan.expert_floats;
  out.plan_.q8_activations = options.activations == kernels::Activations::kQ8;
  for (std::int32_t rope = 0; rope < rope_count(model->graph); ++rope)
    out.ropes_.push_back({to_int32(rotary_width(c, rope) / 2), rope_of(c, rope).interleaved});
  Lowering(out, *model, plan).run();
  for (std::size_t i = 0; i < model->weights.size(); ++i) {
    RETORT_TRY(out.weights_[i], describe_weight(*model, i, out.weights_[i].uses));
  }
  for (const Derived& derived : out.derived_) {
    const std::int64_t columns = 2 * out.plan_.batch - 1;
    out.weights_.push_back({RETORT_TYPE_F32, RETORT_USE_VECTOR, derived.heads, columns,
                            sizeof(float) * static_cast<std::uint64_t>(derived.heads * columns), derived.name.c_str()});
  }
  return out;
}

retort_plan DevicePlan::view() const noexcept {
  retort_plan plan = plan_;
  plan.step_count = to_int32(static_cast<std::int64_t>(steps_.size()));
  plan.head_step_count = to_int32(static_cast<std::int64_t>(head_steps_.size()));
  plan.linear_count = to_int32(static_cast<std::int64_t>(linears_.size()));
  plan.weight_count = to_int32(static_cast<std::int64_t>(weights_.size()));
  plan.rope_count = to_int32(static_cast<std::int64_t>(ropes_.size()));
  plan.steps = steps_.data();
  plan.head_steps = head_steps_.data();
  plan.linears = linears_.data();
  plan.weights = weights_.data();
  plan.ropes = ropes_.data();
  return plan;
}

Result<std::span<const std::byte>> DevicePlan::data(std::size_t weight, std::vector<float>& made) const {
  if (weight >= model_->weights.size()) {
    const Derived& derived = derived_[weight - model_->weights.size()];
    const WeightHandle& table = model_->weights[index_of(derived.table)];
    if (table.coded) RETORT_CHECK(table.coded->check());
    made = bias_by_distance(model_->config, derived.heads, plan_.batch, weight_in_f32(table));
    return std::as_bytes(std::span<const float>(made));
  }
  const WeightHandle& handle = model_->weights[weight];
  if (weights_[weight].uses != RETORT_USE_VECTOR) return handle.data;
  if (handle.coded) RETORT_CHECK(handle.coded->check());
  made = weight_in_f32(handle);
  return std::as_bytes(std::span<const float>(made));
}

void DevicePlan::done_with(std::size_t weight) const {
  if (weight >= model_->weights.size()) return;
  const WeightHandle& handle = model_->weights[weight];
  if (handle.file) handle.file->done_with(handle.data);
}

}  // namespace retort
