#include "core/export/gguf_weights.h"

#include <algorithm>
#include <map>

#include "core/model/architectures/decoder.h"
#include "core/model/rope.h"

namespace retort {
namespace {

std::string_view base_of(std::string_view name) noexcept {
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(0, dot);
}

// Identity for rows beyond the rotary part of their head.
std::int64_t pairs_adjacent(std::int64_t row, std::int64_t head_dim, std::int64_t rotary) noexcept {
  const std::int64_t inside = row % head_dim;
  if (inside >= rotary) return row;
  return row - inside + (inside % 2) * (rotary / 2) + inside / 2;
}

std::int64_t heads_together(std::int64_t row, std::int64_t head_dim, std::int64_t heads) noexcept {
  const std::int64_t part = row / (heads * head_dim), head = row / head_dim % heads;
  return (head * 3 + part) * head_dim + row % head_dim;
}

}  // namespace

std::vector<WeightChange> gguf_weight_changes(const Model& model, const DecoderTraits& target) {
  std::vector<WeightChange> changes(model.graph.weights.size());
  const DecoderTraits* own = model.architecture->decoder;
  if (!own || model.checkpoint->format == CheckpointFormat::kGguf) return changes;
  const bool turns = target.gguf_interleaved && !model.config.rope.interleaved;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const WeightSpec& spec = model.graph.weights[i];
    const std::string_view base = base_of(spec.name);
    if (turns && (base.ends_with(".attn_q") || base.ends_with(".attn_k"))) changes[i].order = RowOrder::kPairsAdjacent;
    if (own->folder_qkv == QkvOrder::kPerHead && base.ends_with(".attn_qkv")) changes[i].order = RowOrder::kHeadsTogether;
    changes[i].floats = spec.shape.size() == 1 || spec.shape.front() == 1 || base.ends_with("_norm") || base.ends_with(".ffn_gate_inp") ||
                        base == "position_embd";
  }
  for (const Node& node : model.graph.nodes)
    if (node.op == Op::kRmsNorm && node.weight != kNoWeight) changes[static_cast<std::size_t>(node.weight)].added = node.offset;
  return changes;
}

std::int64_t source_row(const ModelConfig& config, RowOrder order, std::int64_t row) noexcept {
  switch (order) {
    case RowOrder::kSame: return row;
    case RowOrder::kPairsAdjacent: return pairs_adjacent(row, config.head_dim, rotary_width(config));
    case RowOrder::kHeadsTogether: return heads_together(row, config.head_dim, config.heads);
  }
  return row;
}

std::vector<FileTensor> gguf_tensors(const Model& model) {
  // "blk.0.ffn_gate.3.weight" is a part of "blk.0.ffn_gate_exps.weight".
  std::map<WeightId, std::string> stacks;
  for (const Node& node : model.graph.nodes)
    for (const Node& expert : node.experts) {
      const std::string_view base = base_of(model.graph.weights[static_cast<std::size_t>(expert.weight)].name);
      stacks[expert.weight] = std::string(base_of(base)) + "_exps.weight";
    }
  std::vector<FileTensor> tensors;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < model.graph.weights.size(); ++i) {
    const auto id = static_cast<WeightId>(i);
    const WeightSpec& spec = model.graph.weights[i];
    const auto stack = stacks.find(id);
    if (stack == stacks.end()) {
      // llama.cpp has one row as a vector.
      const bool row = spec.shape.size() == 2 && spec.shape.front() == 1;
      tensors.push_back({spec.name, row ? std::vector<std::int64_t>{spec.shape.back()} : spec.shape, {id}});
      continue;
    }
    const auto [place, first] = places.try_emplace(stack->second, tensors.size());
    if (first) tensors.push_back({stack->second, {0, spec.shape[0], spec.shape[1]}, {}});
    FileTensor& tensor = tensors[place->second];
    tensor.weights.push_back(id);
    ++tensor.shape[0];
  }
  return tensors;
}

}  // namespace retort
