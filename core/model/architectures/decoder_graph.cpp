// From the configuration of a decoder to its graph.
#include <cmath>

#include "core/model/architectures/graph_builder.h"

namespace retort {
namespace {

class Builder : GraphBuilder {
 public:
  Builder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint)
      : GraphBuilder(traits, config, checkpoint) {}

  Graph finish() && {
    const Node& embedding = add(Op::kEmbedding, Part::kEmbedding, {graph_.tokens}, config_.hidden, -1);
    const WeightId embedding_weight = embedding.weight;
    ValueId x = scale(embedding.output, config_.embedding_scale, "embedding_scale", -1);
    if (const PartRow* row = part(Part::kPositions)) {
      const ValueId p = add(Op::kEmbedding, *row, {graph_.tokens}, config_.hidden, -1).output;
      graph_.nodes.back().lookup = Lookup::kPosition;
      x = plain(Op::kAdd, "embedding_sum", {x, p}, config_.hidden, -1);
    }
    for (std::int64_t l = 0; l < config_.layers; ++l) x = layer(x, static_cast<std::int32_t>(l));
    graph_.hidden = norm(Part::kFinalNorm, x, -1);
    head(embedding_weight);
    return std::move(graph_);
  }

 private:
  // Of queries or keys: over each head by itself, unless the weight covers all of them.
  ValueId head_norm(Part p, ValueId x, std::int32_t layer, std::int64_t heads) {
    if (!part(p)) return x;
    const ValueId y = norm(p, x, layer);
    const PartRow& row = *part(p);
    const bool whole = row.columns == Dim::kNone && row.rows != Dim::kHeadDim;
    graph_.nodes.back().groups = whole ? 1 : heads;
    return y;
  }

  ValueId slice(ValueId x, std::string_view name, std::int64_t first, std::int64_t count, std::int64_t period, std::int32_t layer) {
    const ValueId y = plain(Op::kSlice, name, {x}, width(x) / period * count, layer);
    Node& node = graph_.nodes.back();
    node.first = first;
    node.count = count;
    node.period = period;
    return y;
  }
  ValueId rotate(ValueId x, std::string_view name, std::int64_t heads, std::int32_t layer) {
    if (!traits_.rotary || !layer_rotates(config_, layer)) return x;
    const ValueId y = plain(Op::kRope, name, {x}, width(x), layer);
    graph_.nodes.back().heads = heads;
    graph_.nodes.back().rope = config_.local_rope && layer_slides(config_, layer) ? 1 : 0;
    return y;
  }

  struct Qkv {
    ValueId q, k, v;
  };
  Qkv project(ValueId x, std::int32_t l) {
    if (!part(Part::kQkv)) {
      const ValueId q = linear(Part::kQuery, x, l), k = linear(Part::kKey, x, l), v = linear(Part::kValue, x, l);
      return {q, k, v};
    }
    const ValueId all = linear(Part::kQkv, x, l);
    const std::int64_t d = config_.head_dim;
    if (folder_ && traits_.folder_qkv == QkvOrder::kPerHead)
      return {slice(all, "q", 0, d, 3 * d, l), slice(all, "k", d, d, 3 * d, l), slice(all, "v", 2 * d, d, 3 * d, l)};
    const std::int64_t query = config_.heads * d, key = config_.kv_heads * d, period = query + 2 * key;
    return {slice(all, "q", 0, query, period, l), slice(all, "k", query, key, period, l),
            slice(all, "v", query + key, key, period, l)};
  }

  ValueId attention(ValueId x, std::int32_t l) {
    Qkv p = project(x, l);
    p.q = head_norm(Part::kQueryNorm, p.q, l, config_.heads);
    p.k = head_norm(Part::kKeyNorm, p.k, l, config_.kv_heads);
    const ValueId q = rotate(p.q, "rope_q", config_.heads, l), k = rotate(p.k, "rope_k", config_.kv_heads, l);
    const ValueId a = plain(Op::kAttention, "attention", {q, k, p.v}, size_of(config_, Dim::kQuery), l);
    Node& node = graph_.nodes.back();
    node.heads = config_.heads;
    node.kv_heads = config_.kv_heads;
    node.scale = config_.attention_scale > 0 ? static_cast<float>(config_.attention_scale)
                                             : 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
    node.soft_cap = static_cast<float>(config_.attention_soft_cap);
    node.window = layer_slides(config_, l) ? config_.window : 0;
    return linear(Part::kAttentionOutput, a, l);
  }

  ValueId activated(std::string_view name, ValueId gate, ValueId up, std::int32_t l) {
    const ValueId y = plain(Op::kGate, name, {gate, up}, width(up), l);
    graph_.nodes.back().activation = activation_;
    return y;
  }

  ValueId feed_forward(ValueId x, std::int32_t l) {
    if (part(Part::kRouter) && layer_has_experts(config_, l)) return mixture(x, l);
    ValueId s;
    if (part(Part::kGateUp)) {
      const std::int64_t n = config_.feed_forward;
      const ValueId both = linear(Part::kGateUp, x, l);
      s = activated("ffn_act", slice(both, "gate", 0, n, 2 * n, l), slice(both, "up", n, n, 2 * n, l), l);
    } else if (part(Part::kGate)) {
      const ValueId gate = linear(Part::kGate, x, l), up = linear(Part::kUp, x, l);
      s = activated("ffn_act", gate, up, l);
    } else {
      s = plain(Op::kActivation, "ffn_act", {linear(Part::kUp, x, l)}, config_.feed_forward, l);
      graph_.nodes.back().activation = activation_;
    }
    return linear(Part::kDown, s, l);
  }

