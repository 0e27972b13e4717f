#include "core/distill/distill_recipe.h"

#include <array>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/distill/packed_forms.h"
#include "core/quantize/levels.h"

namespace retort::distill {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kChoices = {"even", "first", "first_last", "every_second", "importance"};
constexpr std::array<std::string_view, 3> kTypes = {"source", "f32", "f16"};
constexpr std::array<std::string_view, 5> kStages = {"distill", "qat", "quantize", "repair", "probe"};
constexpr double kRepairRate = 1e-3;   // factors and norms lie about 1, so they bear more than weights
constexpr double kProbeRate = 1e-3;    // of a head that begins at random
constexpr std::array<std::string_view, 2> kMixings = {"weights", "agreement"};
constexpr std::array<std::string_view, 2> kComputes = {"f32", "bf16"};
constexpr std::array<std::string_view, 3> kDecays = {"constant", "linear", "cosine"};

Error bad(std::string place, std::string expected, std::string found) {
  return Error{.code = ErrorCode::kBadRecipe, .place = std::move(place), .expected = std::move(expected), .found = std::move(found)};
}

// One key of the document: how it is read, how it is written.
struct Key {
  std::string_view group, name;
  std::function<Result<void>(const json&, DistillRecipe&)> read;
  std::function<ordered_json(const DistillRecipe&)> write;
  std::string place() const { return group.empty() ? std::string(name) : fmt::format("{}.{}", group, name); }
};

template <class Get>
Key number(std::string_view group, std::string_view name, Get get, double low, double high) {
  Key key{group, name, nullptr, nullptr};
  const std::string place = key.place();
  key.read = [=](const json& value, DistillRecipe& recipe) -> Result<void> {
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high))
      return bad(place, fmt::format("a number from {} to {}", low, high), value.dump().substr(0, 60));
    using T = std::remove_reference_t<decltype(get(recipe))>;
    if (std::is_integral_v<T> && !value.is_number_integer()) return bad(place, "a whole number", value.dump().substr(0, 60));
    get(recipe) = value.get<T>();
    return {};
  };
  key.write = [=](const DistillRecipe& recipe) { return ordered_json(get(const_cast<DistillRecipe&>(recipe))); };
  return key;
}

template <class Get>
Key flag(std::string_view group, std::string_view name, Get get) {
  Key key{group, name, nullptr, nullptr};
  const std::string place = key.place();
  key.read = [=](const json& value, DistillRecipe& recipe) -> Result<void> {
    if (!value.is_boolean()) return bad(place, "true or false", value.dump().substr(0, 60));
    get(recipe) = value.get<bool>();
    return {};
  };
  key.write = [=](const DistillRecipe& recipe) { return ordered_json(get(const_cast<DistillRecipe&>(recipe))); };
  return key;
}

// Text, or one of a list that stands for an enumeration.
template <class Get, class Set>
Key text(std::string_view group, std::string_view name, Get get, Set set, std::span<const std::string_view> allowed = {}) {
  Key key{group, name, nullptr, nullptr};
  const std::string place = key.place();
  key.read = [=](const json& value, DistillRecipe& recipe) -> Result<void> {
    std::string names;
    bool known = allowed.empty();
    for (const std::string_view one : allowed) {
      names += (names.empty() ? "one of " : ", ") + std::string(one);
      known = known || (value.is_string() && value.get<std::string>() == one);
    }
    if (!value.is_string() || !known) return bad(place, allowed.empty() ? "text" : names, value.dump().substr(0, 60));
    set(recipe, value.get<std::string>());
    return {};
  };
  key.write = [=](const DistillRecipe& recipe) { return ordered_json(std::string(get(recipe))); };
  return key;
}

Key kept_layers() {
  Key key{"student", "kept", nullptr, nullptr};
  key.read = [](const json& value, DistillRecipe& recipe) -> Result<void> {
    if (!value.is_array()) return bad("student.kept", "a list of layers", value.dump().substr(0, 60));
    for (const json& layer : value) {
      if (!layer.is_number_unsigned()) return bad("student.kept", "whole numbers from 0", layer.dump().substr(0, 60));
      recipe.student.kept.push_back(layer.get<std::int64_t>());
    }
    return {};
  };
  key.write = [](const DistillRecipe& recipe) { return ordered_json(recipe.student.kept); };
  return key;
}

