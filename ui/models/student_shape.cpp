#include "ui/models/student_shape.h"

#include <algorithm>

#include "core/distill/student.h"
#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui {
namespace {

using distill::StudentDesign;

constexpr std::int64_t kWidthBlocks = 16;     // of feed-forward and vocabulary

std::int64_t kept_or_all(std::int64_t kept, std::int64_t all) { return kept > 0 ? std::min(kept, all) : all; }

// `kept` of `all` as blocks, the last one filled as soon as a part of it stays.
std::vector<bool> prefix(std::int64_t blocks, std::int64_t kept, std::int64_t all) {
  std::vector<bool> on(static_cast<std::size_t>(blocks), false);
  const std::int64_t filled = std::clamp<std::int64_t>((kept * blocks + all - 1) / std::max<std::int64_t>(all, 1), 1, blocks);
  std::fill_n(on.begin(), filled, true);
  return on;
}

BlockRow widthRow(const QString& name, std::int64_t blocks, std::int64_t kept, std::int64_t all, const QString& hover) {
  BlockRow row;
  row.name = name;
  row.kept = prefix(blocks, kept, all);
  row.figure = kept < all ? tr("%1 of %2").arg(integer(kept), integer(all)) : integer(all);
  row.hover = hover;
  return row;
}

std::int64_t headBlocks(const TeacherShape& teacher) { return std::max<std::int64_t>(1, teacher.heads / std::max<std::int64_t>(1, teacher.groupedHeads)); }

BlockRow layerRow(const TeacherShape& teacher, const StudentDesign& design) {
  BlockRow row;
  row.name = tr("Layers");
  row.single = true;
  const std::int64_t count = keptCount(teacher, design);
  const std::vector<std::int64_t> kept = keptLayers(teacher, design);
  row.vague = kept.empty();
  row.kept.assign(static_cast<std::size_t>(teacher.layers), false);
  if (row.vague) std::fill_n(row.kept.begin(), count, true);
  for (const std::int64_t layer : kept) row.kept[static_cast<std::size_t>(layer)] = true;
  for (std::int64_t i = 0; i < teacher.layers; ++i) row.labels.push_back(QString::number(i));
  row.figure = count < teacher.layers ? tr("%1 of %2").arg(count).arg(teacher.layers) : tr("all %1").arg(teacher.layers);
  row.hover = row.vague ? tr("Which ones is measured on the training text when it runs") : tr("Click or Space takes a layer away or gives it back; + and − choose anew");
  return row;
}

}  // namespace

TeacherShape teacherShape(const LoadedModel& loaded) {
  const Model& model = *loaded.model;
  const ModelConfig& config = model.config;
  TeacherShape shape;
  shape.name = toQString(config.name);
  shape.layers = config.layers;
  shape.heads = config.heads;
  shape.groupedHeads = config.kv_heads > 0 ? std::max<std::int64_t>(1, config.heads / config.kv_heads) : 1;
  shape.hidden = config.hidden;
  shape.headSize = config.head_dim;
  shape.feedForward = config.feed_forward;
  shape.vocabulary = config.vocabulary;
  shape.positions = config.positions;
  for (const TensorRow& tensor : loaded.tensors) shape.parameters += tensor.elements;
  const HeadKind head = model.graph.head;
  shape.kind = head == HeadKind::kNextToken ? SourceKind::kLanguageModel : head == HeadKind::kSequenceLabels ? SourceKind::kClassifier : SourceKind::kEncoder;
  shape.gguf = model.checkpoint && model.checkpoint->format == CheckpointFormat::kGguf;
  // Encoders of the BERT kind state heads and hidden size only; a head's size follows from both.
  shape.tied = config.positions > 0 && config.kv_heads == config.heads && config.heads * config.head_dim == config.hidden;
  if (shape.kind == SourceKind::kLanguageModel) shape.vocabularyProblem = tr("A language model must answer with any piece: only classifiers can do with fewer");
  else if (shape.gguf) shape.vocabularyProblem = tr("For models in folders: a GGUF file's tokenizer stays whole");
  return shape;
}

std::int64_t keptCount(const TeacherShape& teacher, const StudentDesign& design) {
  if (!design.kept.empty()) return static_cast<std::int64_t>(design.kept.size());
  return kept_or_all(design.layers, teacher.layers);
}

std::vector<std::int64_t> keptLayers(const TeacherShape& teacher, const StudentDesign& design) {
  std::vector<std::int64_t> kept;
  if (!design.kept.empty()) {
    for (const std::int64_t layer : design.kept)
      if (layer >= 0 && layer < teacher.layers) kept.push_back(layer);
    return kept;
  }
  const std::int64_t count = keptCount(teacher, design);
  if (count >= teacher.layers) {
    for (std::int64_t i = 0; i < teacher.layers; ++i) kept.push_back(i);
    return kept;
  }
  if (design.choice == distill::LayerChoice::kImportance) return {};
  return distill::choose_layers(teacher.layers, count, design.choice);
}

