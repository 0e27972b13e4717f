// Appends nodes and weights of one model from its table of parts. The builders of decoders and encoders derive from it.
#pragma once

#include <fmt/format.h>

#include "core/model/architectures/decoder.h"

namespace retort {

std::int64_t size_of(const ModelConfig& config, Dim dim) noexcept;

class GraphBuilder {
 protected:
  GraphBuilder(const DecoderTraits& traits, const ModelConfig& config, const Checkpoint& checkpoint)
      : traits_(traits), config_(config), checkpoint_(checkpoint), folder_(checkpoint.format != CheckpointFormat::kGguf),
        activation_(*find_activation(config.activation)) {
    graph_.tokens = value(1);
  }

  const PartRow* part(Part p) const noexcept { return find_part(traits_, config_, p); }

  ValueId value(std::int64_t width) {
    graph_.widths.push_back(width);
    return static_cast<ValueId>(graph_.widths.size()) - 1;
  }
  std::int64_t width(ValueId v) const { return graph_.widths[static_cast<std::size_t>(v)]; }

  // Files that came from TensorFlow say gamma and beta.
  std::string stored_name(const std::string& base, std::string_view now, std::string_view once) const {
    const std::string old = base + std::string(once);
    return !checkpoint_.find(base + std::string(now)) && checkpoint_.find(old) ? old : base + std::string(now);
  }

  WeightId weight(WeightSpec spec) {
    if (stored_)
      for (std::size_t i = 0; i < graph_.weights.size(); ++i)
        if (graph_.weights[i].name == spec.name) return static_cast<WeightId>(i);
    graph_.weights.push_back(std::move(spec));
    return static_cast<WeightId>(graph_.weights.size()) - 1;
  }

  std::vector<std::int64_t> shape_of(const PartRow& row) const {
    std::vector<std::int64_t> shape = {size_of(config_, row.rows)};
    if (row.columns != Dim::kNone) shape.push_back(size_of(config_, row.columns));
    return shape;
  }

  // A node over one part's weight.
  Node& add(Op op, const PartRow& row, std::vector<ValueId> inputs, std::int64_t width, std::int32_t layer) {
    const std::string base = fill_hole(row.gguf, stored_ ? stored_->group * config_.layers_per_group + stored_->inner : layer);
    std::string source = source_base(traits_, row, stored_ ? stored_->group : layer, checkpoint_);
    if (stored_ && folder_) source = fill_hole(source, stored_->inner);
    Node node{.op = op, .name = base, .inputs = std::move(inputs), .output = value(width), .layer = layer};
    node.weight = weight({.name = base + ".weight", .source_name = stored_name(source, ".weight", ".gamma"), .shape = shape_of(row),
                          .stored = row.transposed && folder_ ? Stored::kTransposed : Stored::kPlain});
    if (row.biased || (row.bias && config_.*row.bias))
      node.bias = weight({.name = base + ".bias", .source_name = stored_name(source, ".bias", ".beta"),
                          .shape = {size_of(config_, row.rows)}});
    return graph_.nodes.emplace_back(std::move(node));
  }
  Node& add(Op op, Part p, std::vector<ValueId> inputs, std::int64_t width, std::int32_t layer) {
    return add(op, *part(p), std::move(inputs), width, layer);
  }

  ValueId linear(Part p, ValueId x, std::int32_t layer) {
    return add(Op::kLinear, p, {x}, size_of(config_, part(p)->rows), layer).output;
  }
  ValueId norm(Part p, ValueId x, std::int32_t layer) {
    Node& node = add(traits_.layer_norm ? Op::kLayerNorm : Op::kRmsNorm, p, {x}, width(x), layer);
    if (folder_) node.offset = traits_.folder_norm_offset;
    return node.output;
  }
  // x itself where the model has no such norm.
  ValueId norm_if(Part p, ValueId x, std::int32_t layer) { return part(p) ? norm(p, x, layer) : x; }

  ValueId plain(Op op, std::string_view name, std::vector<ValueId> inputs, std::int64_t width, std::int32_t layer) {
    std::string full = layer < 0 ? std::string(name) : fmt::format("blk.{}.{}", layer, name);
    return graph_.nodes
        .emplace_back(Node{.op = op, .name = std::move(full), .inputs = std::move(inputs), .output = value(width), .layer = layer})
        .output;
  }
  ValueId scale(ValueId x, double factor, std::string_view name, std::int32_t layer) {
    if (factor == 1) return x;
    const ValueId y = plain(Op::kScale, name, {x}, width(x), layer);
    graph_.nodes.back().scale = static_cast<float>(factor);
    return y;
  }

  const DecoderTraits& traits_;
  const ModelConfig& config_;
  const Checkpoint& checkpoint_;
  const bool folder_;
  const kernels::Activation activation_;
  // Layers that share weights: whose they are, while such a layer is made.
  struct Shared {
    std::int64_t group = 0, inner = 0;
  };
  std::optional<Shared> stored_;
  Graph graph_;
};

}  // namespace retort