Key teacher_list() {
  Key key{"", "teachers", nullptr, nullptr};
  key.read = [](const json& value, DistillRecipe& recipe) -> Result<void> {
    if (!value.is_array()) return bad("teachers", "a list of further teachers", value.dump().substr(0, 60));
    for (const json& item : value) {
      const std::string place = fmt::format("teachers[{}]", recipe.teachers.size());
      if (!item.is_object() || !item.contains("model") || !item["model"].is_string()) return bad(place, "an object with a model", item.dump().substr(0, 60));
      TeacherChoice teacher{.model = item["model"].get<std::string>()};
      for (const auto& [name, part] : item.items()) {
        if (name == "model") continue;
        if (name != "weight") return bad(place + "." + name, "one of model, weight", "an unknown key");
        if (!part.is_number() || !(part.get<double>() > 0 && part.get<double>() <= 1e6)) return bad(place + ".weight", "a number above 0", part.dump().substr(0, 60));
        teacher.weight = part.get<double>();
      }
      recipe.teachers.push_back(std::move(teacher));
    }
    return {};
  };
  key.write = [](const DistillRecipe& recipe) {
    ordered_json list = ordered_json::array();
    for (const TeacherChoice& teacher : recipe.teachers) list.push_back({{"model", teacher.model.string()}, {"weight", teacher.weight}});
    return list;
  };
  return key;
}

// One key of a stage.
Result<void> read_stage_key(const std::string& place, const std::string& name, const json& value, TrainStage& stage) {
  const std::string found = value.dump().substr(0, 60);
  const auto in = [&](double low, double high) { return value.is_number() && value.get<double>() >= low && value.get<double>() <= high; };
  if (name == "kind") {
    const auto at = std::find_if(kStages.begin(), kStages.end(), [&](std::string_view known) { return value == known; });
    if (at == kStages.end()) return bad(place, "distill, qat, quantize, repair or probe", found);
    stage.kind = static_cast<StageKind>(at - kStages.begin());
  } else if (name == "level") {
    if (!value.is_string()) return bad(place, "a level", found);
    stage.level = value.get<std::string>();
  } else if (name == "importance") {
    if (!value.is_boolean()) return bad(place, "true or false", found);
    stage.importance = value.get<bool>();
  } else if (name == "activations") {
    if (value != "INT8" && value != "f32") return bad(place, "INT8 or f32", found);
    stage.activations = value == "INT8";
  } else if (name == "per_tensor") {
    if (!value.is_boolean()) return bad(place, "true or false", found);
    stage.per_tensor = value.get<bool>();
  } else if (name == "learned_scales") {
    if (!value.is_boolean()) return bad(place, "true or false", found);
    stage.learned_scales = value.get<bool>();
  } else if (name == "group") {
    if (!value.is_number_integer() || !in(0, 1e6)) return bad(place, "a whole number from 0 (0: a scale per row)", found);
    stage.group = value.get<std::int64_t>();
  } else if (name == "embedding_bits") {
    if (!value.is_number_integer() || !in(0, 8)) return bad(place, "a whole number from 0 to 8", found);
    stage.embedding_bits = value.get<std::int64_t>();
  } else if (name == "new_codes") {
    if (!value.is_number_integer() || !in(0, 1e9)) return bad(place, "a whole number of tokens (0: codes stay)", found);
    stage.new_codes = value.get<std::int64_t>();
  } else if (name == "steps") {
    if (!value.is_number_integer() || !in(1, 1e9)) return bad(place, "a whole number from 1", found);
    stage.steps = value.get<std::int64_t>();
  } else if (name == "epochs") {
    if (!in(1e-6, 1e9)) return bad(place, "a number above 0", found);
    stage.epochs = value.get<double>();
  } else if (name == "rate") {
    if (!in(1e-12, 10)) return bad(place, "a number above 0, at most 10", found);
    stage.rate = value.get<double>();
  } else {
    return bad(place, "one of kind, level, importance, group, per_tensor, embedding_bits, learned_scales, activations, new_codes, steps, epochs, rate", "an unknown key");
  }
  return {};
}

