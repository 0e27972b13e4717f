// The rotary configuration in all its spellings: GGUF keys and tensors, transformers 4 and 5.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "core/model/architectures/decoder.h"
#include "core/model/rope.h"

namespace retort {
namespace {

struct ScalingName {
  std::string_view name;
  RopeScaling scaling;
};
constexpr std::array kScalingNames = {
    ScalingName{"default", RopeScaling::kNone},   ScalingName{"none", RopeScaling::kNone},
    ScalingName{"linear", RopeScaling::kLinear},  ScalingName{"dynamic", RopeScaling::kDynamic},
    ScalingName{"llama3", RopeScaling::kLlama3},  ScalingName{"yarn", RopeScaling::kYarn},
    ScalingName{"longrope", RopeScaling::kLongRope}, ScalingName{"su", RopeScaling::kLongRope},
};

Result<RopeScaling> scaling_named(const ConfigSource& source, const ConfigKey& key, const std::string& name) {
  for (const ScalingName& row : kScalingNames)
    if (row.name == name) return row.scaling;
  Error error = source.error(key, "default, linear, dynamic, llama3, yarn or longrope", name.substr(0, 60));
  error.code = ErrorCode::kUnsupported;
  return error;
}

Result<void> read_into(const ConfigSource& source, const ConfigKey& key, double& field) {
  RETORT_TRY(const auto value, source.number(key));
  if (value) field = *value;
  return {};
}
Result<void> read_into(const ConfigSource& source, const ConfigKey& key, std::optional<double>& field) {
  RETORT_TRY(const auto value, source.number(key));
  if (value) field = value;
  return {};
}
Result<void> read_into(const ConfigSource& source, const ConfigKey& key, std::vector<double>& field) {
  RETORT_TRY(auto value, source.numbers(key));
  if (value) field = std::move(*value);
  return {};
}

// Which object of config.json holds the rotary parameters; "" when none does.
std::string_view json_object(const ConfigSource& source) {
  for (const std::string_view name : {"rope_parameters.full_attention", "rope_parameters", "rope_scaling"})
    if (source.has({name, ""})) return name;
  return "";
}

Result<void> read_json(const ConfigSource& source, const ModelConfig& config, const RopeDefaults& otherwise, RopeConfig& rope) {
  rope.theta = otherwise.theta;
  rope.interleaved = otherwise.folder_interleaved;
  double part = otherwise.part;
  // GPT-NeoX's names come last.
  for (const std::string_view name : {"rope_theta", "rotary_emb_base"}) RETORT_CHECK(read_into(source, {name, ""}, rope.theta));
  for (const std::string_view name : {"partial_rotary_factor", "rotary_pct"}) RETORT_CHECK(read_into(source, {name, ""}, part));
  const std::string_view object = json_object(source);
  if (!object.empty()) {
    const auto path = [&](std::string_view name) { return fmt::format("{}.{}", object, name); };
    const auto read = [&](std::string_view name, auto& field) { return read_into(source, {path(name), ""}, field); };
    std::string type_path = path("rope_type");
    if (!source.has({type_path, ""})) type_path = path("type");
    RETORT_TRY(const auto type, source.text({type_path, ""}));
    if (type) {
      RETORT_TRY(rope.scaling, scaling_named(source, {type_path, ""}, *type));
    }
    RETORT_CHECK(read("rope_theta", rope.theta));
    RETORT_CHECK(read("partial_rotary_factor", part));
    RETORT_CHECK(read("low_freq_factor", rope.low_frequency_factor));
    RETORT_CHECK(read("high_freq_factor", rope.high_frequency_factor));
    RETORT_CHECK(read("beta_fast", rope.beta_fast));
    RETORT_CHECK(read("beta_slow", rope.beta_slow));
    RETORT_CHECK(read("attention_factor", rope.attention_factor));
    RETORT_CHECK(read("mscale", rope.mscale));
    RETORT_CHECK(read("mscale_all_dim", rope.mscale_all_dim));
    RETORT_CHECK(read("short_factor", rope.short_factors));
    RETORT_CHECK(read("long_factor", rope.long_factors));
    RETORT_CHECK(read("original_max_position_embeddings", rope.original_context));
    RETORT_TRY(const auto truncate, source.flag({path("truncate"), ""}));
    rope.truncate = truncate.value_or(true);
  }
  // Phi-3's place for it, which transformers lets win; without any, the trained context is the configured one.
  RETORT_CHECK(read_into(source, {"original_max_position_embeddings", ""}, rope.original_context));
  const double context = static_cast<double>(config.context);
  if (rope.original_context == 0 || rope.scaling == RopeScaling::kDynamic) rope.original_context = context;
  rope.factor = rope.original_context > 0 ? context / rope.original_context : 1;
  if (!object.empty()) RETORT_CHECK(read_into(source, {fmt::format("{}.factor", object), ""}, rope.factor));
  if (!(part > 0 && part <= 1)) return source.error({"partial_rotary_factor", ""}, "above 0, at most 1", fmt::format("{}", part));
  rope.rotary = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * part);
  if (rope.rotary == 0)   // which would mean all of the head
    return source.error({"partial_rotary_factor", ""}, "at least one pair to turn", fmt::format("{}", part));
  return {};
}

// F32 vectors beside the weights: rope_freqs.weight and the LongRoPE factors. Empty when the file has none.
Result<std::vector<float>> factor_tensor(const Checkpoint& checkpoint, std::string_view name, std::int64_t expected) {
  const TensorEntry* tensor = checkpoint.find(name);
  if (!tensor) return std::vector<float>{};
  if (tensor->elements() != expected || tensor->shape.size() != 1)
    return Error{.code = ErrorCode::kBadShape, .file = checkpoint.path.string(), .place = std::string(name),
                 .expected = fmt::format("[{}]", expected), .found = fmt::format("{} elements", tensor->elements())};
  if (tensor->type != TensorType::kF32)
    return Error{.code = ErrorCode::kUnsupported, .file = checkpoint.path.string(), .place = std::string(name),
                 .expected = "F32", .found = std::string(kernels::traits(tensor->type).name)};
  std::vector<float> out(static_cast<std::size_t>(expected));
  kernels::traits(TensorType::kF32).decode(tensor->data.data(), out.data(), out.size());
  return out;
}

Result<void> read_gguf(const ConfigSource& source, const ModelConfig& config, const Checkpoint& checkpoint,
                       const RopeDefaults& otherwise, RopeConfig& rope) {
  rope.interleaved = otherwise.gguf_interleaved;
  RETORT_CHECK(read_into(source, {"", "rope.freq_base"}, rope.theta));
  RETORT_TRY(const auto rotary, source.count({"", "rope.dimension_count"}, config.head_dim));
  rope.rotary = rotary.value_or(config.head_dim);
  const ConfigKey type_key{"", "rope.scaling.type"};
  RETORT_TRY(const auto type, source.text(type_key));
  if (type) {
    RETORT_TRY(rope.scaling, scaling_named(source, type_key, *type));
  }
  if (source.has({"", "rope.scale_linear"})) {   // files of 2023
    RETORT_CHECK(read_into(source, {"", "rope.scale_linear"}, rope.factor));
    rope.scaling = RopeScaling::kLinear;
  }
  RETORT_CHECK(read_into(source, {"", "rope.scaling.factor"}, rope.factor));
  if (rope.factor == 0) rope.factor = 1;         // how llama.cpp reads it
  rope.original_context = static_cast<double>(config.context);
  RETORT_CHECK(read_into(source, {"", "rope.scaling.original_context_length"}, rope.original_context));
  RETORT_CHECK(read_into(source, {"", "rope.scaling.yarn_beta_fast"}, rope.beta_fast));
  RETORT_CHECK(read_into(source, {"", "rope.scaling.yarn_beta_slow"}, rope.beta_slow));
  double attention = 1;
  RETORT_CHECK(read_into(source, {"", "rope.scaling.attn_factor"}, attention));
  const std::int64_t half = rope.rotary / 2;
  // Phi-3's files don't name the kind: the factors are there.
  if (!type && checkpoint.find("rope_factors_long.weight")) rope.scaling = RopeScaling::kLongRope;
  RETORT_TRY(rope.frequency_factors, factor_tensor(checkpoint, "rope_freqs.weight", half));
  if (rope.scaling == RopeScaling::kLongRope) {
    RETORT_TRY(const auto shorts, factor_tensor(checkpoint, "rope_factors_short.weight", half));
    RETORT_TRY(const auto longs, factor_tensor(checkpoint, "rope_factors_long.weight", half));
    rope.short_factors.assign(shorts.begin(), shorts.end());
    rope.long_factors.assign(longs.begin(), longs.end());
    rope.attention_factor = attention;
  } else if (rope.scaling == RopeScaling::kYarn && attention != 1) {
    // llama.cpp multiplies its factor with YaRN's own.
    rope.attention_factor = attention * (rope.factor <= 1 ? 1 : 0.1 * std::log(rope.factor) + 1);
  }
  return {};
}

}  // namespace

Result<RopeConfig> read_rope(const ConfigSource& source, const ModelConfig& config, const Checkpoint& checkpoint,
                             const RopeDefaults& otherwise) {
  RopeConfig rope;
  RETORT_CHECK(source.gguf() ? read_gguf(source, config, checkpoint, otherwise, rope)
                             : read_json(source, config, otherwise, rope));
  return rope;
}

Result<RopeConfig> read_local_rope(const ConfigSource& source, const ModelConfig& config, double theta) {
  RopeConfig rope;
  rope.theta = theta;
  rope.rotary = config.head_dim;
  for (const ConfigKey& key : {ConfigKey{"rope_local_base_freq", "rope.freq_base_swa"},
                               ConfigKey{"rope_parameters.sliding_attention.rope_theta", ""}})
    RETORT_CHECK(read_into(source, key, rope.theta));
  const ConfigKey type_key{"rope_parameters.sliding_attention.rope_type", ""};
  RETORT_TRY(const auto type, source.text(type_key));
  if (const std::string name = type.value_or("default"); name != "default") {
    Error error = source.error(type_key, "default", name.substr(0, 60));
    error.code = ErrorCode::kUnsupported;
    return error;
  }
  return rope;
}

}  // namespace retort
