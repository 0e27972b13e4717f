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
  std::string activation = "silu";
  RopeConfig rope;
};

}  // namespace retort