Key stage_list() {
  Key key{"", "stages", nullptr, nullptr};
  key.read = [](const json& value, DistillRecipe& recipe) -> Result<void> {
    if (!value.is_array() || value.empty()) return bad("stages", "a list of at least one stage", value.dump().substr(0, 60));
    recipe.stages.clear();
    for (const json& item : value) {
      const std::string place = fmt::format("stages[{}]", recipe.stages.size());
      if (!item.is_object() || !item.contains("kind")) return bad(place, "an object with a kind", item.dump().substr(0, 60));
      TrainStage stage;
      for (const auto& [name, part] : item.items()) RETORT_CHECK(read_stage_key(place + "." + name, name, part, stage));
      recipe.stages.push_back(std::move(stage));
    }
    return {};
  };
  key.write = [](const DistillRecipe& recipe) {
    ordered_json list = ordered_json::array();
    for (const TrainStage& stage : recipe.stages) {
      ordered_json item = {{"kind", stage_name(stage.kind)}};
      if (!stage.level.empty()) item["level"] = stage.level;
      if (stage.importance) item["importance"] = true;
      if (stage.group >= 0) item["group"] = stage.group;
      if (stage.per_tensor) item["per_tensor"] = true;
      if (stage.embedding_bits > 0) item["embedding_bits"] = stage.embedding_bits;
      if (stage.activations) item["activations"] = "INT8";
      if (stage.learned_scales) item["learned_scales"] = true;
      if (stage.new_codes > 0) item["new_codes"] = stage.new_codes;
      if (stage.steps > 0) item["steps"] = stage.steps;
      if (stage.epochs > 0) item["epochs"] = stage.epochs;
      if (stage.rate > 0) item["rate"] = stage.rate;
      list.push_back(std::move(item));
    }
    return list;
  };
  return key;
}

// What only some levels can do.
Result<void> check_grid_keys(const std::string& place, const TrainStage& stage) {
  const Grid* const grid = find_grid(stage.level);
  if (stage.group >= 0 && !(grid && grid->any_group)) return bad(place + ".group", "a level of integers (INT2 … INT8)", stage.level.empty() ? "none" : stage.level);
  if (stage.per_tensor && (!(grid && grid->any_group) || stage.group > 0 || stage.learned_scales))
    return bad(place + ".per_tensor", "a level of integers (INT2 … INT8) without a group and without learned scales", stage.level.empty() ? "none" : stage.level);
  if (stage.embedding_bits > 0 && (!grid || !integer_grid(static_cast<int>(stage.embedding_bits))))
    return bad(place + ".embedding_bits", "2, 3, 4, 5, 6 or 8, with a level that is written as a folder", std::to_string(stage.embedding_bits));
  if (stage.embedding_bits > 0 && !grid->any_group)
    return bad(place + ".embedding_bits", "a level of integers (INT2 … INT8): one folder has one form", stage.level);
  if (stage.activations && (!keeps_row_scales(stage) || stage.kind != StageKind::kQat))
    return bad(place + ".activations", "qat with INT8 and a scale per row: the form that is multiplied in integers", std::string(stage_name(stage.kind)) + " " + stage.level);
  if (stage.learned_scales && (stage.kind != StageKind::kQat || !grid || grid->scale != GridScale::kHalf || keeps_row_scales(stage)))
    return bad(place + ".learned_scales", "qat with integers in groups (INT2 … INT6, or INT8 with a group)", std::string(stage_name(stage.kind)) + " " + stage.level);
  return {};
}