  // One expert's linear: a stacked tensor's block of rows where the file has one, else a tensor of its own.
  Node expert_linear(Part p, std::int64_t expert, std::int32_t l, std::vector<ValueId> inputs) {
    const PartRow& row = *part(p);
    const std::string stacked = fill_hole(row.gguf, l);
    std::string base = stacked.substr(0, stacked.size() - std::string_view("_exps").size());
    base = fmt::format("{}.{}", base, expert);
    WeightSpec spec{.name = base + ".weight", .source_name = {}, .shape = shape_of(row)};
    if (!folder_ && checkpoint_.find(stacked + ".weight")) {
      spec.source_name = stacked + ".weight";
      spec.stored = Stored::kStacked;
      spec.part = expert;
      spec.of = config_.experts;
    } else {
      spec.source_name = (folder_ ? fill_hole(source_base(traits_, row, l, checkpoint_), expert) : base) + ".weight";
    }
    Node node{.op = Op::kLinear, .name = base, .inputs = std::move(inputs), .layer = l};
    node.weight = weight(std::move(spec));
    return node;
  }

  ValueId mixture(ValueId x, std::int32_t l) {
    const ValueId router = linear(Part::kRouter, x, l);
    std::vector<Node> experts;
    for (std::int64_t e = 0; e < config_.experts; ++e) {
      experts.push_back(expert_linear(Part::kExpertGate, e, l, {x}));
      experts.push_back(expert_linear(Part::kExpertUp, e, l, {x}));
      experts.push_back(expert_linear(Part::kExpertDown, e, l, {}));
    }
    const ValueId y = plain(Op::kExperts, "experts", {x, router}, config_.hidden, l);
    Node& node = graph_.nodes.back();
    node.experts = std::move(experts);
    node.experts_used = config_.experts_used;
    node.normalize_experts = config_.normalize_experts;
    node.activation = activation_;
    if (!part(Part::kSharedGate)) return y;
    const ValueId gate = linear(Part::kSharedGate, x, l), up = linear(Part::kSharedUp, x, l);
    ValueId shared = linear(Part::kSharedDown, activated("shared_act", gate, up, l), l);
    if (part(Part::kSharedRouter)) {
      const ValueId share = plain(Op::kActivation, "shared_share", {linear(Part::kSharedRouter, x, l)}, 1, l);
      graph_.nodes.back().activation = kernels::Activation::kSigmoid;
      shared = plain(Op::kMultiply, "shared", {shared, share}, config_.hidden, l);
    }
    return plain(Op::kAdd, "experts_sum", {y, shared}, config_.hidden, l);
  }

  ValueId layer(ValueId x, std::int32_t l) {
    const std::int64_t n = config_.hidden;
    const ValueId h = norm_if(Part::kAttentionNorm, x, l);
    ValueId a = norm_if(Part::kPostAttentionNorm, attention(h, l), l);
    a = scale(a, config_.residual_scale, "attention_scale", l);
    if (config_.parallel_residual) {
      const ValueId f = part(Part::kFeedForwardNorm) ? norm(Part::kFeedForwardNorm, x, l) : h;
      const ValueId d = scale(feed_forward(f, l), config_.residual_scale, "ffn_scale", l);
      const ValueId y = plain(Op::kAdd, "attention_residual", {x, a}, n, l);
      return plain(Op::kAdd, "ffn_residual", {y, d}, n, l);
    }
    const ValueId y = plain(Op::kAdd, "attention_residual", {x, a}, n, l);
    ValueId d = feed_forward(norm_if(Part::kFeedForwardNorm, y, l), l);
    d = norm_if(Part::kPostFeedForwardNorm, d, l);
    d = scale(d, config_.residual_scale, "ffn_scale", l);
    return plain(Op::kAdd, "ffn_residual", {y, d}, n, l);
  }

  void head(WeightId embedding) {
    ValueId y;
    if (config_.tied_head) {
      Node node{.op = Op::kLinear, .name = std::string(part(Part::kHead)->gguf), .inputs = {graph_.hidden},
                .output = value(config_.vocabulary)};
      node.weight = embedding;
      y = graph_.nodes.emplace_back(std::move(node)).output;
    } else {
      y = linear(Part::kHead, graph_.hidden, -1);
    }
    y = scale(y, config_.logit_scale, "logit_scale", -1);
    if (config_.final_soft_cap > 0) {
      y = plain(Op::kSoftCap, "logit_cap", {y}, config_.vocabulary, -1);
      graph_.nodes.back().scale = static_cast<float>(config_.final_soft_cap);
    }
    graph_.logits = y;
  }
};

}  // namespace

Result<Graph> build_decoder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint) {
  // The graph's size is in the hands of the file: don't build more than it can have tensors for.
  constexpr std::uint64_t kMostExperts = 4096, kMostStacked = 1 << 17;
  const std::uint64_t tensors = checkpoint.tensors.size(), experts = static_cast<std::uint64_t>(config.experts);
  std::uint64_t sparse = 0;
  if (static_cast<std::uint64_t>(config.layers) <= tensors && experts <= kMostExperts)
    for (std::int64_t l = 0; l < config.layers; ++l) sparse += layer_has_experts(config, l) ? 1 : 0;
  // A stacked tensor holds all experts of a layer.
  const bool folder = checkpoint.format != CheckpointFormat::kGguf;
  if (static_cast<std::uint64_t>(config.layers) > tensors || experts > kMostExperts || sparse * experts > (folder ? tensors : kMostStacked))
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(),
                 .place = fmt::format("layers 0 to {}", config.layers - 1),
                 .expected = fmt::format("tensors for {} layers of {} experts", config.layers, config.experts),
                 .found = fmt::format("{} tensors", tensors)};
  return Builder(traits, config, checkpoint).finish();
}

}  // namespace retort
