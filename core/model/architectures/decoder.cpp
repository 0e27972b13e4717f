#include "core/model/architectures/decoder.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/model/rope.h"

namespace retort {
namespace {

// Far beyond any model, and low enough that a product of two stays within 64 bits.
constexpr std::int64_t kLargestCount = (std::int64_t{1} << 31) - 1;

const PartRow& row_of(const DecoderTraits& traits, Part part) {
  return *std::find_if(traits.parts.begin(), traits.parts.end(), [&](const PartRow& r) { return r.part == part; });
}

std::int64_t size_of(const ModelConfig& c, Dim dim) {
  switch (dim) {
    case Dim::kNone: return 1;
    case Dim::kVocabulary: return c.vocabulary;
    case Dim::kHidden: return c.hidden;
    case Dim::kQuery: return c.heads * c.head_dim;
    case Dim::kKeyValue: return c.kv_heads * c.head_dim;
    case Dim::kFeedForward: return c.feed_forward;
  }
  return 0;
}

// "model.layers.{}.x" of layer 3: "model.layers.3.x".
std::string in_layer(std::string_view pattern, std::int64_t layer) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, hole), layer, pattern.substr(hole + 2));
}

// Folders saved from the bare decoder lack the "model." before every name.
std::string source_base(const PartRow& row, std::int64_t layer, const Checkpoint& checkpoint) {
  constexpr std::string_view kPrefix = "model.";
  if (checkpoint.format == CheckpointFormat::kGguf) return in_layer(row.gguf, layer);
  std::string name = in_layer(row.hugging_face, layer);
  if (name.starts_with(kPrefix) && !checkpoint.find(name + ".weight") &&
      checkpoint.find(name.substr(kPrefix.size()) + ".weight"))
    name.erase(0, kPrefix.size());
  return name;
}

Result<void> refuse(const DecoderTraits& traits, const ConfigSource& source) {
  for (const ConfigKey& key : traits.refused) {
    if (!source.has(key)) continue;
    const auto value = source.number(key);
    if (value.ok() && value->value_or(0) == 0) continue;
    Error error = source.error(key, fmt::format("a {} without it", traits.id), "present");
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  return {};
}

Result<void> read_counts(const DecoderTraits& traits, const ConfigSource& source, ModelConfig& config) {
  for (const CountRow& row : traits.counts) {
    RETORT_TRY(const auto value, source.count(row.key, kLargestCount));
    if (value) config.*row.field = *value;
    if (!value && row.required) {
      Error error = source.error(row.key, "a whole number", "nothing");
      error.code = ErrorCode::kMissingPart;
      return error;
    }
  }
  return {};
}

// What follows from other values when it isn't stated.
Result<void> derive(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                    ModelConfig& config) {
  const PartRow& embedding = row_of(traits, Part::kEmbedding);
  if (config.kv_heads == 0) config.kv_heads = config.heads;
  if (config.head_dim == 0) {
    if (config.hidden % config.heads != 0)
      return source.error({"num_attention_heads", "attention.head_count"},
                          fmt::format("a divisor of {}", config.hidden), std::to_string(config.heads));
    config.head_dim = config.hidden / config.heads;
  }
  if (config.heads % config.kv_heads != 0)
    return source.error({"num_key_value_heads", "attention.head_count_kv"},
                        fmt::format("a divisor of {}", config.heads), std::to_string(config.kv_heads));
  // GGUF need not state it: the embedding has one row per token.
  if (const TensorEntry* tensor = checkpoint.find(source_base(embedding, 0, checkpoint) + ".weight");
      tensor && !tensor->shape.empty() && (source.gguf() || config.vocabulary == 0))
    config.vocabulary = std::min(tensor->shape[0], kLargestCount);
  if (config.vocabulary == 0)
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(),
                 .place = source_base(embedding, 0, checkpoint) + ".weight"};
  return {};
}

