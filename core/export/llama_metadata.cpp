#include "core/export/llama_metadata.h"

#include <cmath>

#include "core/model/rope.h"

namespace retort {
namespace {

Error unsupported(const Model& model, std::string place, std::string found, std::string next_step) {
  return Error{.code = ErrorCode::kUnsupported, .file = model.checkpoint->path.string(), .place = std::move(place),
               .expected = "something that GGUF can say", .found = std::move(found), .next_step = std::move(next_step)};
}

std::uint32_t u32(std::int64_t value) noexcept { return static_cast<std::uint32_t>(value); }

// YaRN's own attention factor, which llama.cpp multiplies with the one that the file states.
double yarn_attention(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

Result<void> add_rope(const Model& model, Metadata& out, std::vector<std::string>& notes) {
  const ModelConfig& config = model.config;
  const RopeConfig& rope = config.rope;
  out.set("llama.rope.dimension_count", u32(rotary_width(config)));
  out.set("llama.rope.freq_base", static_cast<float>(rope.theta));
  switch (rope.scaling) {
    case RopeScaling::kNone:
    case RopeScaling::kLlama3:   // as rope_freqs.weight
      return {};
    case RopeScaling::kLinear:
      out.set("llama.rope.scaling.type", std::string("linear"));
      out.set("llama.rope.scaling.factor", static_cast<float>(rope.factor));
      return {};
    case RopeScaling::kYarn: {
      if (!rope.truncate)
        return unsupported(model, "rope_scaling.truncate", "YaRN without truncation", "export to a Hugging Face folder");
      out.set("llama.rope.scaling.type", std::string("yarn"));
      out.set("llama.rope.scaling.factor", static_cast<float>(rope.factor));
      out.set("llama.rope.scaling.original_context_length", u32(std::llround(rope.original_context)));
      out.set("llama.rope.scaling.yarn_beta_fast", static_cast<float>(rope.beta_fast));
      out.set("llama.rope.scaling.yarn_beta_slow", static_cast<float>(rope.beta_slow));
      const double attention = rope_frequencies(config, config.context).attention_factor / yarn_attention(rope.factor);
      if (std::abs(attention - 1) > 1e-6) out.set("llama.rope.scaling.attn_factor", static_cast<float>(attention));
      return {};
    }
    case RopeScaling::kDynamic:
      notes.push_back("GGUF has no dynamic rotary scaling: the file is exact up to " +
                      std::to_string(std::llround(rope.original_context)) + " tokens");
      return {};
    case RopeScaling::kLongRope:
      return unsupported(model, "rope_scaling", "LongRoPE of the Llama architecture", "export to a Hugging Face folder");
  }
  return {};
}

}  // namespace

Result<Metadata> llama_metadata(const Model& model, std::vector<std::string>& notes) {
  const ModelConfig& config = model.config;
  Metadata out;
  out.set("general.architecture", std::string("llama"));
  out.set("general.type", std::string("model"));
  if (!config.name.empty()) out.set("general.name", config.name);
  if (!config.licence.empty()) out.set("general.license", config.licence);
  out.set("llama.block_count", u32(config.layers));
  out.set("llama.context_length", u32(config.context));
  out.set("llama.embedding_length", u32(config.hidden));
  out.set("llama.feed_forward_length", u32(config.feed_forward));
  out.set("llama.attention.head_count", u32(config.heads));
  out.set("llama.attention.head_count_kv", u32(config.kv_heads));
  if (config.head_dim * config.heads != config.hidden) {
    out.set("llama.attention.key_length", u32(config.head_dim));
    out.set("llama.attention.value_length", u32(config.head_dim));
  }
  out.set("llama.attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_epsilon));
  out.set("llama.vocab_size", u32(config.vocabulary));
  RETORT_CHECK(add_rope(model, out, notes));
  return out;
}

std::vector<float> llama_rope_factors(const ModelConfig& config) {
  if (config.rope.scaling != RopeScaling::kLlama3) return {};
  ModelConfig plain = config;
  plain.rope.scaling = RopeScaling::kNone;
  std::vector<float> factors = rope_frequencies(plain, config.context).inverse;
  const std::vector<float> scaled = rope_frequencies(config, config.context).inverse;
  for (std::size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled[i];
  return factors;
}

std::int64_t interleaved_source_row(std::int64_t row, std::int64_t head_dim, std::int64_t rotary) noexcept {
  const std::int64_t inside = row % head_dim;
  if (inside >= rotary) return row;
  return row - inside + (inside % 2) * (rotary / 2) + inside / 2;
}

}  // namespace retort
