#include "core/model/architectures/encoder.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/model/architectures/graph_builder.h"

namespace retort {
namespace {

constexpr std::int64_t kMostLabels = 1 << 20;

const HeadRow* head_of(const EncoderTraits& traits, const ConfigSource& source) {
  for (const HeadRow& row : traits.heads)
    if (row.class_name == source.architecture()) return &row;
  return nullptr;
}

// The last linear of a classifier has a row for each label.
Result<void> read_labels(const HeadRow& head, const ConfigSource& source, const Checkpoint& checkpoint, ModelConfig& config) {
  for (const HeadStep& step : head.steps) {
    if (step.what != HeadStep::What::kDense || step.rows != Dim::kLabels) continue;
    const TensorEntry* tensor = checkpoint.find(std::string(step.name) + ".weight");
    if (!tensor || tensor->shape.size() != 2 || tensor->shape[0] < 1 || tensor->shape[0] > kMostLabels)
      return Error{.code = tensor ? ErrorCode::kBadShape : ErrorCode::kMissingPart, .file = checkpoint.path.string(),
                   .place = std::string(step.name) + ".weight", .expected = fmt::format("[labels, {}]", config.hidden),
                   .found = tensor ? "another shape" : "no such tensor"};
    config.labels = tensor->shape[0];
    RETORT_TRY(auto names, source.numbered_texts({"id2label", ""}, static_cast<std::size_t>(config.labels)));
    if (names && static_cast<std::int64_t>(names->size()) == config.labels) config.label_names = std::move(*names);
  }
  return {};
}

// GGUF's pooling_type: 0 none, 1 mean, 2 first token, 3 last token, 4 a classifier.
Result<void> read_gguf_pooling(const ConfigSource& source, ModelConfig& config) {
  const ConfigKey key{"", "pooling_type"};
  RETORT_TRY(const auto type, source.number(key));
  constexpr std::string_view kNames[] = {"", "mean", "cls", "lasttoken"};
  if (!type) return {};
  if (*type == 0 || *type == 1 || *type == 2 || *type == 3) {
    config.pooling = kNames[static_cast<std::size_t>(*type)];
    return {};
  }
  Error error = source.error(key, "0 to 3", fmt::format("{}", *type));
  error.code = ErrorCode::kUnsupported;
  return error;
}

Pool pool_named(std::string_view name) {
  if (name == "cls") return Pool::kFirst;
  if (name == "lasttoken") return Pool::kLast;
  if (name == "max") return Pool::kMax;
  return name == "mean" ? Pool::kMean : Pool::kMeanSqrt;
}

class EncoderBuilder : GraphBuilder {
 public:
  EncoderBuilder(const EncoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint)
      : GraphBuilder(traits.base, config, checkpoint) {
    graph_.causal = false;
    graph_.head = HeadKind::kNone;
  }

  Graph finish(const HeadRow* head) && {
    ValueId x = embeddings();
    const bool shared = config_.layer_groups > 0;
    for (std::int64_t l = 0; l < config_.layers; ++l) {
      if (shared) stored_ = Shared{l * config_.layer_groups / config_.layers, 0};
      for (std::int64_t i = 0; i < (shared ? config_.layers_per_group : 1); ++i) {
        if (stored_) stored_->inner = i;
        x = layer(x, static_cast<std::int32_t>(l));
      }
      stored_.reset();
    }
    graph_.hidden = x;
    if (head && head->kind != HeadKind::kNone) add_head(*head);
    else if (!config_.pooling.empty()) add_embedding();
    return std::move(graph_);
  }

 private:
  ValueId look_up(Part p, Lookup lookup) {
    const ValueId y = add(Op::kEmbedding, p, {graph_.tokens}, size_of(config_, part(p)->columns), -1).output;
    graph_.nodes.back().lookup = lookup;
    return y;
  }

  ValueId embeddings() {
    ValueId x = look_up(Part::kEmbedding, Lookup::kToken);
    embedding_ = graph_.nodes.back().weight;
    if (part(Part::kTypes) && config_.token_types > 0)
      x = plain(Op::kAdd, "type_sum", {x, look_up(Part::kTypes, Lookup::kType)}, width(x), -1);
    if (part(Part::kPositions) && config_.positions > 0)
      x = plain(Op::kAdd, "position_sum", {x, look_up(Part::kPositions, Lookup::kPosition)}, width(x), -1);
    x = norm(Part::kEmbeddingNorm, x, -1);
    if (part(Part::kEmbeddingProjection) && config_.embedding_width > 0) x = linear(Part::kEmbeddingProjection, x, -1);
    return x;
  }

  ValueId layer(ValueId x, std::int32_t l) {
    const ValueId q = linear(Part::kQuery, x, l), k = linear(Part::kKey, x, l), v = linear(Part::kValue, x, l);
    const ValueId a = plain(Op::kAttention, "attention", {q, k, v}, config_.hidden, l);
    Node& node = graph_.nodes.back();
    node.causal = false;
    node.heads = node.kv_heads = config_.heads;
    node.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
    if (const PartRow* row = part(Part::kRelativeBias)) {
      if (relative_ == kNoWeight)
        relative_ = weight({.name = std::string(row->gguf) + ".weight",
                            .source_name = source_base(traits_, *row, -1, checkpoint_) + ".weight",
                            .shape = shape_of(*row)});
      node.weight = relative_;
    }
    const ValueId o = linear(Part::kAttentionOutput, a, l);
    const ValueId y = norm(Part::kPostAttentionNorm, plain(Op::kAdd, "attention_residual", {x, o}, config_.hidden, l), l);
    const ValueId s = plain(Op::kActivation, "ffn_act", {linear(Part::kUp, y, l)}, config_.feed_forward, l);
    graph_.nodes.back().activation = activation_;
    const ValueId d = linear(Part::kDown, s, l);
    return norm(Part::kPostFeedForwardNorm, plain(Op::kAdd, "ffn_residual", {y, d}, config_.hidden, l), l);
  }

