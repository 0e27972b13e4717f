// Plan: a graph lowered for one planner: fused steps in order, and where each value lies in the arena.
// Knows no kernel; backends bind their own buffers to it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/graph.h"

namespace retort {

enum class StepKind : std::uint8_t {
  kEmbedding,   // nodes: the embedding
  kNorm,        // nodes: an RMS norm
  kAdd,         // nodes: an add; in place when `in_place`
  kAddNorm,     // nodes: add, then the norm of its sum
  kLinears,     // nodes: linears that read the same value
  kAttention,   // nodes: [rope of q, rope of k,] attention; rotates, appends to the cache, attends
  kGate,        // nodes: a SiLU gate
};

struct Step {
  StepKind kind;
  std::vector<std::int32_t> nodes;  // indices into Graph::nodes, in order of execution
  std::int32_t layer = -1;
};

struct Plan {
  std::vector<Step> steps;                 // all but the head, which runs on demand
  std::int32_t head = -1;                  // the node that makes the logits
  std::vector<std::int64_t> offsets;       // of each value in the arena, in floats per token; -1: not in the arena
  std::int64_t arena_floats = 0;           // per token
  std::int64_t widest_input = 0;           // columns of the widest linear, the head included
};

// Errors: kUnsupported, naming the node, for a graph whose attention isn't fed by q, k and v of this token.
Result<Plan> make_plan(const Graph& graph);

}  // namespace retort
