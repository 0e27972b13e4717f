// Binding: from plan and weights to steps whose pointers and kernels are fixed.
#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "core/base/checked.h"
#include "core/model/cpu_session.h"

namespace retort {
namespace {

constexpr std::int64_t kLargestContext = std::int64_t{1} << 24;

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
  if (options.context < 1 || options.context > kLargestContext)
    return Error{.code = ErrorCode::kBadArgument, .place = "context",
                 .expected = fmt::format("1 to {}", kLargestContext), .found = std::to_string(options.context)};
  if (options.batch < 1)
    return Error{.code = ErrorCode::kBadArgument, .place = "batch", .expected = "at least 1",
                 .found = std::to_string(options.batch)};
  const std::int64_t batch = std::min(options.batch, options.context);
  const std::int64_t f = static_cast<std::int64_t>(sizeof(float));
  const auto cache = bytes_of({2, c.layers, options.context, c.kv_heads, c.head_dim, options.cache_f16 ? 2 : 4});
  const auto arena = bytes_of({plan.arena_floats, batch, f});
  const auto hidden = bytes_of({batch, c.hidden, f});
  const auto logits = bytes_of({c.vocabulary, f});
  const auto rotary = bytes_of({batch, rotary_width(c), f});
  if (!cache || !arena || !hidden || !logits || !rotary)
    return Error{.code = ErrorCode::kOutOfMemory, .place = fmt::format("context {}", options.context)};
  CpuSizes sizes;
  sizes.cache = *cache;
  sizes.arena = *arena;
  sizes.hidden = *hidden;
  sizes.logits = *logits;
  sizes.rotary = *rotary;
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
  options_.batch = std::min(options_.batch, options_.context);
  RETORT_CHECK(allocate(sizes));
  half_ = rotary_width(model_->config) / 2;

  const std::lock_guard lock(engine_->in_use);   // repacking uses the pool
  linears_.resize(graph.weights.size());
  vectors_.resize(graph.weights.size());
  steps_.reserve(plan_.steps.size());
  for (const Step& step : plan_.steps) RETORT_CHECK(bind_step(step));
  head_node_ = &graph.nodes[static_cast<std::size_t>(plan_.head)];
  RETORT_TRY([[maybe_unused]] const auto* head, bind_linear(head_node_->weight));
  head_bias_ = bind_vector(head_node_->bias);
  release_unused_pages();
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
  attention_floats_ = sizes.attention / sizeof(float);
  hidden_capacity_ = options_.batch;
  logits_capacity_ = 1;
  if (model_->config.rope.scaling == RopeScaling::kLongRope)
    history_.reserve(static_cast<std::size_t>(options_.context));
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
  return &std::as_const(linear);
}

const float* CpuSession::bind_vector(WeightId id) {
  if (id == kNoWeight) return nullptr;
  std::vector<float>& vector = vectors_[index(id)];
  const WeightHandle& handle = model_->weights[index(id)];
  if (vector.empty()) {
    vector.resize(static_cast<std::size_t>(handle.shape[0]));
    kernels::traits(handle.type).decode(handle.data.data(), vector.data(), vector.size());
  }
  return vector.data();
}

Result<void> CpuSession::bind_step(const Step& step) {
  const Graph& graph = model_->graph;
  const auto value = [&](ValueId v) -> float* {
    const std::int64_t offset = plan_.offsets[static_cast<std::size_t>(v)];
    return offset < 0 ? nullptr : arena_.as<float>() + offset * options_.batch;
  };
  BoundStep bound;
  bound.kind = step.kind;
  bound.layer = step.layer;
  const Node& node = graph.nodes[static_cast<std::size_t>(step.nodes.front())];
  bound.node = &node;
  bound.width = graph.widths[static_cast<std::size_t>(node.output)];
  bound.out = value(node.output);
  switch (step.kind) {
    case StepKind::kEmbedding:
      embedding_ = node.weight;
      break;
    case StepKind::kNorm:
      bound.a = value(node.inputs[0]);
      bound.weight = bind_vector(node.weight);
      break;
    case StepKind::kAddNorm: {
      const Node& norm = graph.nodes[static_cast<std::size_t>(step.nodes[1])];
      bound.weight = bind_vector(norm.weight);
      bound.out = value(norm.output);
      [[fallthrough]];
    }
    case StepKind::kAdd:
    case StepKind::kGate:
      bound.a = value(node.inputs[0]);
      bound.b = value(node.inputs[1]);
      bound.sum = value(node.output);
      break;
    case StepKind::kLinears: RETORT_CHECK(bind_linears(step, bound)); break;
    case StepKind::kAttention: bind_attention(step, bound); break;
  }
  steps_.push_back(std::move(bound));
  return {};
}

Result<void> CpuSession::bind_linears(const Step& step, BoundStep& bound) {
  const Graph& graph = model_->graph;
  bound.a = arena_.as<float>() + plan_.offsets[static_cast<std::size_t>(bound.node->inputs[0])] * options_.batch;
  bound.width = graph.widths[static_cast<std::size_t>(bound.node->inputs[0])];
  for (const std::int32_t n : step.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(n)];
    RETORT_TRY(const kernels::BoundLinear* linear, bind_linear(node.weight));
    float* y = arena_.as<float>() + plan_.offsets[static_cast<std::size_t>(node.output)] * options_.batch;
    bound.calls.push_back({linear, y, linear->rows()});
    bound.biases.push_back(bind_vector(node.bias));
    bound.linears.push_back(&node);
  }
  return {};
}

void CpuSession::bind_attention(const Step& step, BoundStep& bound) {
  const Graph& graph = model_->graph;
  const auto value = [&](ValueId v) {
    return arena_.as<float>() + plan_.offsets[static_cast<std::size_t>(v)] * options_.batch;
  };
  const Node& attention = graph.nodes[static_cast<std::size_t>(step.nodes.back())];
  for (const std::int32_t n : step.nodes) {
    const ValueId rotated = graph.nodes[static_cast<std::size_t>(n)].output;
    if (rotated == attention.inputs[0]) bound.rotate_query = true;
    if (rotated == attention.inputs[1]) bound.rotate_key = true;
  }
  bound.node = &attention;
  bound.query = value(attention.inputs[0]);
  bound.key = value(attention.inputs[1]);
  bound.value = value(attention.inputs[2]);
  bound.out = value(attention.output);
  bound.width = graph.widths[static_cast<std::size_t>(attention.output)];
  bound.heads = attention.heads;
  bound.kv_heads = attention.kv_heads;
}

// Counts what the weights hold, and gives back the pages of those that were repacked and aren't read again.
void CpuSession::release_unused_pages() {
  for (std::size_t i = 0; i < model_->weights.size(); ++i) {
    const WeightHandle& handle = model_->weights[i];
    const bool repacked = linears_[i].state() && linears_[i].repacked_bytes() > 0;
    if (linears_[i].state()) weight_bytes_ += linears_[i].repacked_bytes();
    weight_bytes_ += vectors_[i].size() * sizeof(float);
    if (!repacked || static_cast<WeightId>(i) == embedding_) {
      weight_bytes_ += handle.stored_bytes();
      continue;
    }
    if (!model_->checkpoint) continue;
    for (const auto& file : model_->checkpoint->files) {
      const std::span<const std::byte> bytes = file->bytes();
      if (handle.data.data() >= bytes.data() && handle.data.data() < bytes.data() + bytes.size())
        file->done_with(static_cast<std::size_t>(handle.data.data() - bytes.data()), handle.data.size());
    }
  }
}

}  // namespace retort