Result<void> read_biases(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                         ModelConfig& config) {
  if (source.gguf()) {
    for (const PartRow& row : traits.parts)
      if (row.bias && checkpoint.find(in_layer(row.gguf, 0) + ".bias")) config.*row.bias = true;
    config.tied_head = !checkpoint.find(in_layer(row_of(traits, Part::kHead).gguf, 0) + ".weight");
    return {};
  }
  RETORT_TRY(const auto attention, source.flag({"attention_bias", ""}));
  RETORT_TRY(const auto mlp, source.flag({"mlp_bias", ""}));
  RETORT_TRY(const auto tied, source.flag({"tie_word_embeddings", ""}));
  config.attention_bias = config.attention_output_bias = attention.value_or(false);
  config.mlp_bias = mlp.value_or(false);
  config.tied_head = tied.value_or(false);
  return {};
}

Result<void> read_texts(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                        ModelConfig& config) {
  RETORT_TRY(auto name, source.text({"_name_or_path", "general.name"}));
  RETORT_TRY(auto licence, source.text({"", "general.license"}));
  config.name = name && !name->empty() ? *name : checkpoint.path.filename().string();
  config.licence = licence.value_or("");
  const ConfigKey activation_key{"hidden_act", ""};
  RETORT_TRY(auto activation, source.text(activation_key));
  if (activation && std::find(traits.activations.begin(), traits.activations.end(), *activation) ==
                        traits.activations.end()) {
    Error error = source.error(activation_key, std::string(traits.activations.front()), activation->substr(0, 60));
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  return {};
}

// Appends nodes and weights of one model.
class Builder {
 public:
  Builder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint)
      : traits_(traits), config_(config), checkpoint_(checkpoint) {
    graph_.tokens = value(1);
  }

  ValueId value(std::int64_t width) {
    graph_.widths.push_back(width);
    return static_cast<ValueId>(graph_.widths.size()) - 1;
  }

  WeightId weight(const std::string& canonical, const std::string& source, std::vector<std::int64_t> shape) {
    graph_.weights.push_back({canonical, source, std::move(shape)});
    return static_cast<WeightId>(graph_.weights.size()) - 1;
  }

  // A node over one part's weight; its output is as wide as the weight has rows, unless `width` says otherwise.
  Node& add(Op op, Part part, std::vector<ValueId> inputs, std::int64_t width, std::int32_t layer) {
    const PartRow& row = row_of(traits_, part);
    const std::string base = in_layer(row.gguf, layer), source = source_base(row, layer, checkpoint_);
    const std::int64_t rows = size_of(config_, row.rows);
    std::vector<std::int64_t> shape = {rows};
    if (row.columns != Dim::kNone) shape.push_back(size_of(config_, row.columns));
    Node node{.op = op, .name = base, .inputs = std::move(inputs), .output = value(width), .layer = layer};
    node.weight = weight(base + ".weight", source + ".weight", std::move(shape));
    if (row.bias && config_.*row.bias) node.bias = weight(base + ".bias", source + ".bias", {rows});
    return graph_.nodes.emplace_back(std::move(node));
  }

  ValueId linear(Part part, ValueId x, std::int32_t layer) {
    const std::int64_t rows = size_of(config_, row_of(traits_, part).rows);
    return add(Op::kLinear, part, {x}, rows, layer).output;
  }
  ValueId norm(Part part, ValueId x, std::int32_t layer) {
    return add(Op::kRmsNorm, part, {x}, config_.hidden, layer).output;
  }
  ValueId plain(Op op, std::string_view name, std::vector<ValueId> inputs, std::int64_t width, std::int32_t layer,
                std::int64_t heads = 0, std::int64_t kv_heads = 0) {
    return graph_.nodes
        .emplace_back(Node{.op = op, .name = fmt::format("blk.{}.{}", layer, name), .inputs = std::move(inputs),
                           .output = value(width), .layer = layer, .heads = heads, .kv_heads = kv_heads})
        .output;
  }

  // Pre-norm attention and feed-forward, each added to the residual stream x.
  ValueId layer(ValueId x, std::int32_t l) {
    const std::int64_t query = size_of(config_, Dim::kQuery), key = size_of(config_, Dim::kKeyValue);
    const ValueId h = norm(Part::kAttentionNorm, x, l);
    const ValueId q = linear(Part::kQuery, h, l), k = linear(Part::kKey, h, l), v = linear(Part::kValue, h, l);
    const ValueId rq = plain(Op::kRope, "rope_q", {q}, query, l, config_.heads);
    const ValueId rk = plain(Op::kRope, "rope_k", {k}, key, l, config_.kv_heads);
    const ValueId a = plain(Op::kAttention, "attention", {rq, rk, v}, query, l, config_.heads, config_.kv_heads);
    const ValueId o = linear(Part::kAttentionOutput, a, l);
    const ValueId y = plain(Op::kAdd, "attention_residual", {x, o}, config_.hidden, l);
    const ValueId f = norm(Part::kFeedForwardNorm, y, l);
    const ValueId gate = linear(Part::kGate, f, l), up = linear(Part::kUp, f, l);
    const ValueId s = plain(Op::kSiluGate, "ffn_act", {gate, up}, config_.feed_forward, l);
    const ValueId d = linear(Part::kDown, s, l);
    return plain(Op::kAdd, "ffn_residual", {y, d}, config_.hidden, l);
  }

  Graph finish() && {
    const Node& embedding = add(Op::kEmbedding, Part::kEmbedding, {graph_.tokens}, config_.hidden, -1);
    const WeightId embedding_weight = embedding.weight;
    ValueId x = embedding.output;
    for (std::int64_t l = 0; l < config_.layers; ++l) x = layer(x, static_cast<std::int32_t>(l));
    graph_.hidden = norm(Part::kFinalNorm, x, -1);
    if (config_.tied_head) {
      Node head{.op = Op::kLinear, .name = std::string(row_of(traits_, Part::kHead).gguf), .inputs = {graph_.hidden},
                .output = value(config_.vocabulary)};
      head.weight = embedding_weight;
      graph_.logits = graph_.nodes.emplace_back(std::move(head)).output;
    } else {
      graph_.logits = linear(Part::kHead, graph_.hidden, -1);
    }
    return std::move(graph_);
  }

 private:
  const DecoderTraits& traits_;
  const ModelConfig& config_;
  const Checkpoint& checkpoint_;
  Graph graph_;
};

}  // namespace

