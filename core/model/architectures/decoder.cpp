// From tables and files to the configuration of a decoder.
#include "core/model/architectures/decoder.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/model/rope.h"

namespace retort {
namespace {

using kernels::Activation;

// Far beyond any model, and low enough that a product of two stays within 64 bits.
constexpr std::int64_t kLargestCount = (std::int64_t{1} << 31) - 1;
constexpr double kLargestNumber = 1e6;   // of scales and caps

struct ActivationName {
  std::string_view name;
  Activation activation;
};
constexpr std::array kActivationNames = {
    ActivationName{"silu", Activation::kSilu},
    ActivationName{"swish", Activation::kSilu},
    ActivationName{"gelu", Activation::kGelu},
    ActivationName{"gelu_python", Activation::kGelu},
    ActivationName{"gelu_new", Activation::kGeluTanh},
    ActivationName{"gelu_fast", Activation::kGeluTanh},
    ActivationName{"gelu_pytorch_tanh", Activation::kGeluTanh},
    ActivationName{"quick_gelu", Activation::kGeluQuick},
    ActivationName{"relu", Activation::kRelu},
    ActivationName{"relu2", Activation::kReluSquared},
    ActivationName{"tanh", Activation::kTanh},
    ActivationName{"sigmoid", Activation::kSigmoid},
};

Error unsupported(Error error) {
  error.code = ErrorCode::kUnsupported;
  return error;
}

Result<void> refuse(const DecoderTraits& traits, const ConfigSource& source) {
  for (const ConfigKey& key : traits.refused) {
    if (!source.has(key)) continue;
    const auto value = source.number(key);
    const auto flag = source.flag(key);
    const auto list = source.numbers(key);
    if ((value.ok() && value->value_or(0) == 0) || (flag.ok() && !flag->value_or(false)) || (list.ok() && (*list)->empty()))
      continue;
    return unsupported(source.error(key, fmt::format("a {} without it", traits.id), "present"));
  }
  return {};
}

Result<void> read_counts(const DecoderTraits& traits, const ConfigSource& source, ModelConfig& config) {
  for (const CountRow& row : traits.counts) {
    if (row.may_be_zero) {
      const auto value = source.number(row.key);
      if (value.ok() && value->value_or(0) == 0) continue;
    }
    RETORT_TRY(const auto value, source.count(row.key, kLargestCount));
    if (value) config.*row.field = *value;
    if (!value && row.required && config.*row.field == 0) {
      Error error = source.error(row.key, "a whole number", "nothing");
      error.code = ErrorCode::kMissingPart;
      return error;
    }
  }
  return {};
}

Result<void> read_numbers(const DecoderTraits& traits, const ConfigSource& source, ModelConfig& config) {
  for (const NumberRow& row : traits.numbers) {
    RETORT_TRY(const auto value, source.number(row.key));
    if (!value) continue;
    if (!(*value >= -kLargestNumber && *value <= kLargestNumber))
      return source.error(row.key, fmt::format("a number up to {}", kLargestNumber), fmt::format("{}", *value));
    config.*row.field = *value;
  }
  return {};
}

const PartRow* row_of(const DecoderTraits& traits, Part part) noexcept {
  const auto found = std::find_if(traits.parts.begin(), traits.parts.end(), [&](const PartRow& r) { return r.part == part; });
  return found == traits.parts.end() ? nullptr : &*found;
}

// What follows from other values when it isn't stated.
Result<void> derive(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                    ModelConfig& config) {
  const PartRow& embedding = *row_of(traits, Part::kEmbedding);
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
  // Both are below 2^31, their product is not.
  if (config.heads * config.head_dim > kLargestCount)
    return source.error({"head_dim", "attention.key_length"}, fmt::format("at most {} for {} heads", kLargestCount / config.heads, config.heads),
                        std::to_string(config.head_dim));
  if (config.experts_used > config.experts)
    return source.error({"num_experts_per_tok", "expert_used_count"}, fmt::format("1 to {}", config.experts),
                        std::to_string(config.experts_used));
  if (config.experts > 0 && config.expert_feed_forward == 0) config.expert_feed_forward = config.feed_forward;
  // GGUF need not state it: the embedding has one row per token.
  if (const TensorEntry* tensor = checkpoint.find(source_base(traits, embedding, 0, checkpoint) + ".weight");
      tensor && !tensor->shape.empty() && (source.gguf() || config.vocabulary == 0))
    config.vocabulary = std::min(tensor->shape[0], kLargestCount);
  if (config.vocabulary == 0)
    return Error{.code = ErrorCode::kMissingPart, .file = checkpoint.path.string(),
                 .place = source_base(traits, embedding, 0, checkpoint) + ".weight"};
  return {};
}

Result<void> read_flags(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                        ModelConfig& config) {
  for (const FlagRow& row : traits.flags) {
    RETORT_TRY(const auto value, source.flag(row.key));
    config.*row.field = value.value_or(row.otherwise);
  }
  if (!source.gguf()) return {};
  for (const PartRow& row : traits.parts) {
    const std::string base = fill_hole(row.gguf, 0);
    if (row.bias) config.*row.bias = checkpoint.find(base + ".bias") != nullptr;
    if (row.when) config.*row.when = checkpoint.find(base + ".weight") != nullptr;
    if (row.unless) config.*row.unless = checkpoint.find(base + ".weight") == nullptr;
  }
  if (const PartRow* head = row_of(traits, Part::kHead)) config.tied_head = !checkpoint.find(std::string(head->gguf) + ".weight");
  return {};
}

Result<void> read_texts(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                        ModelConfig& config) {
  RETORT_TRY(auto name, source.text({"_name_or_path", "general.name"}));
  RETORT_TRY(auto licence, source.text({"", "general.license"}));
  config.name = name && !name->empty() ? *name : checkpoint.path.filename().string();
  config.licence = licence.value_or("");
  RETORT_TRY(const auto activation, source.text(traits.activation));
  config.activation = activation.value_or(std::string(traits.activation_otherwise));
  return {};
}

Result<void> check_activation(const DecoderTraits& traits, const ConfigSource& source, const ModelConfig& config) {
  if (find_activation(config.activation)) return {};
  std::string known;
  for (const ActivationName& row : kActivationNames) known += (known.empty() ? "" : ", ") + std::string(row.name);
  return unsupported(source.error(traits.activation, "one of " + known, config.activation.substr(0, 60)));
}

Result<void> read_epsilon(const DecoderTraits& traits, const ConfigSource& source, ModelConfig& config) {
  RETORT_TRY(const auto epsilon, source.number(traits.epsilon));
  config.norm_epsilon = epsilon.value_or(traits.epsilon_otherwise);
  if (!(config.norm_epsilon >= 0 && config.norm_epsilon < 1))
    return source.error(traits.epsilon, "from 0 to 1", fmt::format("{}", config.norm_epsilon));
  return {};
}

Result<void> read_rotary(const DecoderTraits& traits, const ConfigSource& source, const Checkpoint& checkpoint,
                         ModelConfig& config) {
  if (!traits.rotary) return {};
  const RopeDefaults otherwise{.theta = traits.theta_otherwise, .part = traits.rotary_part_otherwise,
                               .gguf_interleaved = traits.gguf_interleaved, .folder_interleaved = traits.folder_interleaved};
  RETORT_TRY(config.rope, read_rope(source, config, checkpoint, otherwise));
  return {};
}

Result<void> check_numbers(const ConfigSource& source, const ModelConfig& config) {
  const std::pair<const char*, double> numbers[] = {{"attention scale", config.attention_scale},
                                                    {"attention soft cap", config.attention_soft_cap},
                                                    {"final soft cap", config.final_soft_cap}};
  for (const auto& [name, value] : numbers)
    if (!(value >= 0)) return source.error({name, name}, "0 or more", fmt::format("{}", value));
  return {};
}

// A layer's pattern has an entry for each layer.
Result<void> check_layers(const ConfigSource& source, const ModelConfig& config) {
  for (const std::vector<bool>* pattern : {&config.sliding, &config.without_rope, &config.dense})
    if (!pattern->empty() && static_cast<std::int64_t>(pattern->size()) != config.layers)
      return source.error({"num_hidden_layers", "block_count"}, fmt::format("{}, as the patterns say", pattern->size()),
                          std::to_string(config.layers));
  return {};
}

Result<void> check_ropes(const ModelConfig& config, const Checkpoint& checkpoint) {
  for (const std::int32_t rope : {0, 1}) {
    if (rope == 1 && !config.local_rope) continue;
    if (auto checked = check_rope(config, rope); !checked) {
      Error error = checked.error();
      error.file = checkpoint.path.string();
      return error;
    }
  }
  return {};
}

}  // namespace

const kernels::Activation* find_activation(std::string_view name) noexcept {
  for (const ActivationName& row : kActivationNames)
    if (row.name == name) return &row.activation;
  return nullptr;
}

std::string fill_hole(std::string_view pattern, std::int64_t number) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, hole), number, pattern.substr(hole + 2));
}

