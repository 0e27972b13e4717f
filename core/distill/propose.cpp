#include "core/distill/propose.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/model/session_rules.h"

namespace retort::distill {
namespace {

struct Packing {
  double bits = 16;
  std::string type{};
  std::vector<TrainStage> stages{};
};

// Encoders are written as folders, language models as GGUF files.
std::vector<Packing> packings_of(const Model& teacher) {
  const TrainStage distil{.kind = StageKind::kDistill}, repair{.kind = StageKind::kRepair};
  std::vector<Packing> out{{.bits = 16, .type = "f16", .stages = {distil}}};
  if (teacher.graph.causal) {
    for (const auto& [level, bits] : {std::pair("Q8_0", 8.0), std::pair("Q4_K_M", 4.0)})
      out.push_back({bits, "source", {distil, {.kind = StageKind::kQuantize, .level = level}, repair}});
    return out;
  }
  out.push_back({8, "source", {distil, {.kind = StageKind::kQuantize, .level = "INT8"}, repair}});
  out.push_back({4, "source", {distil, {.kind = StageKind::kQat, .level = "INT4", .embedding_bits = 4, .learned_scales = true}}});
  return out;
}

// 0: all pieces.
std::vector<std::int64_t> vocabularies_of(const Model& teacher) {
  std::vector<std::int64_t> out{0};
  const bool trims = teacher.graph.head == HeadKind::kSequenceLabels && teacher.checkpoint->format != CheckpointFormat::kGguf && teacher.tokenizer &&
                     teacher.tokenizer->kind() == "wordpiece";
  if (trims) out.push_back(std::min<std::int64_t>(8000, teacher.config.vocabulary / 2));
  return out;
}

std::vector<std::int64_t> feed_forwards_of(const Model& teacher) {
  std::vector<std::int64_t> out{0};
  for (const std::int64_t quarters : {3, 2})
    if (const std::int64_t width = teacher.config.feed_forward * quarters / 4 / 32 * 32; width > 0) out.push_back(width);
  return out;
}

std::int64_t layer_parameters_of(const Model& student) {
  std::set<WeightId> counted;
  std::int64_t sum = 0;
  for (const Node& node : student.graph.nodes)
    for (const WeightId id : {node.weight, node.bias})
      if (node.layer >= 0 && id != kNoWeight && counted.insert(id).second)
        sum += static_cast<std::int64_t>(weight_elements(student.weights[static_cast<std::size_t>(id)]));
  return sum;
}

class Proposer {
 public:
  Proposer(const Model& teacher, const DistillRecipe& recipe, const StudentTarget& target, int threads)
      : teacher_(teacher), target_(target), threads_(threads), recipe_(recipe) {
    recipe_.student = {.model = recipe.student.model, .classes = recipe.student.classes};
  }

  // The most layers that meet the target; nothing when one is too many, or when the teacher can't be made so.
  std::optional<StudentProposal> most_layers(const Packing& packing, std::int64_t pieces, std::int64_t feed_forward) {
    recipe_.stages = packing.stages;
    recipe_.type = packing.type;
    recipe_.student.trim_vocabulary = recipe_.student.trim_positions = pieces > 0;
    recipe_.student.most_pieces = pieces;
    recipe_.student.feed_forward = feed_forward;
    std::optional<StudentProposal> best;
    for (std::int64_t least = 1, most = teacher_.config.layers; least <= most;) {
      const std::int64_t layers = (least + most + 1) / 2;
      recipe_.student.layers = layers;
      auto predicted = predict_student(teacher_, recipe_, threads_);
      if (!predicted) return std::nullopt;
      if (!target_.met_by(*predicted)) {
        most = layers - 1;
        continue;
      }
      best = StudentProposal{.student = recipe_.student, .stages = recipe_.stages, .type = recipe_.type, .prediction = *predicted};
      least = layers + 1;
    }
    if (!best) return best;
    const auto shaped = shape_student(teacher_, best->student, best->student.trim_positions ? recipe_.data.max_tokens : 0);
    if (shaped) best->layer_parameters = layer_parameters_of(*shaped);
    return best;
  }

 private:
  const Model& teacher_;
  StudentTarget target_;
  int threads_;
  DistillRecipe recipe_;
};

struct Found {
  StudentProposal proposal;
  double bits = 0;
  std::int64_t pieces = 0;   // of the vocabulary that stays
};

bool as_good(const Found& a, const Found& b) noexcept {
  return a.proposal.layer_parameters >= b.proposal.layer_parameters && a.bits >= b.bits && a.pieces >= b.pieces;
}

}  // namespace

bool StudentTarget::met_by(const StudentPrediction& p) const noexcept {
  return (bytes == 0 || p.bytes <= bytes) && (memory == 0 || p.memory <= memory) && (latency_seconds == 0 || p.latency_seconds <= latency_seconds);
}

DistillRecipe StudentProposal::taken_into(DistillRecipe recipe) const {
  recipe.student = student;
  recipe.stages = stages;
  recipe.type = type;
  return recipe;
}

std::string StudentProposal::text() const {
  std::string out = fmt::format("{} layer{}", student.layers, student.layers == 1 ? "" : "s");
  if (student.feed_forward > 0) out += fmt::format(", feed-forward {}", student.feed_forward);
  if (student.trim_vocabulary) out += fmt::format(", {} pieces", student.most_pieces);
  for (const TrainStage& stage : stages)
    if (!stage.level.empty()) return out + ", " + stage.level;
  return out + ", " + type;
}

Result<std::vector<StudentProposal>> propose_students(const Model& teacher, const DistillRecipe& recipe, const StudentTarget& target, int threads, std::size_t most) {
  if (target.empty()) return Error{.code = ErrorCode::kBadArgument, .place = "target", .expected = "bytes, memory or a latency", .found = "none"};
  DistillRecipe whole = recipe;
  whole.student = {.model = recipe.student.model, .classes = recipe.student.classes};
  whole.stages.clear();
  whole.type = "f16";
  RETORT_CHECK(predict_student(teacher, whole, threads));
  Proposer proposer(teacher, recipe, target, threads);
  std::vector<Found> found;
  for (const Packing& packing : packings_of(teacher))
    for (const std::int64_t pieces : vocabularies_of(teacher))
      for (const std::int64_t width : feed_forwards_of(teacher))
        if (auto proposal = proposer.most_layers(packing, pieces, width)) {
          Found next{std::move(*proposal), packing.bits, pieces > 0 ? pieces : teacher.config.vocabulary};
          if (std::any_of(found.begin(), found.end(), [&](const Found& other) { return as_good(other, next); })) continue;
          std::erase_if(found, [&](const Found& other) { return as_good(next, other); });
          found.push_back(std::move(next));
        }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tuple(-a.proposal.layer_parameters, -a.bits, -a.pieces) < std::tuple(-b.proposal.layer_parameters, -b.bits, -b.pieces);
  });
  std::vector<StudentProposal> out;
  for (Found& each : found)
    if (out.size() < most) out.push_back(std::move(each.proposal));
  return out;
}

}  // namespace retort::distill
