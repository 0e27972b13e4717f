// The graph of a model: standard operations over named weights, in single-assignment form. Nodes are in order of
// execution. The same graph is run by backends, tapped for calibration, drawn as the layer map and read by exporters.
// The KV cache is an explicit state of attention nodes. Layers are marked as cut points.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/model/config.h"

namespace retort {

using ValueId = std::int32_t;
using WeightId = std::int32_t;
inline constexpr WeightId kNoWeight = -1;

enum class Op : std::uint8_t {
  kEmbedding,    // ids → [tokens, hidden]; weight [vocabulary, hidden]
  kRmsNorm,      // x → y; weight [n]
  kLinear,       // x → x · Wᵀ (+ bias)
  kRope,         // x [tokens, heads · head_dim] → rotated
  kAttention,    // q, k, v → context; appends k, v to the cache of its layer
  kAdd,          // a, b → a + b
  kSiluGate,     // gate, up → silu(gate) · up
};

struct Node {
  Op op;
  std::string name;              // "blk.3.attn_q": the weight's base name or what it does
  std::vector<ValueId> inputs;
  ValueId output = -1;
  WeightId weight = kNoWeight, bias = kNoWeight;
  std::int32_t layer = -1;       // -1 outside the layers
  std::int64_t heads = 0;        // kRope, kAttention: query heads (kRope of keys: key heads)
  std::int64_t kv_heads = 0;     // kAttention
};

// A weight that the graph wants: its canonical name (GGUF's naming), the shape that the architecture says.
struct WeightSpec {
  std::string name;              // "blk.0.attn_q.weight"
  std::string source_name;       // its name in the checkpoint: "model.layers.0.self_attn.q_proj.weight"
  std::vector<std::int64_t> shape;
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<WeightSpec> weights;
  std::vector<std::int64_t> widths;  // elements per token of each value
  ValueId tokens = 0;                // the ids: width 1
  ValueId hidden = -1;               // after the final norm
  ValueId logits = -1;               // [tokens, vocabulary]
};

// One architecture: reads its configuration and builds its graph. One file each in architectures/.
struct Checkpoint;
struct Architecture {
  std::string id;                               // "llama"
  std::vector<std::string> gguf_names;          // general.architecture values
  std::vector<std::string> class_names;         // "LlamaForCausalLM"
  Result<ModelConfig> (*configure)(const Checkpoint&);
  Result<Graph> (*build)(const ModelConfig&, const Checkpoint&);
};
const std::vector<Architecture>& architectures();   // explicit list in architectures/registry.cpp
// Errors: kUnsupported, naming the architecture found and those that run.
Result<const Architecture*> find_architecture(const Checkpoint& checkpoint);

}  // namespace retort