std::string source_base(const DecoderTraits& traits, const PartRow& row, std::int64_t layer, const Checkpoint& checkpoint) {
  if (checkpoint.format == CheckpointFormat::kGguf) return fill_hole(row.gguf, layer);
  std::string name = fill_hole(row.hugging_face, layer);
  const std::string_view prefix = traits.folder_prefix;
  const std::string embedding = std::string(row_of(traits, Part::kEmbedding)->hugging_face) + ".weight";
  if (name.starts_with(prefix) && !checkpoint.find(embedding) && checkpoint.find(embedding.substr(prefix.size())))
    name.erase(0, prefix.size());
  return name;
}

const PartRow* find_part(const DecoderTraits& traits, const ModelConfig& config, Part part) noexcept {
  const PartRow* const row = row_of(traits, part);
  if (!row || (row->when && !(config.*row->when)) || (row->unless && config.*row->unless)) return nullptr;
  return row;
}

bool layer_slides(const ModelConfig& config, std::int64_t layer) noexcept {
  return config.window > 0 && (config.sliding.empty() || config.sliding[static_cast<std::size_t>(layer)]);
}
bool layer_rotates(const ModelConfig& config, std::int64_t layer) noexcept {
  return config.without_rope.empty() || !config.without_rope[static_cast<std::size_t>(layer)];
}
bool layer_has_experts(const ModelConfig& config, std::int64_t layer) noexcept {
  return config.experts > 0 && (config.dense.empty() || !config.dense[static_cast<std::size_t>(layer)]);
}