// distill first if at all, then one qat or quantize, then one repair.
Result<void> check_stages(const std::vector<TrainStage>& stages) {
  bool packed = false, repaired = false;
  std::string packed_as;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const TrainStage& stage = stages[i];
    const std::string place = fmt::format("stages[{}]", i);
    const bool packs = stage.kind == StageKind::kQat || stage.kind == StageKind::kQuantize;
    if (packs && !find_level(stage.level) && !find_grid(stage.level)) {
      std::string names;
      for (const Level& level : levels()) names += (names.empty() ? "" : ", ") + std::string(level.id);
      for (const Grid& grid : grids()) names += grid.level == "INT8" ? "" : ", " + std::string(grid.level);
      return bad(place + ".level", "one of " + names, stage.level.empty() ? "none" : stage.level);
    }
    RETORT_CHECK(check_grid_keys(place, stage));
    if (packs && stage.level == "F16") return bad(place + ".level", "a level that packs weights; for F16 set type to f16", "F16");
    if (!packs && !stage.level.empty()) return bad(place + ".level", "no level for " + std::string(stage_name(stage.kind)), stage.level);
    if (stage.importance && (!packs || !find_level(stage.level) || !find_level(stage.level)->takes_importance))
      return bad(place + ".importance", "a stage whose level takes an importance matrix", std::string(stage_name(stage.kind)) + " " + stage.level);
    if (stage.kind == StageKind::kQuantize && (stage.steps > 0 || stage.epochs > 0 || stage.rate > 0))
      return bad(place, "no steps, epochs or rate: quantize doesn't train", "some");
    if (stage.kind == StageKind::kProbe && i > 0) return bad(place + ".kind", "probe as the first stage only", "a later one");
    if (stage.kind == StageKind::kDistill && i > 0 && stages[i - 1].kind != StageKind::kProbe) return bad(place + ".kind", "distill as the first stage only", "a later one");
    if (packs && (packed || repaired)) return bad(place + ".kind", "one qat or quantize", "a second");
    if (stage.new_codes > 0 && (stage.kind != StageKind::kRepair || (packed && !find_level(packed_as)) || packed_as == "INT8"))
      return bad(place + ".new_codes", "repair after a level of GGUF", std::string(stage_name(stage.kind)) + (packed_as.empty() ? "" : " after " + packed_as));
    if (stage.kind == StageKind::kRepair && (!packed || repaired)) return bad(place + ".kind", "one repair, after qat or quantize", repaired ? "a second" : "one before");
    if (stage.kind == StageKind::kRepair && i > 0 && stages[i - 1].per_tensor)
      return bad(place + ".kind", "no repair after per_tensor: it gives each row a scale of its own", "one");
    packed = packed || packs;
    if (packs) packed_as = stage.level;
    repaired = repaired || stage.kind == StageKind::kRepair;
  }
  return {};
}

// The keys of teachers and of what they are asked.
Result<void> check_teachers(const DistillRecipe& recipe) {
  const LossMix& loss = recipe.loss;
  const bool asked = loss.logits.needs_teacher();
  if (recipe.teacher.empty() && recipe.student.model.empty()) return bad("teacher", "a model, or student.model for text that a teacher wrote", "neither");
  if (recipe.teacher.empty() && loss.features()) return bad("teacher", "a model, for losses on its states", "none");
  if (!recipe.teachers.empty() && (recipe.teacher.empty() || !asked))
    return bad("teachers", "a first teacher and a loss on its answers", recipe.teacher.empty() ? "no teacher" : "a loss without");
  if (loss.by_agreement && recipe.teachers.empty()) return bad("mixing", "weights, with a single teacher", "agreement");
  if (loss.top > 0 && !asked) return bad("loss.top", "a loss on the teacher's answers", "one without");
  if ((loss.contradicted_weight != 1 || loss.contradicted_answer != 1) && (!asked || recipe.data.train.empty() || recipe.teacher.empty()))
    return bad("data.contradicted_weight", "labels, and a loss on the teacher's answers", "one of them is missing");
  if (recipe.on_policy.share > 0 && (!asked || recipe.teacher.empty())) return bad("on_policy.share", "a teacher and a loss on its answers", "one of them is missing");
  return {};
}

// What is given must do something.
Result<void> check_effect(const DistillRecipe& recipe) {
  const StudentDesign& student = recipe.student;
  if (!student.kept.empty() && student.layers > 0 && student.layers != static_cast<std::int64_t>(student.kept.size()))
    return bad("student.layers", fmt::format("{}, as kept has, or 0", student.kept.size()), std::to_string(student.layers));
  if (!recipe.data.unlabelled.empty() && !recipe.loss.needs_teacher())
    return bad("data.unlabelled", "a loss with the teacher in it", "one that needs labels");
  if (student.classes > 0 && recipe.loss.needs_teacher())
    return bad("student.classes", "a loss of labels alone (cross_entropy): an encoder without a classifier has no answers to learn from", "a loss with the teacher in it");
  if (recipe.stages.front().kind == StageKind::kProbe && student.classes == 0)
    return bad("stages[0].kind", "probe with student.classes: it trains a new head alone", "no new head");
  if (recipe.student.choice == LayerChoice::kImportance && (recipe.student.layers == 0 || !recipe.student.kept.empty()))
    return bad("student.choice", "importance with a number of layers", "none, or a list of kept ones");
  if (recipe.training.patience > 0 && recipe.data.validation.empty() && recipe.data.validation_share == 0)
    return bad("training.patience", "0 without validation texts", std::to_string(recipe.training.patience));
  return {};
}

