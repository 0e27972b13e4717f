// Plan: a graph lowered for one planner: fused steps in order, and where each value lies in the arena.
// Knows no kernel; backends bind their own buffers to it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/graph.h"

namespace retort {

enum class StepKind : std::uint8_t {
  kEmbedding,   // nodes: an embedding
  kNorm,        // nodes: a norm
  kAdd,         // nodes: an add; in place where its first input is read for the last time
  kAddNorm,     // nodes: add, then the norm of its sum
  kLinears,     // nodes: linears that read the same value
  kAttention,   // nodes: [rope of q, rope of k,] attention; rotates, appends to the cache, attends
  kGate,        // nodes: a gate
  kElement,     // nodes: multiply, scale, soft cap, activation, normalize or slice
  kExperts,     // nodes: a mixture of experts
};

struct Step {
  StepKind kind;
  std::vector<std::int32_t> nodes;  // indices into Graph::nodes, in order of execution
  std::int32_t layer = -1;
};

// Where a value lives.
enum class Place : std::uint8_t {
  kArena,    // at Plan::offsets
  kHidden,   // the rows between body and head: written by the body, or by the pool; read by the head
  kOutput,   // the rows of the head's result
  kNone,     // ids
};

struct Plan {
  std::vector<Step> steps;                 // the body
  std::vector<Step> head_steps;            // run on demand; the arena is theirs then
  std::int32_t pool = -1;                  // the pooling node between them; -1: none
  ValueId head_input = -1;                 // what the head reads: hidden, or the pool's output
  std::vector<Place> places;               // of each value
  std::vector<std::int64_t> offsets;       // of each value in the arena, in floats per token; -1: not in the arena
  std::int64_t arena_floats = 0;           // per token
  std::int64_t widest_input = 0;           // columns of the widest linear, the head included
  std::int64_t expert_floats = 0;          // per token: rows gathered for one expert and what it makes of them
};

// Errors: kUnsupported, naming the node, for a graph whose attention isn't fed by q, k and v of this token, or whose
// head reads values of the body other than `hidden`.
Result<Plan> make_plan(const Graph& graph);

}  // namespace retort
