// ModelConfig: what an architecture needs to know, normalised from GGUF metadata or config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace retort {

enum class RopeScaling : std::uint8_t { kNone, kLinear, kDynamic, kLlama3, kYarn, kLongRope };

struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;
  double low_frequency_factor = 1, high_frequency_factor = 4;   // llama3
  double original_context = 0;                                  // llama3, yarn, longrope, dynamic
  double beta_fast = 32, beta_slow = 1;                         // yarn
  std::optional<double> attention_factor;                       // yarn, longrope
  std::optional<double> mscale, mscale_all_dim;                 // yarn
  bool truncate = true;                                         // yarn: correction range in whole dimensions
  std::vector<double> short_factors, long_factors;              // longrope
  std::vector<float> frequency_factors;                         // GGUF rope_freqs.weight: divides each frequency
  std::int64_t rotary = 0;    // values of each head that turn; 0: all of head_dim
  bool interleaved = false;   // pairs (2i, 2i+1), as GGUF's llama rows are stored; else halves, as transformers'
};

struct ModelConfig {
  std::string architecture;        // "llama": the name in the registry
  std::string name;                // for people
  std::string licence;
  std::int64_t vocabulary = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, feed_forward = 0;
  std::int64_t context = 0;        // trained context length
  double norm_epsilon = 1e-5;
  bool tied_head = false;          // the head is the embedding
  bool attention_bias = false;     // on q, k and v
  bool attention_output_bias = false;
  bool mlp_bias = false;
  std::string activation = "silu"; // as config.json spells it
  RopeConfig rope;
  std::optional<RopeConfig> local_rope;      // of layers that slide, where they have their own

  // Decoders.
  std::int64_t window = 0;                   // sliding window; 0: none
  std::vector<bool> sliding;                 // per layer: takes the window; empty: all do
  std::vector<bool> without_rope;            // per layer; empty: none
  double attention_scale = 0;                // multiplies scores; 0: 1 / sqrt(head_dim)
  double attention_soft_cap = 0, final_soft_cap = 0;
  double embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  bool parallel_residual = false;            // attention and feed-forward both read the layer's input
  bool query_key_norm = false;
  bool head_bias = false;
  std::int64_t experts = 0, experts_used = 0, expert_feed_forward = 0, shared_feed_forward = 0;
  bool normalize_experts = false;
  std::vector<bool> dense;                   // per layer: a plain feed-forward in spite of experts; empty: none

  // Encoders, and decoders with learned positions.
  std::int64_t positions = 0;                // rows of the position table; 0: none
  std::int64_t position_offset = 0;          // of the first token's row
  bool positions_skip_padding = false;       // positions count tokens other than pad_token (RoBERTa, MPNet)
  std::int64_t pad_token = -1;
  std::int64_t token_types = 0;              // rows of the type table; 0: none
  std::int64_t embedding_width = 0;          // where it isn't `hidden`: the columns of the embedding
  std::int64_t relative_buckets = 0, relative_distance = 128;   // relative position bias; 0: none
  std::int64_t labels = 0;
  std::int64_t layer_groups = 0, layers_per_group = 1;   // ALBERT: layers share weights within a group; 0: none does
  std::string pooling;                       // of sentence embeddings: cls, mean, max, mean_sqrt_len_tokens, lasttoken
  bool normalize_embedding = false;
  std::vector<std::string> label_names;      // by class; empty when the file names none
};

// Frequencies by Node::rope: 0 the model's, 1 those of layers that slide.
inline const RopeConfig& rope_of(const ModelConfig& config, std::int32_t rope) noexcept {
  return rope == 1 && config.local_rope ? *config.local_rope : config.rope;
}

}  // namespace retort