using R = DistillRecipe;
constexpr double kMany = 1e9;

Key path(std::string_view group, std::string_view name, std::filesystem::path& (*get)(R&)) {
  return text(group, name, [get](const R& r) { return get(const_cast<R&>(r)).string(); },
              [get](R& r, const std::string& value) { get(r) = value; });
}

const std::vector<Key>& keys() {
  static const std::vector<Key> list = {
      text("", "name", [](const R& r) { return r.name; }, [](R& r, const std::string& v) { r.name = v; }),
      path("", "teacher", [](R& r) -> auto& { return r.teacher; }),
      teacher_list(),
      text("", "mixing", [](const R& r) { return kMixings[r.loss.by_agreement ? 1 : 0]; }, [](R& r, const std::string& v) { r.loss.by_agreement = v == "agreement"; }, kMixings),
      stage_list(),
      text("", "type", [](const R& r) { return r.type; }, [](R& r, const std::string& v) { r.type = v; }, kTypes),
      path("student", "model", [](R& r) -> auto& { return r.student.model; }),
      number("student", "layers", [](R& r) -> auto& { return r.student.layers; }, 0, 10000),
      text("student", "choice", [](const R& r) { return kChoices[static_cast<std::size_t>(r.student.choice)]; },
           [](R& r, const std::string& v) {
             r.student.choice = static_cast<LayerChoice>(std::find(kChoices.begin(), kChoices.end(), v) - kChoices.begin());
           }, kChoices),
      kept_layers(),
      flag("student", "trim_vocabulary", [](R& r) -> auto& { return r.student.trim_vocabulary; }),
      number("student", "most_pieces", [](R& r) -> auto& { return r.student.most_pieces; }, 0, kMany),
      flag("student", "trim_positions", [](R& r) -> auto& { return r.student.trim_positions; }),
      number("student", "heads", [](R& r) -> auto& { return r.student.heads; }, 0, 1e6),
      number("student", "feed_forward", [](R& r) -> auto& { return r.student.feed_forward; }, 0, 1e7),
      number("student", "classes", [](R& r) -> auto& { return r.student.classes; }, 0, 100000),
      number("student", "hidden", [](R& r) -> auto& { return r.student.hidden; }, 0, 1e6),
      path("data", "train", [](R& r) -> auto& { return r.data.train; }),
      path("data", "unlabelled", [](R& r) -> auto& { return r.data.unlabelled; }),
      path("data", "validation", [](R& r) -> auto& { return r.data.validation; }),
      number("data", "validation_share", [](R& r) -> auto& { return r.data.validation_share; }, 0, 0.5),
      number("data", "most_examples", [](R& r) -> auto& { return r.data.most_examples; }, 0, kMany),
      number("data", "context", [](R& r) -> auto& { return r.data.context; }, 2, 1e6),
      number("data", "max_tokens", [](R& r) -> auto& { return r.data.max_tokens; }, 2, 1e6),
      number("data", "contradicted_weight", [](R& r) -> auto& { return r.loss.contradicted_weight; }, 0, 1),
      number("data", "contradicted_answer", [](R& r) -> auto& { return r.loss.contradicted_answer; }, 0, 1),
      number("loss", "cross_entropy", [](R& r) -> auto& { return r.loss.logits.cross_entropy; }, 0, kMany),
      number("loss", "forward_kl", [](R& r) -> auto& { return r.loss.logits.forward_kl; }, 0, kMany),
      number("loss", "reverse_kl", [](R& r) -> auto& { return r.loss.logits.reverse_kl; }, 0, kMany),
      number("loss", "jensen_shannon", [](R& r) -> auto& { return r.loss.logits.jensen_shannon; }, 0, kMany),
      number("loss", "temperature", [](R& r) -> auto& { return r.loss.logits.temperature; }, 1, 20),
      number("loss", "top", [](R& r) -> auto& { return r.loss.top; }, 0, 65535),
      number("loss", "hidden_mse", [](R& r) -> auto& { return r.loss.hidden_mse; }, 0, kMany),
      number("loss", "hidden_cosine", [](R& r) -> auto& { return r.loss.hidden_cosine; }, 0, kMany),
      number("loss", "attention", [](R& r) -> auto& { return r.loss.attention; }, 0, kMany),
      number("loss", "values", [](R& r) -> auto& { return r.loss.values; }, 0, kMany),
      number("loss", "rkd_distance", [](R& r) -> auto& { return r.loss.rkd_distance; }, 0, kMany),
      number("loss", "rkd_angle", [](R& r) -> auto& { return r.loss.rkd_angle; }, 0, kMany),
      number("on_policy", "share", [](R& r) -> auto& { return r.on_policy.share; }, 0, 1),
      number("on_policy", "tokens", [](R& r) -> auto& { return r.on_policy.tokens; }, 1, 1e6),
      number("on_policy", "temperature", [](R& r) -> auto& { return r.on_policy.temperature; }, 0.01, 100),
      number("cache", "megabytes", [](R& r) -> auto& { return r.cache_megabytes; }, 0, kMany),
      number("training", "epochs", [](R& r) -> auto& { return r.training.epochs; }, 0, kMany),
      number("training", "steps", [](R& r) -> auto& { return r.training.steps; }, 0, kMany),
      number("training", "batch", [](R& r) -> auto& { return r.training.batch; }, 1, 1e6),
      number("training", "accumulate", [](R& r) -> auto& { return r.training.accumulate; }, 1, 1e6),
      number("training", "rate", [](R& r) -> auto& { return r.training.rate; }, 0, 10),
      number("training", "warmup", [](R& r) -> auto& { return r.training.warmup; }, 0, 1),
      text("training", "schedule", [](const R& r) { return decay_name(r.training.decay); },
           [](R& r, const std::string& v) { r.training.decay = *find_decay(v); }, kDecays),
      number("training", "beta1", [](R& r) -> auto& { return r.training.optimizer.beta1; }, 0, 0.999999),
      number("training", "beta2", [](R& r) -> auto& { return r.training.optimizer.beta2; }, 0, 0.999999),
      number("training", "epsilon", [](R& r) -> auto& { return r.training.optimizer.epsilon; }, 1e-30, 1),
      number("training", "decay", [](R& r) -> auto& { return r.training.optimizer.decay; }, 0, 10),
      number("training", "clip", [](R& r) -> auto& { return r.training.optimizer.clip; }, 0, kMany),
      number("training", "seed", [](R& r) -> auto& { return r.training.seed; }, 0, 9e15),
      number("training", "validate_every", [](R& r) -> auto& { return r.training.validate_every; }, 0, kMany),
      number("training", "patience", [](R& r) -> auto& { return r.training.patience; }, 0, kMany),
      number("training", "checkpoint_every", [](R& r) -> auto& { return r.training.checkpoint_every; }, 1, kMany),
      // f32 goes unsaid: recipes from before it could be chosen keep their digests.
      text("training", "compute", [](const R& r) { return r.training.compute == kernels::MatmulPrecision::kF32 ? std::string_view() : kComputes[1]; },
           [](R& r, const std::string& v) { r.training.compute = v == kComputes[1] ? kernels::MatmulPrecision::kBf16 : kernels::MatmulPrecision::kF32; }, kComputes),
      flag("training", "recompute", [](R& r) -> auto& { return r.training.recompute; }),
  };
  return list;
}

