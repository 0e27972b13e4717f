#include "core/quantize/level_policy.h"

#include <array>

namespace retort {
namespace {

using kernels::TensorType;
using kernels::traits;
using enum TensorType;

// Every level's main type, and the head's.
struct Mix {
  std::string_view level;
  TensorType base, head;
};
constexpr std::array kMixes = {
    Mix{"F16", kF16, kF16},       Mix{"Q8_0", kQ8_0, kQ8_0},    Mix{"Q6_K", kQ6_K, kQ6_K},
    Mix{"Q5_K_M", kQ5_K, kQ6_K},  Mix{"Q4_K_M", kQ4_K, kQ6_K},  Mix{"Q4_0", kQ4_0, kQ6_K},
    Mix{"Q3_K_M", kQ3_K, kQ6_K},  Mix{"Q2_K", kQ2_K, kQ6_K},    Mix{"INT8", kI8, kI8},
};

// Where a rule holds, in layers.
enum class Where : std::uint8_t {
  kEverywhere,
  kFirstTwo,
  kFirstEighth,
  kFirstSixteenth,
  kMoreBits,        // the first and last eighth, and every third layer between
};
// What else it asks for.
enum class Given : std::uint8_t {
  kAnything,
  kManyShareOneHead,   // at least four query heads to a key head: values are small and precious
  kSeventyBillion,     // Llama 2/3 70B's shape
  kEightExperts,       // Mixtral: what all experts share is small
  kImportance,
};

struct Rule {
  std::string_view level;
  Role role;
  Where where;
  Given given;
  TensorType type;
};
// The first that holds wins; without one, the level's main type. No level: every one of blocks.
constexpr std::array kRules = {
    Rule{"", Role::kValue, Where::kEverywhere, Given::kEightExperts, kQ8_0},
    Rule{"", Role::kKey, Where::kEverywhere, Given::kEightExperts, kQ8_0},
    Rule{"Q2_K", Role::kAttentionOutput, Where::kEverywhere, Given::kEightExperts, kQ5_K},
    Rule{"Q3_K_M", Role::kAttentionOutput, Where::kEverywhere, Given::kEightExperts, kQ5_K},
    Rule{"Q4_K_M", Role::kAttentionOutput, Where::kEverywhere, Given::kEightExperts, kQ5_K},

    Rule{"Q5_K_M", Role::kValue, Where::kMoreBits, Given::kAnything, kQ6_K},
    Rule{"Q5_K_M", Role::kDown, Where::kMoreBits, Given::kAnything, kQ6_K},

    Rule{"Q4_K_M", Role::kValue, Where::kMoreBits, Given::kAnything, kQ6_K},
    Rule{"Q4_K_M", Role::kValue, Where::kEverywhere, Given::kSeventyBillion, kQ5_K},
    Rule{"Q4_K_M", Role::kDown, Where::kMoreBits, Given::kAnything, kQ6_K},

    // With importance the first layers' down projections get a minimum: they can go astray without one.
    Rule{"Q4_0", Role::kDown, Where::kFirstEighth, Given::kImportance, kQ4_1},

    Rule{"Q3_K_M", Role::kValue, Where::kEverywhere, Given::kSeventyBillion, kQ5_K},
    Rule{"Q3_K_M", Role::kValue, Where::kFirstTwo, Given::kAnything, kQ5_K},
    Rule{"Q3_K_M", Role::kValue, Where::kEverywhere, Given::kAnything, kQ4_K},
    Rule{"Q3_K_M", Role::kDown, Where::kFirstSixteenth, Given::kAnything, kQ5_K},
    Rule{"Q3_K_M", Role::kDown, Where::kEverywhere, Given::kAnything, kQ4_K},
    Rule{"Q3_K_M", Role::kAttentionOutput, Where::kEverywhere, Given::kAnything, kQ4_K},

    Rule{"Q2_K", Role::kValue, Where::kEverywhere, Given::kSeventyBillion, kQ5_K},
    Rule{"Q2_K", Role::kValue, Where::kEverywhere, Given::kManyShareOneHead, kQ4_K},
    Rule{"Q2_K", Role::kValue, Where::kEverywhere, Given::kAnything, kQ3_K},
    Rule{"Q2_K", Role::kDown, Where::kEverywhere, Given::kAnything, kQ3_K},
    Rule{"Q2_K", Role::kAttentionOutput, Where::kEverywhere, Given::kAnything, kQ3_K},
};

// What takes the place of a type whose blocks the rows don't fill.
struct Fallback {
  TensorType from, to;
};
constexpr std::array kFallbacks = {
    Fallback{kQ2_K, kQ4_0}, Fallback{kQ3_K, kQ4_0}, Fallback{kQ4_K, kQ5_0},
    Fallback{kQ5_K, kQ5_1}, Fallback{kQ6_K, kQ8_0},
};

bool holds(Where where, std::int64_t layer, std::int64_t layers) noexcept {
  const std::int64_t eighth = layers / 8;
  switch (where) {
    case Where::kEverywhere: return true;
    case Where::kFirstTwo: return layer < 2;
    case Where::kFirstEighth: return layer < eighth;
    case Where::kFirstSixteenth: return layer < layers / 16;
    case Where::kMoreBits: return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
  }
  return false;
}

bool holds(Given given, const ModelConfig& config, bool has_importance) noexcept {
  switch (given) {
    case Given::kAnything: return true;
    case Given::kManyShareOneHead: return config.kv_heads > 0 && config.heads / config.kv_heads >= 4;
    case Given::kEightExperts: return config.experts == 8;
    case Given::kSeventyBillion: return config.layers == 80 && config.heads != config.kv_heads;
    case Given::kImportance: return has_importance;
  }
  return false;
}

bool fills(TensorType type, std::int64_t columns) noexcept {
  return columns % static_cast<std::int64_t>(traits(type).block_size) == 0;
}

const Mix& mix_of(std::string_view level) noexcept {
  for (const Mix& mix : kMixes) {
    if (mix.level == level) return mix;
  }
  return kMixes.front();
}

}  // namespace

Role role_of(std::string_view name, bool tied) noexcept {
  const auto has = [&](std::string_view piece) { return name.find(piece) != std::string_view::npos; };
  if (name == "output.weight") return Role::kHead;
  if (name == "token_embd.weight") return tied ? Role::kHead : Role::kEmbedding;
  if (has("attn_k.weight")) return Role::kKey;
  // The values' bits go to all of a fused q, k, v.
  if (has("attn_v.weight") || has("attn_qkv.weight")) return Role::kValue;
  if (has("attn_output.weight")) return Role::kAttentionOutput;
  if (has("ffn_down")) return Role::kDown;
  return Role::kOther;
}

TensorType wanted_type(std::string_view level, const PlacedTensor& tensor, const ModelConfig& config,
                       bool has_importance) noexcept {
  const Mix& mix = mix_of(level);
  if (tensor.role == Role::kHead) {
    // Where the main type doesn't fit, the head goes straight to eight bits.
    return fills(mix.base, tensor.columns) ? mix.head : kQ8_0;
  }
  for (const Rule& rule : kRules) {
    const bool meant = rule.level.empty() ? traits(mix.base).block_size > 1 : rule.level == level;
    if (meant && rule.role == tensor.role && holds(rule.where, tensor.layer, config.layers) &&
        holds(rule.given, config, has_importance)) {
      return rule.type;
    }
  }
  return mix.base;
}

TensorType type_that_fits(TensorType wanted, std::int64_t columns) noexcept {
  if (fills(wanted, columns)) return wanted;
  for (const Fallback& fallback : kFallbacks) {
    if (fallback.from == wanted && fills(fallback.to, columns)) return fallback.to;
  }
  return kF16;
}

}  // namespace retort