Result<void> read_layer_types(const ConfigSource& source, ModelConfig& config, bool (*slides)(std::int64_t layer)) {
  const ConfigKey key{"layer_types", ""};
  RETORT_TRY(const auto types, source.texts(key));
  config.sliding.clear();
  if (!types) {
    // The number of layers is still unchecked; build_decoder refuses more than there are tensors.
    for (std::int64_t l = 0; l < std::min<std::int64_t>(config.layers, 1 << 20); ++l) config.sliding.push_back(slides(l));
    return {};
  }
  for (const std::string& type : *types) {
    if (type != "sliding_attention" && type != "full_attention")
      return unsupported(source.error(key, "sliding_attention or full_attention", type.substr(0, 60)));
    config.sliding.push_back(type == "sliding_attention");
  }
  return {};
}

Result<ModelConfig> configure_decoder(const DecoderTraits& traits, const Checkpoint& checkpoint) {
  RETORT_TRY(const ConfigSource source, ConfigSource::open(checkpoint));
  ModelConfig config;
  config.architecture = std::string(traits.id);
  RETORT_CHECK(refuse(traits, source));
  RETORT_CHECK(read_counts(traits, source, config));
  RETORT_CHECK(derive(traits, source, checkpoint, config));
  RETORT_CHECK(read_numbers(traits, source, config));
  RETORT_CHECK(read_flags(traits, source, checkpoint, config));
  RETORT_CHECK(read_texts(traits, source, checkpoint, config));
  if (config.context == 0) config.context = 2048;   // transformers' default for this key
  RETORT_CHECK(read_epsilon(traits, source, config));
  RETORT_TRY(const auto value_length, source.number({"", "attention.value_length"}));
  if (value_length && *value_length != static_cast<double>(config.head_dim))
    return unsupported(source.error({"", "attention.value_length"}, std::to_string(config.head_dim),
                                    fmt::format("{}", *value_length)));
  RETORT_CHECK(read_rotary(traits, source, checkpoint, config));
  if (traits.adjust) RETORT_CHECK(traits.adjust(source, config));
  RETORT_CHECK(check_activation(traits, source, config));
  RETORT_CHECK(check_numbers(source, config));
  RETORT_CHECK(check_layers(source, config));
  if (traits.rotary) RETORT_CHECK(check_ropes(config, checkpoint));
  return config;
}

}  // namespace retort