Result<ModelConfig> configure_decoder(const DecoderTraits& traits, const Checkpoint& checkpoint) {
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  ModelConfig config;
  config.architecture = std::string(traits.id);
  RETORT_CHECK(refuse(traits, source));
  RETORT_CHECK(read_counts(traits, source, config));
  RETORT_CHECK(derive(traits, source, checkpoint, config));
  RETORT_CHECK(read_biases(traits, source, checkpoint, config));
  RETORT_CHECK(read_texts(traits, source, checkpoint, config));
  if (config.context == 0) config.context = 2048;   // transformers' default for this key

  const ConfigKey epsilon_key{"rms_norm_eps", "attention.layer_norm_rms_epsilon"};
  RETORT_TRY(const auto epsilon, source.number(epsilon_key));
  config.norm_epsilon = epsilon.value_or(1e-6);
  if (!(config.norm_epsilon >= 0 && config.norm_epsilon < 1))
    return source.error(epsilon_key, "from 0 to 1", fmt::format("{}", config.norm_epsilon));
  RETORT_TRY(const auto value_length, source.number({"", "attention.value_length"}));
  if (value_length && *value_length != static_cast<double>(config.head_dim)) {
    Error error = source.error({"", "attention.value_length"}, std::to_string(config.head_dim),
                               fmt::format("{}", *value_length));
    error.code = ErrorCode::kUnsupported;
    return error;
  }

  RETORT_TRY(config.rope, read_rope(source, config, checkpoint));
  if (auto checked = check_rope(config); !checked) {
    Error error = checked.error();
    error.file = checkpoint.path.string();
    return error;
  }
  return config;
}

Result<Graph> build_decoder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint) {
  // The graph's size is in the hands of the file: don't build more layers than it can have tensors for.
  if (static_cast<std::uint64_t>(config.layers) > checkpoint.tensors.size())
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(),
                 .place = fmt::format("layers {} to {}", checkpoint.tensors.size(), config.layers - 1),
                 .expected = fmt::format("tensors for {} layers", config.layers),
                 .found = fmt::format("{} tensors", checkpoint.tensors.size())};
  return Builder(traits, config, checkpoint).finish();
}

}  // namespace retort
