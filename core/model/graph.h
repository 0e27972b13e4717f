// The graph of a model: standard operations over named weights, in single-assignment form. Nodes are in order of
// execution. The same graph is run by backends, tapped for calibration, differentiated for training, drawn as the layer
// map and read by exporters. Layers are marked as cut points.
//
// A graph has a body, which ends with the node that makes `hidden`, and a head: the nodes after it, which read `hidden`
// and end with the one that makes `logits`. The head runs on demand, for the rows that are asked for. The KV cache is an
// explicit state of causal attention nodes, one per layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/model/config.h"
#include "kernels/api/ops.h"

namespace retort {

using ValueId = std::int32_t;
using WeightId = std::int32_t;
inline constexpr WeightId kNoWeight = -1;

// x is a value of one token (a row of `width` numbers); every operation but attention and pooling treats each row by
// itself. ε is ModelConfig::norm_epsilon. Everything is f32.
enum class Op : std::uint8_t {
  kEmbedding,    // ids → row `lookup` of weight [rows, n]: the token's id, position or type
  kRmsNorm,      // x → x / sqrt(mean(x²) + ε) · (weight + offset), each of `groups` equal parts of the row by itself;
                 //   weight [n / groups], shared by the parts, or [n]
  kLayerNorm,    // x → (x - mean(x)) / sqrt(variance(x) + ε) · weight (+ bias); `groups` and weight as for kRmsNorm.
                 //   The variance is divided by n.
  kNormalize,    // x → x / max(sqrt(Σ x²), 1e-12)
  kLinear,       // x → x · Wᵀ (+ bias); weight [outputs, inputs]
  kRope,         // x [heads · head_dim] → the first rope.rotary of each head rotated by the position; which
                 //   frequencies: rope_of(config, rope)
  kAttention,    // q, k, v → context: Σ softmax(scores) · v per head; query head h reads key head h / (heads / kv_heads).
                 //   score = scale · q·k; then soft_cap · tanh(score / soft_cap) unless 0; then + bias[h, bucket(p - t)]
                 //   where there is a weight (relative_bucket below; weight [buckets, heads]).
                 //   causal: appends k, v to the cache of `layer`; token t sees positions max(0, t - window + 1) … t
                 //   (window 0: from 0). Not causal: every token sees every token of its sequence.
  kAdd,          // a, b → a + b
  kMultiply,     // a, b → a · b; b may have one column, which then multiplies all of a
  kScale,        // x → scale · x
  kSoftCap,      // x → scale · tanh(x / scale)
  kActivation,   // x → f(x), f = `activation`
  kGate,         // gate, up → f(gate) · up, f = `activation`
  kSlice,        // x → columns [first, first + count) of each run of `period` columns, one run after the other
  kExperts,      // x, r → Σ over the experts_used greatest of p = softmax(r) of p · down(f(gate(x)) · up(x)); equal p: the
                 //   lower expert first; `normalize_experts`: the chosen p are divided by their sum. `experts` holds
                 //   three kLinear nodes for each expert: gate, up, down
  kPool,         // x [tokens] → one row for each sequence, as `pool` says; the first node of a head, if there is one
};

enum class Lookup : std::uint8_t { kToken, kPosition, kType };
enum class Pool : std::uint8_t { kFirst, kLast, kMean, kMax, kMeanSqrt };   // kMeanSqrt: Σ x / sqrt(tokens)

struct Node {
  Op op;
  std::string name;              // "blk.3.attn_q": the weight's base name or what it does
  std::vector<ValueId> inputs;
  ValueId output = -1;
  WeightId weight = kNoWeight, bias = kNoWeight;
  std::int32_t layer = -1;       // -1 outside the layers
  std::int64_t heads = 0;        // kRope, kAttention: query heads (kRope of keys: key heads)
  std::int64_t kv_heads = 0;     // kAttention

