#include "core/export/gguf_metadata.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/model/architectures/decoder.h"
#include "core/model/rope.h"

namespace retort {
namespace {

Error unsupported(const Model& model, std::string place, std::string found) {
  return Error{.code = ErrorCode::kUnsupported, .file = model.checkpoint->path.string(), .place = std::move(place),
               .expected = "something that GGUF can say", .found = std::move(found),
               .next_step = "keep this model as a folder"};
}

std::uint32_t u32(std::int64_t value) noexcept { return static_cast<std::uint32_t>(value); }

// YaRN's own attention factor, which llama.cpp multiplies with the one that the file states.
double yarn_attention(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

class Writer {
 public:
  Writer(const Model& model, const GgufTarget& target, std::vector<std::string>& notes)
      : model_(model), config_(model.config), own_(*model.architecture->decoder), as_(*target.architecture->decoder),
        name_(target.name), notes_(notes) {}

  Result<Metadata> write() && {
    RETORT_TRY(const ConfigSource source, ConfigSource::open(*model_.checkpoint));
    out_.set("general.architecture", name_);
    out_.set("general.type", std::string("model"));
    if (!config_.name.empty()) out_.set("general.name", config_.name);
    if (!config_.licence.empty()) out_.set("general.license", config_.licence);
    for (const CountRow& row : as_.counts)
      if (config_.*row.field > 0 && !row.key.gguf.empty() && row.field != &ModelConfig::head_dim) set(row.key.gguf, u32(config_.*row.field));
    if (config_.head_dim * config_.heads != config_.hidden) {
      set("attention.key_length", u32(config_.head_dim));
      set("attention.value_length", u32(config_.head_dim));
    }
    set(as_.epsilon.gguf, static_cast<float>(config_.norm_epsilon));
    // As the folder states them: what the reader makes of the numbers is the same in both worlds.
    for (const NumberRow& row : own_.numbers) {
      RETORT_TRY(const auto value, source.number(row.key));
      if (value && !row.key.gguf.empty()) set(row.key.gguf, static_cast<float>(*value));
    }
    for (const FlagRow& row : as_.flags)
      if (!row.key.gguf.empty()) set(row.key.gguf, config_.*row.field);
    if (as_.rotary) RETORT_CHECK(add_rope());
    if (own_.id != as_.id && config_.window > 0)
      notes_.push_back(fmt::format("llama.cpp ignores the sliding window of this architecture: there the file is exact up to {} tokens", config_.window));
    return std::move(out_);
  }

 private:
  void set(std::string_view key, MetadataValue value) { out_.set(fmt::format("{}.{}", name_, key), std::move(value)); }

  Result<void> add_rope() {
    const RopeConfig& rope = config_.rope;
    set("rope.dimension_count", u32(rotary_width(config_)));
    set("rope.freq_base", static_cast<float>(rope.theta));
    if (config_.local_rope) set("rope.freq_base_swa", static_cast<float>(config_.local_rope->theta));
    switch (rope.scaling) {
      case RopeScaling::kNone:
      case RopeScaling::kLlama3:   // as rope_freqs.weight
        return {};
      case RopeScaling::kLinear:
        set("rope.scaling.type", std::string("linear"));
        set("rope.scaling.factor", static_cast<float>(rope.factor));
        return {};
      case RopeScaling::kYarn: {
        if (!rope.truncate) return unsupported(model_, "rope_scaling.truncate", "YaRN without truncation");
        set("rope.scaling.type", std::string("yarn"));
        set("rope.scaling.factor", static_cast<float>(rope.factor));
        set("rope.scaling.original_context_length", u32(std::llround(rope.original_context)));
        set("rope.scaling.yarn_beta_fast", static_cast<float>(rope.beta_fast));
        set("rope.scaling.yarn_beta_slow", static_cast<float>(rope.beta_slow));
        const double attention = rope_frequencies(config_, config_.context).attention_factor / yarn_attention(rope.factor);
        if (std::abs(attention - 1) > 1e-6) set("rope.scaling.attn_factor", static_cast<float>(attention));
        return {};
      }
      case RopeScaling::kDynamic:
        notes_.push_back(fmt::format("GGUF has no dynamic rotary scaling: the file is exact up to {} tokens", std::llround(rope.original_context)));
        return {};
      case RopeScaling::kLongRope:   // its factors are tensors, which llama.cpp takes without being told the kind
        set("rope.scaling.original_context_length", u32(std::llround(rope.original_context)));
        set("rope.scaling.attn_factor", rope_frequencies(config_, config_.context).attention_factor);
        return {};
    }
    return {};
  }

  const Model& model_;
  const ModelConfig& config_;
  const DecoderTraits& own_;
  const DecoderTraits& as_;
  const std::string& name_;
  std::vector<std::string>& notes_;
  Metadata out_;
};

}  // namespace

std::string gguf_name(const Architecture& architecture) {
  if (!architecture.decoder) return {};
  if (!architecture.decoder->gguf_as.empty()) return std::string(architecture.decoder->gguf_as);
  return architecture.gguf_names.empty() ? std::string() : architecture.gguf_names.front();
}

Result<GgufTarget> gguf_target(const Model& model) {
  const std::string name = gguf_name(*model.architecture);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    const std::string written = gguf_name(architecture);
    if (written.empty()) continue;
    if (!name.empty() && std::count(architecture.gguf_names.begin(), architecture.gguf_names.end(), name) > 0)
      return GgufTarget{&architecture, name};
    known += (known.empty() ? "" : ", ") + architecture.id;
  }
  return Error{.code = ErrorCode::kUnsupported, .file = model.checkpoint->path.string(), .place = "architecture",
               .expected = "one that Retort writes as GGUF: " + known, .found = model.config.architecture};
}

Result<Metadata> gguf_metadata(const Model& model, const GgufTarget& target, std::vector<std::string>& notes) {
  return Writer(model, target, notes).write();
}

std::vector<RopeTensor> rope_tensors(const ModelConfig& config) {
  const auto floats = [](const std::vector<double>& values) { return std::vector<float>(values.begin(), values.end()); };
  if (config.rope.scaling == RopeScaling::kLongRope)
    return {{"rope_factors_long.weight", floats(config.rope.long_factors)}, {"rope_factors_short.weight", floats(config.rope.short_factors)}};
  if (config.rope.scaling != RopeScaling::kLlama3) return {};
  ModelConfig plain = config;
  plain.rope.scaling = RopeScaling::kNone;
  std::vector<float> factors = rope_frequencies(plain, config.context).inverse;
  const std::vector<float> scaled = rope_frequencies(config, config.context).inverse;
  for (std::size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled[i];
  return {{"rope_freqs.weight", std::move(factors)}};
}

}  // namespace retort