Result<void> read_object(const json& object, std::string_view group, DistillRecipe& recipe) {
  for (const auto& [name, value] : object.items()) {
    const auto key = std::find_if(keys().begin(), keys().end(), [&](const Key& k) { return k.group == group && k.name == name; });
    if (key != keys().end()) {
      RETORT_CHECK(key->read(value, recipe));
      continue;
    }
    const bool is_group = group.empty() && std::any_of(keys().begin(), keys().end(), [&](const Key& k) { return k.group == name; });
    if (is_group && value.is_object()) {
      RETORT_CHECK(read_object(value, name, recipe));
      continue;
    }
    std::string known;
    for (const Key& k : keys())
      if (k.group == group) known += (known.empty() ? "one of " : ", ") + std::string(k.name);
    if (!(group.empty() && name == "kind" && value == "distill"))
      return bad(group.empty() ? name : fmt::format("{}.{}", group, name), is_group ? "an object" : known, is_group ? value.dump().substr(0, 60) : "an unknown key");
  }
  return {};
}

}  // namespace

Result<DistillRecipe> distill_recipe_from_json(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object()) return bad("recipe", "a JSON object", "something else");
  DistillRecipe recipe;
  if (document.contains("loss")) recipe.loss.logits = {};   // a mix is stated whole: what it doesn't name counts nothing
  RETORT_CHECK(read_object(document, "", recipe));
  return recipe;
}

