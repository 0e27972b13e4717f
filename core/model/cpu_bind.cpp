// Binding: from plan and weights to steps whose pointers and kernels are fixed.
#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "core/base/checked.h"
#include "core/model/cpu_session.h"
#include "core/model/session_rules.h"

namespace retort {
namespace {

std::size_t index(WeightId id) noexcept { return static_cast<std::size_t>(id); }

// Product of sizes; nullopt beyond 2^48 bytes, which no machine has.
std::optional<std::size_t> bytes_of(std::initializer_list<std::int64_t> factors) {
  std::uint64_t product = 1;
  for (const std::int64_t f : factors) {
    const auto next = checked_mul(product, static_cast<std::uint64_t>(f));
    if (!next || *next > (std::uint64_t{1} << 48)) return std::nullopt;
    product = *next;
  }
  return AlignedBuffer::rounded_size(product);
}

kernels::AttentionArgs attention_shape(const ModelConfig& config, std::int64_t batch, std::int64_t context, bool f16) {
  kernels::AttentionArgs args{};
  args.cache_f16 = f16;
  args.tokens = batch;
  args.past = context;
  args.kv_heads = config.kv_heads;
  args.head_dim = config.head_dim;
  args.group = config.heads / config.kv_heads;
  return args;
}

}  // namespace

Result<CpuSizes> cpu_sizes(const Model& model, const Plan& plan, const RunOptions& options, int threads) {
  const ModelConfig& c = model.config;
  RETORT_CHECK(check_sizes(options));
  const std::int64_t batch = pass_rows(model, options);
  const std::int64_t f = static_cast<std::int64_t>(sizeof(float));
  const auto cache = bytes_of({model.graph.causal ? 2 : 0, c.layers, options.context, c.kv_heads, c.head_dim, options.cache_f16 ? 2 : 4});
  const auto arena = bytes_of({plan.arena_floats, batch, f});
  const auto hidden = bytes_of({batch, c.hidden, f});
  const auto logits = bytes_of({model.graph.outputs(), f});
  std::int64_t turned = 0;
  for (std::int32_t rope = 0; rope < rope_count(model.graph); ++rope) turned += rotary_width(c, rope);
  const auto rotary = bytes_of({batch, turned, f});
  const auto experts = bytes_of({batch, plan.expert_floats, f});
  if (!cache || !arena || !hidden || !logits || !rotary || !experts)
    return Error{.code = ErrorCode::kOutOfMemory, .place = fmt::format("context {}", options.context)};
  CpuSizes sizes;
  sizes.cache = *cache;
  sizes.arena = *arena;
  sizes.hidden = *hidden;
  sizes.logits = *logits;
  sizes.rotary = *rotary;
  sizes.experts = *experts;
  sizes.scratch = AlignedBuffer::rounded_size(kernels::linear_scratch_bytes(batch, plan.widest_input, threads));
  sizes.attention = AlignedBuffer::rounded_size(
      sizeof(float) * kernels::attention_scratch_floats(attention_shape(c, batch, options.context, options.cache_f16)));
  return sizes;
}

kernels::Weight linear_weight(const WeightHandle& handle) noexcept {
  kernels::Weight weight;
  weight.type = handle.type;
  weight.data = handle.data.data();
  weight.row_scales = handle.row_scales.empty() ? nullptr : handle.row_scales.data();
  weight.rows = handle.shape[0];
  weight.columns = handle.shape[1];
  if (handle.coded) weight.source = &handle.coded->source();
  return weight;
}

CpuSession::CpuSession(std::shared_ptr<CpuEngine> engine, std::shared_ptr<const Model> model, const RunOptions& options)
    : engine_(std::move(engine)), model_(std::move(model)), options_(options) {}

Result<std::unique_ptr<Session>> CpuSession::create(std::shared_ptr<CpuEngine> engine,
                                                    std::shared_ptr<const Model> model, const RunOptions& options) {
  std::unique_ptr<CpuSession> session(new CpuSession(std::move(engine), std::move(model), options));
  RETORT_CHECK(session->bind());
  return std::unique_ptr<Session>(std::move(session));
}

Result<void> CpuSession::bind() {
  const Graph& graph = model_->graph;
  RETORT_TRY(plan_, make_plan(graph));
  RETORT_TRY(const CpuSizes sizes, cpu_sizes(*model_, plan_, options_, engine_->pool.threads()));
  options_.batch = pass_rows(*model_, options_);
  RETORT_CHECK(allocate(sizes));

  const std::lock_guard lock(engine_->in_use);   // repacking uses the pool
  linears_.resize(graph.weights.size());
  vectors_.resize(graph.weights.size());
  relative_.resize(graph.weights.size());
  looked_up_.resize(graph.weights.size());
  for (const Node& node : graph.nodes)
    if (node.op == Op::kEmbedding) looked_up_[index(node.weight)] = true;
  for (const Step& step : plan_.steps) RETORT_CHECK(bind_step(step, steps_));
  for (const Step& step : plan_.head_steps) RETORT_CHECK(bind_step(step, head_steps_));
  count_weights();
  return {};
}

Result<void> CpuSession::allocate(const CpuSizes& sizes) {
  const std::size_t workers = static_cast<std::size_t>(engine_->pool.threads());
  RETORT_TRY(cache_, AlignedBuffer::allocate(sizes.cache, "KV cache"));
  RETORT_TRY(arena_, AlignedBuffer::allocate(sizes.arena, "values"));
  RETORT_TRY(hidden_, AlignedBuffer::allocate(sizes.hidden, "hidden states"));
  RETORT_TRY(logits_, AlignedBuffer::allocate(sizes.logits, "logits"));
  RETORT_TRY(scratch_, AlignedBuffer::allocate(sizes.scratch, "scratch of linears"));
  RETORT_TRY(attention_scratch_, AlignedBuffer::allocate(sizes.attention * workers, "scratch of attention"));
  RETORT_TRY(rotary_, AlignedBuffer::allocate(sizes.rotary, "rotary rows"));
  RETORT_TRY(expert_rows_, AlignedBuffer::allocate(sizes.experts, "rows of experts"));
  attention_floats_ = sizes.attention / sizeof(float);
  hidden_capacity_ = options_.batch;
  logits_capacity_ = 1;
  rotaries_.resize(static_cast<std::size_t>(rope_count(model_->graph)));
  float* rows = rotary_.as<float>();
  for (std::size_t i = 0; i < rotaries_.size(); ++i) {
    const std::int32_t rope = static_cast<std::int32_t>(i);
    rotaries_[i].half = rotary_width(model_->config, rope) / 2;
    rotaries_[i].rows = rows;
    rows += 2 * rotaries_[i].half * options_.batch;
  }
  recomputes_ = recomputes_cache(*model_);
  if (recomputes_) history_.reserve(static_cast<std::size_t>(options_.context));
  return {};
}

Result<const kernels::BoundLinear*> CpuSession::bind_linear(WeightId id) {
  kernels::BoundLinear& linear = linears_[index(id)];
  if (linear.state()) return &std::as_const(linear);
  const WeightHandle& handle = model_->weights[index(id)];
  if (handle.coded) RETORT_CHECK(handle.coded->check());
  const char* why = "";
  if (!linear.bind(linear_weight(handle), {options_.activations, engine_->forced}, engine_->pool, &why))
    return Error{.code = ErrorCode::kUnsupported, .place = model_->graph.weights[index(id)].name,
                 .expected = fmt::format("a kernel for {}", kernels::traits(handle.type).name), .found = why};
  // Right away: else every stored weight stays in memory beside its repacked copy until the last one is bound.
  if (handle.file && linear.repacked_bytes() > 0 && !looked_up_[index(id)]) handle.file->done_with(handle.data);
  return &std::as_const(linear);
}

const float* CpuSession::bind_vector(WeightId id) {
  if (id == kNoWeight) return nullptr;
  std::vector<float>& vector = vectors_[index(id)];
  if (vector.empty()) vector = weight_in_f32(model_->weights[index(id)]);
  return vector.data();
}

const float* CpuSession::bind_relative_bias(const Node& attention) {
  if (attention.weight == kNoWeight) return nullptr;
  std::vector<float>& bias = relative_[index(attention.weight)];
  if (!bias.empty()) return bias.data();
  bind_vector(attention.weight);
  bias = bias_by_distance(model_->config, attention.heads, options_.batch, vectors_[index(attention.weight)]);
  return bias.data();
}

CpuSession::Slot CpuSession::slot(ValueId value) const {
  const std::size_t v = static_cast<std::size_t>(value);
  if (plan_.places[v] != Place::kArena) return {nullptr, plan_.places[v]};
  const std::int64_t offset = plan_.offsets[v];
  return {offset < 0 ? nullptr : arena_.as<float>() + offset * options_.batch, Place::kArena};
}

Result<void> CpuSession::bind_step(const Step& step, std::vector<BoundStep>& steps) {
  const Graph& graph = model_->graph;
  BoundStep bound;
  bound.kind = step.kind;
  bound.layer = step.layer;
  const Node& node = graph.nodes[static_cast<std::size_t>(step.nodes.front())];
  bound.node = &node;
  bound.width = graph.widths[static_cast<std::size_t>(node.output)];
  bound.a = slot(node.inputs[0]);
  if (node.inputs.size() > 1) bound.b = slot(node.inputs[1]);
  bound.sum = bound.out = slot(node.output);
  if (node.weight != kNoWeight && model_->weights[index(node.weight)].coded) RETORT_CHECK(model_->weights[index(node.weight)].coded->check());
  std::vector<const Node*> linears;
  switch (step.kind) {
    case StepKind::kEmbedding:
    case StepKind::kAdd:
    case StepKind::kGate:
    case StepKind::kElement: break;
    case StepKind::kNorm: bind_norm(node, bound); break;
    case StepKind::kAddNorm: bind_norm(graph.nodes[static_cast<std::size_t>(step.nodes[1])], bound); break;
    case StepKind::kLinears:
      for (const std::int32_t n : step.nodes) linears.push_back(&graph.nodes[static_cast<std::size_t>(n)]);
      bound.width = graph.widths[static_cast<std::size_t>(node.inputs[0])];
      RETORT_CHECK(bind_linears(linears, bound));
      break;
    case StepKind::kExperts:
      for (const Node& expert : node.experts) linears.push_back(&expert);
      RETORT_CHECK(bind_linears(linears, bound));
      break;
    case StepKind::kAttention: bind_attention(step, bound); break;
  }
  steps.push_back(std::move(bound));
  return {};
}

void CpuSession::bind_norm(const Node& node, BoundStep& bound) {
  bound.out = slot(node.output);
  bound.norm.weight = bind_vector(node.weight);
  bound.norm.bias = bind_vector(node.bias);
  bound.norm.offset = node.offset;
  bound.norm.groups = node.groups;
  bound.norm.mean = node.op == Op::kLayerNorm;
  bound.norm.own_weights = node.groups > 1 && weight_elements(model_->weights[index(node.weight)]) == static_cast<std::size_t>(bound.width);
}

// Experts' linears have no values of their own: they are given rows as they run.
Result<void> CpuSession::bind_linears(const std::vector<const Node*>& nodes, BoundStep& bound) {
  for (const Node* node : nodes) {
    RETORT_TRY(const kernels::BoundLinear* linear, bind_linear(node->weight));
    bound.calls.push_back({linear, nullptr, linear->rows()});
    bound.results.push_back(node->output < 0 ? Slot{} : slot(node->output));
    bound.biases.push_back(bind_vector(node->bias));
    bound.linears.push_back(node);
  }
  return {};
}

void CpuSession::bind_attention(const Step& step, BoundStep& bound) {
  const Graph& graph = model_->graph;
  const Node& attention = graph.nodes[static_cast<std::size_t>(step.nodes.back())];
  for (const std::int32_t n : step.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(n)];
    if (node.output == attention.inputs[0]) bound.attention.query_rope = node.rope;
    if (node.output == attention.inputs[1]) bound.attention.key_rope = node.rope;
  }
  bound.node = bound.attention.node = &attention;
  bound.attention.query = slot(attention.inputs[0]).pointer;
  bound.attention.key = slot(attention.inputs[1]).pointer;
  bound.attention.value = slot(attention.inputs[2]).pointer;
  bound.attention.out = slot(attention.output).pointer;
  bound.attention.bias = bind_relative_bias(attention);
  bound.width = graph.widths[static_cast<std::size_t>(attention.output)];
}

// What was repacked takes its stored place, unless rows of it are looked up.
void CpuSession::count_weights() {
  for (const std::vector<float>& bias : relative_) weight_bytes_ += bias.size() * sizeof(float);
  for (std::size_t i = 0; i < model_->weights.size(); ++i) {
    const WeightHandle& handle = model_->weights[i];
    const bool repacked = linears_[i].state() && linears_[i].repacked_bytes() > 0;
    if (linears_[i].state()) weight_bytes_ += linears_[i].repacked_bytes();
    weight_bytes_ += vectors_[i].size() * sizeof(float);
    if (!repacked || looked_up_[i]) weight_bytes_ += handle.stored_bytes();
  }
}

}  // namespace retort
