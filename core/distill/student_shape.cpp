#include "core/distill/student_shape.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/distill/student_sizes.h"

namespace retort::distill {
namespace {

std::string pieces_config(const std::string& text, std::int64_t pieces) {
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!config.is_object()) return text;
  config["vocab_size"] = pieces;
  return config.dump(2) + "\n";
}

// Tensors get the graph's shapes; those of a head that isn't used go with the pieces.
void set_shapes(const Graph& graph, std::int64_t old_pieces, std::int64_t pieces, bool fewer_positions, Checkpoint& checkpoint) {
  std::map<std::string, const WeightSpec*> specs;
  for (const WeightSpec& spec : graph.weights) specs[spec.source_name] = &spec;
  std::erase_if(checkpoint.tensors, [&](const TensorEntry& tensor) {
    const bool by_piece = pieces != old_pieces && !tensor.shape.empty() && tensor.shape[0] == old_pieces;
    return !specs.contains(tensor.name) && (by_piece || (fewer_positions && tensor.name.ends_with("position_ids")));
  });
  for (TensorEntry& tensor : checkpoint.tensors) {
    const auto spec = specs.find(tensor.name);
    if (spec == specs.end()) continue;
    std::vector<std::int64_t> shape = spec->second->shape;
    if (spec->second->stored == Stored::kTransposed) std::reverse(shape.begin(), shape.end());
    if (tensor.shape.size() != shape.size() || tensor.elements() == 0) continue;   // [1, n] and [n] hold the same
    if (tensor.shape != shape) tensor.data = {};
    tensor.shape = std::move(shape);
  }
}

}  // namespace

Result<Model> shape_student(const Model& teacher, const StudentDesign& design, std::int64_t positions) {
  RETORT_TRY(const std::vector<std::int64_t> kept, kept_layers(design, teacher.config.layers));
  RETORT_TRY(auto checkpoint, keep_layers(teacher, kept));
  RETORT_CHECK(set_sizes(teacher, design, *checkpoint));
  const bool gguf = checkpoint->format == CheckpointFormat::kGguf;
  const std::int64_t pieces = design.trim_vocabulary && design.most_pieces > 0 && !gguf ? std::min(design.most_pieces, teacher.config.vocabulary) : teacher.config.vocabulary;
  if (pieces != teacher.config.vocabulary) {
    const double share = static_cast<double>(pieces) / static_cast<double>(teacher.config.vocabulary);
    checkpoint->config_json = pieces_config(checkpoint->config_json, pieces);
    for (std::string* text : {&checkpoint->tokenizer_json, &checkpoint->vocab_txt}) text->resize(static_cast<std::size_t>(share * static_cast<double>(text->size())));
  }
  const bool fewer_positions = positions > 0 && !gguf && teacher.config.positions > 0;
  if (fewer_positions)
    checkpoint->config_json = positions_config(checkpoint->config_json, std::min(teacher.config.positions, positions + teacher.config.position_offset));
  Model shape;
  shape.architecture = teacher.architecture;
  RETORT_TRY(shape.config, teacher.architecture->configure(*checkpoint));
  shape.config.vocabulary = pieces;
  RETORT_TRY(shape.graph, teacher.architecture->build(shape.config, *checkpoint));
  set_shapes(shape.graph, teacher.config.vocabulary, pieces, fewer_positions, *checkpoint);
  for (const WeightSpec& spec : shape.graph.weights) {
    const TensorEntry* const tensor = checkpoint->find(spec.source_name);
    if (!tensor) return Error{.code = ErrorCode::kMissingPart, .file = checkpoint->path.string(), .place = spec.source_name, .expected = "a tensor", .found = "none"};
    shape.weights.push_back({.type = tensor->type, .shape = spec.shape, .data = {}, .row_scales = {}, .keep_alive = checkpoint, .version = 0, .coded = tensor->coded});
  }
  shape.checkpoint = std::move(checkpoint);
  shape.tokenizer = teacher.tokenizer;
  shape.chat_template = teacher.chat_template;
  return shape;
}

}  // namespace retort::distill