  ValueId pooled(Pool how) {
    const ValueId y = plain(Op::kPool, "pool", {graph_.hidden}, config_.hidden, -1);
    graph_.nodes.back().pool = how;
    return y;
  }

  void add_embedding() {
    graph_.head = HeadKind::kEmbedding;
    graph_.logits = pooled(pool_named(config_.pooling));
    if (config_.normalize_embedding) graph_.logits = plain(Op::kNormalize, "normalize", {graph_.logits}, config_.hidden, -1);
  }

  void add_head(const HeadRow& head) {
    graph_.head = head.kind;
    ValueId x = head.pooled ? pooled(Pool::kFirst) : graph_.hidden;
    for (const HeadStep& step : head.steps) {
      switch (step.what) {
        case HeadStep::What::kActivation:
          x = plain(Op::kActivation, "head_act", {x}, width(x), -1);
          graph_.nodes.back().activation = step.activation.value_or(activation_);
          break;
        case HeadStep::What::kDense:
        case HeadStep::What::kNorm: {
          const bool dense = step.what == HeadStep::What::kDense;
          PartRow row{Part::kHead, step.canonical, step.name, step.rows, dense ? step.columns : Dim::kNone};
          row.biased = true;
          x = add(dense ? Op::kLinear : Op::kLayerNorm, row, {x}, size_of(config_, step.rows), -1).output;
          break;
        }
        case HeadStep::What::kVocabulary: x = vocabulary(step, x); break;
      }
    }
    graph_.logits = x;
  }

  ValueId vocabulary(const HeadStep& step, ValueId x) {
    Node node{.op = Op::kLinear, .name = std::string(step.canonical), .inputs = {x}, .output = value(config_.vocabulary)};
    const std::string own = std::string(step.name) + ".weight", own_bias = std::string(step.name) + ".bias";
    node.weight = config_.tied_head ? embedding_
                                    : weight({.name = node.name + ".weight", .source_name = own,
                                              .shape = {config_.vocabulary, size_of(config_, step.columns)}});
    const bool given = checkpoint_.find(step.bias) || !checkpoint_.find(own_bias);
    node.bias = weight({.name = node.name + ".bias", .source_name = given && !step.bias.empty() ? std::string(step.bias) : own_bias,
                        .shape = {config_.vocabulary}});
    return graph_.nodes.emplace_back(std::move(node)).output;
  }

  WeightId embedding_ = kNoWeight, relative_ = kNoWeight;
};

}  // namespace

std::vector<std::string> class_names(const EncoderTraits& traits) {
  std::vector<std::string> names;
  for (const HeadRow& row : traits.heads) names.emplace_back(row.class_name);
  return names;
}

Result<void> check_absolute_positions(const ConfigSource& source) {
  const ConfigKey key{"position_embedding_type", ""};
  RETORT_TRY(const auto type, source.text(key));
  const std::string name = type.value_or("absolute");
  if (name == "absolute") return {};
  Error error = source.error(key, "absolute", name.substr(0, 60));
  error.code = ErrorCode::kUnsupported;
  return error;
}

Result<void> read_padded_positions(const ConfigSource& source, ModelConfig& config) {
  const ConfigKey key{"pad_token_id", ""};
  RETORT_TRY(const auto pad, source.number(key));
  config.pad_token = 1;   // the classes' own default
  if (pad && !(*pad >= 0 && *pad < static_cast<double>(config.positions)))
    return source.error(key, fmt::format("0 to {}", config.positions - 1), fmt::format("{}", *pad));
  if (pad) config.pad_token = static_cast<std::int64_t>(*pad);
  config.position_offset = config.pad_token + 1;
  config.positions_skip_padding = true;
  return {};
}

Result<ModelConfig> configure_encoder(const EncoderTraits& traits, const Checkpoint& checkpoint) {
  RETORT_TRY(ModelConfig config, configure_decoder(traits.base, checkpoint));
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  if (config.head_dim * config.heads != config.hidden)
    return source.error({"num_attention_heads", "attention.head_count"}, fmt::format("a divisor of {}", config.hidden),
                        std::to_string(config.heads));
  if (config.embedding_width == config.hidden && !find_part(traits.base, config, Part::kEmbeddingProjection)) config.embedding_width = 0;
  if (source.gguf()) {
    RETORT_CHECK(read_gguf_pooling(source, config));
    return config;
  }
  // A class that no row names would compute something else.
  const HeadRow* head = head_of(traits, source);
  if (head) RETORT_CHECK(read_labels(*head, source, checkpoint, config));
  if (!head || head->kind == HeadKind::kNone) RETORT_CHECK(read_sentence_modules(checkpoint, config));
  return config;
}

Result<Graph> build_encoder(const EncoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint) {
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  const std::uint64_t tensors = checkpoint.tensors.size();
  // ALBERT's layers share their tensors, so their number needs a bound of its own.
  const bool shared = config.layer_groups > 0;
  const std::uint64_t layers = static_cast<std::uint64_t>(config.layers), inner = static_cast<std::uint64_t>(config.layers_per_group);
  if (shared ? layers > 1024 || inner > 1024 || config.layer_groups > config.layers : layers > tensors)
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(), .place = "layers",
                 .expected = fmt::format("tensors for {} layers", config.layers), .found = fmt::format("{} tensors", tensors)};
  return EncoderBuilder(traits, config, checkpoint).finish(head_of(traits, source));
}

}  // namespace retort