  Lookup lookup = Lookup::kToken;                                   // kEmbedding
  kernels::Activation activation = kernels::Activation::kSilu;      // kActivation, kGate, kExperts
  Pool pool = Pool::kFirst;                                         // kPool
  bool causal = true;                                               // kAttention
  std::int32_t rope = 0;                                            // kRope
  std::int64_t groups = 1;                                          // norms
  float offset = 0;                                                 // kRmsNorm: 1 where the file stores weight - 1
  float scale = 1;                                                  // kScale, kSoftCap, kAttention
  float soft_cap = 0;                                               // kAttention
  std::int64_t window = 0;                                          // kAttention: the query itself and window - 1 before
  std::int64_t first = 0, count = 0, period = 0;                    // kSlice
  std::vector<Node> experts = {};                                    // kExperts
  std::int64_t experts_used = 0;
  bool normalize_experts = false;
};

// How a weight of the model lies in its checkpoint.
enum class Stored : std::uint8_t {
  kPlain,        // as the shape says
  kTransposed,   // [inputs, outputs], dense only: turned on opening (GPT-2's Conv1D)
  kStacked,      // one of `of` equal blocks of rows of a tensor [of, rows, columns]
};

// A weight that the graph wants: its canonical name (GGUF's naming), the shape that the architecture says.
struct WeightSpec {
  std::string name;              // "blk.0.attn_q.weight"
  std::string source_name;       // its name in the checkpoint: "model.layers.0.self_attn.q_proj.weight"
  std::vector<std::int64_t> shape;
  Stored stored = Stored::kPlain;
  std::int64_t part = 0, of = 1; // kStacked
};

// What the logits are.
enum class HeadKind : std::uint8_t {
  kNone,             // no head: `logits` is -1
  kNextToken,        // [tokens, vocabulary]
  kMaskedToken,      // [tokens, vocabulary]
  kTokenLabels,      // [tokens, labels]
  kSequenceLabels,   // [sequences, labels]
  kEmbedding,        // [sequences, embedding]
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<WeightSpec> weights;
  std::vector<std::int64_t> widths;  // elements per token of each value
  ValueId tokens = 0;                // the ids: width 1
  ValueId hidden = -1;               // the last value of the body
  ValueId logits = -1;               // the head's result
  HeadKind head = HeadKind::kNextToken;
  bool causal = true;                // false: an encoder, which sees whole sequences

  std::int64_t outputs() const noexcept { return logits < 0 ? 0 : widths[static_cast<std::size_t>(logits)]; }
};

// Calls f(node) for every linear, those of experts included, in order of execution.
template <class F>
void for_each_linear(const Graph& graph, F&& f) {
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kLinear) f(node);
    for (const Node& expert : node.experts) f(expert);
  }
}

// The row of a relative position bias for a key that lies `distance` positions after the query: half of the `buckets`
// for each direction, exact up to a quarter of them, then logarithmic up to `greatest`. (Raffel et al. 2020; MPNet.)
std::int64_t relative_bucket(std::int64_t distance, std::int64_t buckets, std::int64_t greatest) noexcept;

// One architecture: reads its configuration and builds its graph. One file each in architectures/.
struct Checkpoint;
struct DecoderTraits;
struct Architecture {
  std::string id;                               // "llama"
  std::vector<std::string> gguf_names;          // general.architecture values
  std::vector<std::string> class_names;         // "LlamaForCausalLM"
  Result<ModelConfig> (*configure)(const Checkpoint&);
  Result<Graph> (*build)(const ModelConfig&, const Checkpoint&);
  const DecoderTraits* decoder = nullptr;       // a decoder's tables (architectures/decoder.h)
};
const std::vector<Architecture>& architectures();   // explicit list in architectures/registry.cpp
// Errors: kUnsupported, naming the architecture found and those that run.
Result<const Architecture*> find_architecture(const Checkpoint& checkpoint);

}  // namespace retort