StudentDesign withLayerToggled(const TeacherShape& teacher, StudentDesign design, std::int64_t layer) {
  std::vector<std::int64_t> kept = keptLayers(teacher, design);
  if (kept.empty())   // by importance: from here on by hand
    for (std::int64_t i = 0; i < keptCount(teacher, design); ++i) kept.push_back(i);
  const auto at = std::find(kept.begin(), kept.end(), layer);
  if (at == kept.end()) kept.insert(std::upper_bound(kept.begin(), kept.end(), layer), layer);
  else if (kept.size() > 1) kept.erase(at);
  design.layers = 0;
  design.kept = std::move(kept);
  if (static_cast<std::int64_t>(design.kept.size()) == teacher.layers) design.kept.clear();   // all: that is how a recipe says it
  return design;
}

StudentDesign withCount(const TeacherShape& teacher, StudentDesign design, ShapeRow row, std::int64_t kept) {
  const auto share = [&](std::int64_t all, std::int64_t blocks) { return kept >= blocks ? std::int64_t{0} : std::max<std::int64_t>(1, all * kept / blocks); };
  switch (row) {
    case ShapeRow::Layers:
      design.kept.clear();
      design.layers = kept >= teacher.layers ? 0 : kept;
      break;
    case ShapeRow::Heads:
    case ShapeRow::Hidden: {
      const std::int64_t blocks = headBlocks(teacher);
      if (row == ShapeRow::Heads || teacher.tied) design.heads = share(blocks, blocks) * teacher.groupedHeads;
      if (row == ShapeRow::Hidden || teacher.tied) design.hidden = kept >= blocks ? 0 : teacher.hidden * kept / blocks;
      break;
    }
    case ShapeRow::FeedForward: design.feed_forward = share(teacher.feedForward, std::min(kWidthBlocks, teacher.feedForward)); break;
    case ShapeRow::Vocabulary: {
      const std::int64_t blocks = std::min(kWidthBlocks, teacher.vocabulary);
      design.trim_vocabulary = kept < blocks;
      design.most_pieces = design.trim_vocabulary ? teacher.vocabulary * kept / blocks : 0;
      break;
    }
  }
  return design;
}

std::vector<BlockRow> blockRows(const TeacherShape& teacher, const StudentDesign& design, std::vector<ShapeRow>& which) {
  std::vector<BlockRow> rows;
  which.clear();
  const auto add = [&](ShapeRow kind, BlockRow row) {
    which.push_back(kind);
    rows.push_back(std::move(row));
  };
  if (teacher.layers > 0) add(ShapeRow::Layers, layerRow(teacher, design));
  if (teacher.heads > 1)
    add(ShapeRow::Heads, widthRow(teacher.tied ? tr("Width") : tr("Heads"), headBlocks(teacher), kept_or_all(design.heads, teacher.heads), teacher.heads,
                                  teacher.tied ? tr("Attention heads, and the hidden size that goes with them; the most important stay") : tr("Attention heads; the most important stay")));
  if (teacher.tied && !rows.empty() && design.hidden > 0) rows.back().figure = tr("%1 of %2 wide").arg(integer(design.hidden), integer(teacher.hidden));
  else if (teacher.tied && !rows.empty()) rows.back().figure = tr("%1 wide").arg(integer(teacher.hidden));
  if (!teacher.tied && teacher.hidden > 0 && teacher.heads > 1)
    add(ShapeRow::Hidden, widthRow(tr("Hidden"), headBlocks(teacher), kept_or_all(design.hidden, teacher.hidden), teacher.hidden, tr("Width of what goes from layer to layer; the most important dimensions stay")));
  if (teacher.feedForward > 0)
    add(ShapeRow::FeedForward, widthRow(tr("Feed-forward"), std::min(kWidthBlocks, teacher.feedForward), kept_or_all(design.feed_forward, teacher.feedForward), teacher.feedForward, tr("Width of the feed-forward part of every layer; the most important stay")));
  if (teacher.vocabulary > 0) {
    const bool open = design.trim_vocabulary && design.most_pieces == 0;
    BlockRow row = widthRow(tr("Vocabulary"), std::min(kWidthBlocks, teacher.vocabulary), design.trim_vocabulary ? kept_or_all(design.most_pieces, teacher.vocabulary) : teacher.vocabulary, teacher.vocabulary,
                            tr("Only the pieces that the training text needs, the most frequent first; every word can still be spelled"));
    if (open) row.figure = tr("as the text needs");
    row.vague = open;
    row.problem = teacher.vocabularyProblem;
    add(ShapeRow::Vocabulary, std::move(row));
  }
  return rows;
}

}  // namespace retort::ui
