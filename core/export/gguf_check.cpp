// What a reader finds in the metadata that a folder was given, against the folder itself: a fact that GGUF has no key for is
// either the published models' (and the reader supplies it) or lost. Lost ones are refused here, before anything is written.
#include <cmath>

#include <fmt/format.h>

#include "core/export/gguf_metadata.h"
#include "core/model/architectures/decoder.h"
#include "core/model/rope.h"

namespace retort {
namespace {

struct Lost {
  std::string what, wanted, read;
};

// Numbers pass through f32.
bool same_number(double a, double b) noexcept { return std::abs(a - b) <= 1e-6 * std::max(1.0, std::abs(a)); }

struct CountField {
  std::string_view name;
  std::int64_t ModelConfig::*field;
};
constexpr CountField kCounts[] = {
    {"vocabulary", &ModelConfig::vocabulary}, {"hidden size", &ModelConfig::hidden}, {"layers", &ModelConfig::layers},
    {"heads", &ModelConfig::heads}, {"key heads", &ModelConfig::kv_heads}, {"head size", &ModelConfig::head_dim},
    {"context", &ModelConfig::context}, {"experts", &ModelConfig::experts}, {"experts used", &ModelConfig::experts_used},
    {"positions", &ModelConfig::positions},
};
struct NumberField {
  std::string_view name;
  double ModelConfig::*field;
};
constexpr NumberField kNumbers[] = {
    {"norm epsilon", &ModelConfig::norm_epsilon}, {"attention soft cap", &ModelConfig::attention_soft_cap},
    {"final soft cap", &ModelConfig::final_soft_cap}, {"embedding scale", &ModelConfig::embedding_scale},
    {"residual scale", &ModelConfig::residual_scale}, {"logit scale", &ModelConfig::logit_scale},
};
struct FlagField {
  std::string_view name;
  Flag field;
};
constexpr FlagField kFlags[] = {
    {"tied head", &ModelConfig::tied_head}, {"bias on q, k and v", &ModelConfig::attention_bias},
    {"bias after attention", &ModelConfig::attention_output_bias}, {"bias in the feed-forward", &ModelConfig::mlp_bias},
    {"parallel residual", &ModelConfig::parallel_residual}, {"norms of q and k", &ModelConfig::query_key_norm},
};

double score_scale(const ModelConfig& config) {
  return config.attention_scale > 0 ? config.attention_scale : 1 / std::sqrt(static_cast<double>(config.head_dim));
}

std::optional<Lost> lost_fact(const ModelConfig& wanted, const ModelConfig& read) {
  const auto numbers = [](std::string_view name, double a, double b) { return Lost{std::string(name), fmt::format("{}", a), fmt::format("{}", b)}; };
  const auto flags = [](std::string_view name, bool a, bool b) { return Lost{std::string(name), a ? "yes" : "no", b ? "yes" : "no"}; };
  for (const CountField& row : kCounts)
    if (wanted.*row.field != read.*row.field) return numbers(row.name, static_cast<double>(wanted.*row.field), static_cast<double>(read.*row.field));
  for (const NumberField& row : kNumbers)
    if (!same_number(wanted.*row.field, read.*row.field)) return numbers(row.name, wanted.*row.field, read.*row.field);
  for (const FlagField& row : kFlags)
    if (wanted.*row.field != read.*row.field) return flags(row.name, wanted.*row.field, read.*row.field);
  if (!same_number(score_scale(wanted), score_scale(read))) return numbers("scale of the scores", score_scale(wanted), score_scale(read));
  if (wanted.experts > 0 && wanted.normalize_experts != read.normalize_experts)
    return flags("experts' weights sum to one", wanted.normalize_experts, read.normalize_experts);
  const kernels::Activation *mine = find_activation(wanted.activation), *theirs = find_activation(read.activation);
  if (!mine || !theirs || *mine != *theirs) return Lost{"activation", wanted.activation, read.activation};
  for (std::int64_t l = 0; l < wanted.layers; ++l) {
    const std::string layer = fmt::format("layer {}: ", l);
    if (layer_slides(wanted, l) != layer_slides(read, l)) return flags(layer + "sliding window", layer_slides(wanted, l), layer_slides(read, l));
    if (layer_rotates(wanted, l) != layer_rotates(read, l)) return flags(layer + "rotation", layer_rotates(wanted, l), layer_rotates(read, l));
    if (layer_has_experts(wanted, l) != layer_has_experts(read, l)) return flags(layer + "experts", layer_has_experts(wanted, l), layer_has_experts(read, l));
  }
  return std::nullopt;
}

// Frequencies at the trained length, and beyond the original one where the scaling depends on it.
std::optional<Lost> lost_rotation(const ModelConfig& wanted, const ModelConfig& read, std::int32_t rope) {
  if (rotary_width(wanted, rope) != rotary_width(read, rope))
    return Lost{"width of the rotation", std::to_string(rotary_width(wanted, rope)), std::to_string(rotary_width(read, rope))};
  std::vector<std::int64_t> lengths = {1, wanted.context};
  if (wanted.rope.scaling == RopeScaling::kDynamic) lengths.pop_back();   // noted, as it is exact up to there
  for (const std::int64_t length : lengths) {
    const RopeFrequencies a = rope_frequencies(wanted, length, rope), b = rope_frequencies(read, length, rope);
    if (!same_number(static_cast<double>(a.attention_factor), static_cast<double>(b.attention_factor)))
      return Lost{"attention factor of the rotation", fmt::format("{}", a.attention_factor), fmt::format("{}", b.attention_factor)};
    for (std::size_t i = 0; i < a.inverse.size(); ++i)
      if (!(std::abs(a.inverse[i] - b.inverse[i]) <= 1e-5f * a.inverse[i]))
        return Lost{fmt::format("rotary frequency {} at {} tokens", i, length), fmt::format("{}", a.inverse[i]), fmt::format("{}", b.inverse[i])};
  }
  return std::nullopt;
}

}  // namespace

Result<void> check_gguf_metadata(const Model& model, const GgufTarget& target, const Checkpoint& file) {
  RETORT_TRY(const ModelConfig read, target.architecture->configure(file));
  std::optional<Lost> lost = lost_fact(model.config, read);
  if (!lost && target.architecture->decoder->rotary) lost = lost_rotation(model.config, read, 0);
  if (!lost && model.config.local_rope.has_value() != read.local_rope.has_value()) lost = Lost{"frequencies of sliding layers", "their own", "the others'"};
  if (!lost && model.config.local_rope) lost = lost_rotation(model.config, read, 1);
  if (!lost) return {};
  return Error{.code = ErrorCode::kUnsupported, .file = model.checkpoint->path.string(), .place = lost->what,
               .expected = fmt::format("{}, which a GGUF file of {} means", lost->read, target.name), .found = lost->wanted,
               .next_step = "keep this model as a folder"};
}

}  // namespace retort