std::string distill_recipe_to_json(const DistillRecipe& recipe) {
  ordered_json out = {{"kind", "distill"}};
  for (const Key& key : keys()) {
    const ordered_json value = key.write(recipe);
    if (value == "" || (value.is_array() && value.empty())) continue;
    if (key.group.empty()) out[std::string(key.name)] = value;
    else out[std::string(key.group)][std::string(key.name)] = value;
  }
  return out.dump(2);
}

Result<void> check_recipe(const DistillRecipe& recipe) {
  const LogitWeights& logits = recipe.loss.logits;
  if (logits.cross_entropy == 0 && !recipe.loss.needs_teacher()) return bad("loss", "at least one part above 0", "none");
  RETORT_CHECK(check_teachers(recipe));
  if (recipe.data.train.empty() && recipe.data.unlabelled.empty()) return bad("data.train", "a file", "none");
  if (recipe.training.epochs <= 0 && recipe.training.steps <= 0) return bad("training.epochs", "epochs or steps above 0", "neither");
  if (recipe.data.train.empty() && !recipe.loss.needs_teacher())
    return bad("loss", "a part that needs no labels, for text without labels", "cross_entropy only");
  RETORT_CHECK(check_effect(recipe));
  if (recipe.student.most_pieces > 0 && !recipe.student.trim_vocabulary)
    return bad("student.most_pieces", "0 without trim_vocabulary", std::to_string(recipe.student.most_pieces));
  if (recipe.student.trim_vocabulary && recipe.loss.features())
    return bad("student.trim_vocabulary", "losses on logits only: other tokens have no states to compare", "losses on features");
  RETORT_CHECK(check_stages(recipe.stages));
  if (!final_level(recipe).empty() && recipe.type != "source")
    return bad("type", "source: a level says the types", recipe.type);
  return {};
}

std::string_view stage_name(StageKind kind) noexcept { return kStages[static_cast<std::size_t>(kind)]; }

const TrainStage* packing_stage(const DistillRecipe& recipe) noexcept {
  const auto found = std::find_if(recipe.stages.begin(), recipe.stages.end(), [](const TrainStage& stage) { return !stage.level.empty(); });
  return found == recipe.stages.end() ? nullptr : &*found;
}

const std::filesystem::path& parts_of(const DistillRecipe& recipe) noexcept {
  return recipe.student.model.empty() ? recipe.teacher : recipe.student.model;
}

std::string_view final_level(const DistillRecipe& recipe) noexcept {
  const TrainStage* const stage = packing_stage(recipe);
  return stage ? std::string_view(stage->level) : std::string_view();
}

TrainingPlan plan_of_stage(const TrainingPlan& plan, const TrainStage& stage) noexcept {
  TrainingPlan out = plan;
  if (stage.steps > 0) out.steps = stage.steps;
  if (stage.epochs > 0) {
    out.epochs = stage.epochs;
    out.steps = 0;
  }
  if (stage.rate > 0) out.rate = stage.rate;
  else if (stage.kind == StageKind::kRepair) out.rate = kRepairRate;
  else if (stage.kind == StageKind::kProbe) out.rate = kProbeRate;
  return out;
}

Digest distill_recipe_digest(const DistillRecipe& recipe) {
  DistillRecipe plain = recipe;
  plain.name.clear();
  plain.teacher.clear();
  for (TeacherChoice& teacher : plain.teachers) teacher.model.clear();
  plain.student.model.clear();
  plain.cache_megabytes = 0;   // where answers come from changes nothing
  plain.data.train.clear();
  plain.data.unlabelled.clear();
  plain.data.validation.clear();
  plain.training.checkpoint_every = 1;   // how often it is saved changes nothing
  return digest_of(distill_recipe_to_json(plain));
}

}  // namespace retort::distill
