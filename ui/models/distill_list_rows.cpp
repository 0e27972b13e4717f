// Teachers and stages: rows for each that a recipe has.
#include <algorithm>

#include "core/distill/grids.h"
#include "core/distill/packed_forms.h"
#include "core/quantize/levels.h"
#include "ui/format.h"
#include "ui/models/distill_rows.h"
#include "ui/models/stage_titles.h"
#include "ui/translate.h"

namespace retort::ui::rows {
namespace {

using distill::StageKind;
using distill::TeacherChoice;
using distill::TrainStage;

constexpr double kLeastWeight = 0.001;   // of a teacher: the reader takes any above 0

QString placed(const char* place) { return QString::fromLatin1(place); }

QString whyNotAsked(const Recipe& r, const TeacherShape*) { return r.loss.logits.needs_teacher() ? QString() : tr("The loss has no part with the teacher's answers"); }

QString whyNoTop(const Recipe& r, const TeacherShape* shape) {
  if (shape && shape->kind != SourceKind::kLanguageModel) return tr("For language models: a classifier's answers are kept whole");
  return whyNotAsked(r, shape);
}

QString whyNoCache(const Recipe& r, const TeacherShape* shape) {
  if (shape && shape->kind == SourceKind::kLanguageModel && r.loss.top == 0 && r.loss.logits.needs_teacher())
    return tr("Whole answers of a language model are too large to keep");
  return whyNotAsked(r, shape);
}

QString whyNoContradiction(const Recipe& r, const TeacherShape* shape) {
  if (shape && shape->kind == SourceKind::kLanguageModel) return tr("For classifiers: running text has no labels");
  if (r.data.train.empty() && !r.data.unlabelled.empty()) return tr("There are no labels to contradict");
  return whyNotAsked(r, shape);
}

QString whyNoPolicy(const Recipe& r, const TeacherShape* shape) {
  return shape && shape->kind != SourceKind::kLanguageModel ? tr("For language models: a classifier writes nothing") : whyNotAsked(r, shape);
}

QString whyNoPolicyDetail(const Recipe& r, const TeacherShape* shape) {
  const QString problem = whyNoPolicy(r, shape);
  return problem.isEmpty() && r.on_policy.share == 0 ? tr("With a share above 0") : problem;
}

// Emptied, the teacher goes.
DistillParameter teacherPath(std::size_t i) {
  DistillParameter p = row(Group::Teachers, Kind::Path, QStringLiteral("teachers[%1].model").arg(i), tr("Teacher %1").arg(i + 2), tr("Of the same classes, or the same tokenizer"));
  p.model = p.listed = true;
  p.idle = whyNotAsked;
  p.get = [i](const Recipe& r) { return QVariant(i < r.teachers.size() ? QString::fromStdU16String(r.teachers[i].model.u16string()) : QString()); };
  p.set = [i](Recipe& r, const QVariant& value) {
    if (i >= r.teachers.size()) return;
    if (value.toString().isEmpty()) r.teachers.erase(r.teachers.begin() + static_cast<std::ptrdiff_t>(i));
    else r.teachers[i].model = std::filesystem::path(value.toString().toStdU16String());
    if (r.teachers.empty()) r.loss.by_agreement = false;   // a single teacher has nobody to agree with
  };
  return p;
}

DistillParameter teacherWeight(std::size_t i) {
  DistillParameter p = row(Group::Teachers, Kind::Number, QStringLiteral("teachers[%1].weight").arg(i), tr("Weight of teacher %1").arg(i + 2), tr("The first counts 1"));
  p.unit = tr("weight");
  p.low = kLeastWeight;
  p.high = 1e6;
  p.idle = whyNotAsked;
  p.get = [i](const Recipe& r) { return QVariant(i < r.teachers.size() ? r.teachers[i].weight : TeacherChoice{}.weight); };
  p.set = [i](Recipe& r, const QVariant& value) {
    if (i < r.teachers.size()) r.teachers[i].weight = value.toDouble();
  };
  return p;
}

DistillParameter mixing() {
  const QString agreement = placed("agreement");
  return idleWhere(choice(Group::Teachers, placed("mixing"), tr("How answers are mixed"), {placed("weights"), agreement}, tr("Agreement: by what each gives the label"),
                          [agreement](const Recipe& r) { return r.loss.by_agreement ? agreement : placed("weights"); },
                          [agreement](Recipe& r, const QString& value) { r.loss.by_agreement = value == agreement; }),
                   [](const Recipe& r, const TeacherShape*) { return r.teachers.empty() ? tr("With a single teacher there is nothing to mix") : QString(); });
}

// A key of one stage; `get` gives a reference into it.
template <class Get>
DistillParameter ofStage(std::size_t i, const char* key, const QString& title, const QString& unit, double high, Get get, const QString& explanation, const QString& zero) {
  using T = std::remove_reference_t<decltype(get(std::declval<TrainStage&>()))>;
  DistillParameter p = row(Group::Stages, std::is_same_v<T, bool> ? Kind::Flag : std::is_integral_v<T> ? Kind::Whole : Kind::Number, QStringLiteral("stages[%1].%2").arg(i).arg(QLatin1String(key)), title, explanation);
  p.unit = unit;
  p.high = high;
  p.zero = zero;
  p.get = [get, i](const Recipe& r) {
    TrainStage stage = i < r.stages.size() ? r.stages[i] : TrainStage{};
    if constexpr (std::is_same_v<T, bool>) return QVariant(get(stage));
    else return QVariant(static_cast<double>(get(stage)));
  };
  p.set = [get, i](Recipe& r, const QVariant& value) {
    if (i >= r.stages.size()) return;
    if constexpr (std::is_same_v<T, bool>) get(r.stages[i]) = value.toBool();
    else get(r.stages[i]) = static_cast<T>(value.toDouble());
  };
  return p;
}

// The reason of one stage.
Idle onStage(std::size_t i, QString (*why)(const TrainStage&, const TeacherShape*)) {
  return [i, why](const Recipe& r, const TeacherShape* shape) { return i < r.stages.size() ? why(r.stages[i], shape) : QString(); };
}

QString whyNoImportance(const TrainStage& stage, const TeacherShape* shape) {
  if (shape && shape->kind != SourceKind::kLanguageModel) return tr("For language models: no matrix is made of a classifier");
  const Level* const level = find_level(stage.level);
  return level && level->takes_importance ? QString() : tr("%1 takes no importance matrix").arg(toQString(stage.level));
}

bool integers(const TrainStage& stage) {
  const distill::Grid* const grid = distill::find_grid(stage.level);
  return grid && grid->any_group;
}

QString whyNoGroup(const TrainStage& stage, const TeacherShape*) { return integers(stage) ? QString() : tr("For levels of integers: INT2 … INT8"); }

QString whyNoLearnedScales(const TrainStage& stage, const TeacherShape*) {
  return integers(stage) && !distill::keeps_row_scales(stage) ? QString() : tr("For integers in groups: INT2 … INT6, INT8 with a group");
}

QString whyNoActivations(const TrainStage& stage, const TeacherShape*) { return distill::keeps_row_scales(stage) ? QString() : tr("For INT8 with a scale per row"); }

std::vector<DistillParameter> packingRows(std::size_t i, const TrainStage& stage) {
  std::vector<DistillParameter> out;
  out.push_back(idleWhere(ofStage(i, "importance", tr("Weighed"), {}, 0, [](TrainStage& s) -> auto& { return s.importance; }, tr("Errors weighed by the text (importance)"), {}), onStage(i, whyNoImportance)));
  DistillParameter group = idleWhere(ofStage(i, "group", tr("Group"), tr("weights"), 1e6, [](TrainStage& s) -> auto& { return s.group; }, tr("Weights under one scale; 0: a row"), tr("the level's own")), onStage(i, whyNoGroup));
  group.special = TrainStage{}.group;
  out.push_back(std::move(group));
  out.push_back(idleWhere(ofStage(i, "per_tensor", tr("One scale a matrix"), {}, 0, [](TrainStage& s) -> auto& { return s.per_tensor; }, tr("Instead of one a row or group"), {}), onStage(i, whyNoGroup)));
  out.push_back(idleWhere(choice(Group::Stages, QStringLiteral("stages[%1].embedding_bits").arg(i), tr("Bits of embeddings"), {placed("0"), placed("2"), placed("3"), placed("4"), placed("5"), placed("6"), placed("8")},
                                 tr("Of looked-up tables; 0: they stay F16"),
                                 [i](const Recipe& r) { return QString::number(i < r.stages.size() ? r.stages[i].embedding_bits : TrainStage{}.embedding_bits); },
                                 [i](Recipe& r, const QString& value) {
                                   if (i < r.stages.size()) r.stages[i].embedding_bits = value.toInt();
                                 }),
                          onStage(i, whyNoGroup)));
  if (stage.kind != StageKind::kQat) return out;
  out.push_back(idleWhere(ofStage(i, "learned_scales", tr("Learned scales"), {}, 0, [](TrainStage& s) -> auto& { return s.learned_scales; }, tr("Scales train beside the weights (LSQ)"), {}), onStage(i, whyNoLearnedScales)));
  out.push_back(idleWhere(ofStage(i, "activations", tr("INT8 activations"), {}, 0, [](TrainStage& s) -> auto& { return s.activations; }, tr("What packed linears read is rounded too"), {}), onStage(i, whyNoActivations)));
  return out;
}

DistillParameter newCodes(std::size_t i) {
  return idleWhere(ofStage(i, "new_codes", tr("New codes"), tr("tokens"), 1e9, [](TrainStage& s) -> auto& { return s.new_codes; }, tr("Chosen anew on so much text"), tr("codes stay")),
                   [](const Recipe& r, const TeacherShape*) {
                     const std::string_view level = distill::final_level(r);
                     return find_level(level) && level != "INT8" ? QString() : tr("For levels of GGUF");
                   });
}

void addTraining(std::size_t i, StageKind kind, std::vector<DistillParameter>& out) {
  const QString asRecipe = tr("as the recipe");
  const bool own = kind == StageKind::kRepair || kind == StageKind::kProbe;
  out.push_back(ofStage(i, "steps", tr("Steps"), tr("steps"), 1e9, [](TrainStage& s) -> auto& { return s.steps; }, tr("Of this stage alone"), asRecipe));
  out.push_back(idleWhere(ofStage(i, "epochs", tr("Epochs"), tr("times"), 1e9, [](TrainStage& s) -> auto& { return s.epochs; }, tr("Of this stage, instead of steps"), asRecipe),
                          onStage(i, [](const TrainStage& s, const TeacherShape*) { return s.steps > 0 && s.epochs == 0 ? tr("The number of steps says when it ends") : QString(); })));
  out.push_back(ofStage(i, "rate", tr("Learning rate"), {}, 10, [](TrainStage& s) -> auto& { return s.rate; }, tr("Of this stage, the greatest"), own ? tr("as usual, 0.001") : asRecipe));
}

}  // namespace

std::vector<DistillParameter> teacherRows(const Recipe& recipe) {
  std::vector<DistillParameter> out;
  DistillParameter first = path(Group::Teachers, placed("teacher"), tr("Teacher"), [](Recipe& r) -> auto& { return r.teacher; }, tr("Who answers; the first of several"), tr("the study's source"));
  first.model = true;
  out.push_back(std::move(first));
  for (std::size_t i = 0; i < recipe.teachers.size(); ++i) {
    out.push_back(teacherPath(i));
    out.push_back(teacherWeight(i));
  }
  out.push_back(mixing());
  out.push_back(heading(Group::Teachers, placed("answers"), tr("Answers that are kept"), tr("On the disk, so that the next student costs no teacher time")));
  out.push_back(idleWhere(number(Group::Teachers, placed("loss.top"), tr("Likeliest classes"), tr("classes"), 0, 65535, [](Recipe& r) -> auto& { return r.loss.top; }, tr("Of each answer; the rest counts as one"), tr("whole answers")), whyNoTop));
  out.push_back(idleWhere(number(Group::Teachers, placed("cache.megabytes"), tr("Room for answers"), tr("MB"), 0, 0, [](Recipe& r) -> auto& { return r.cache_megabytes; }, tr("Of all students; what is oldest goes first"), tr("none are kept")), whyNoCache));
  out.push_back(heading(Group::Teachers, placed("contradictions"), tr("Labels that the teacher contradicts"), tr("Weight 1 and 1: as any other; 0 and 1: the example is dropped")));
  out.push_back(idleWhere(number(Group::Teachers, placed("data.contradicted_weight"), tr("The example"), tr("weight"), 0, 1, [](Recipe& r) -> auto& { return r.loss.contradicted_weight; }, tr("What it counts for; below 1 it counts less"), tr("dropped")), whyNoContradiction));
  out.push_back(idleWhere(number(Group::Teachers, placed("data.contradicted_answer"), tr("The teacher's answer"), tr("weight"), 0, 1, [](Recipe& r) -> auto& { return r.loss.contradicted_answer; }, tr("What it counts for beside the label"), tr("the label alone")), whyNoContradiction));
  out.push_back(heading(Group::Teachers, placed("policy"), tr("Texts that the student writes"), tr("It goes on from the prompts, and the teacher scores that (on-policy)")));
  out.push_back(idleWhere(number(Group::Teachers, placed("on_policy.share"), tr("Share"), tr("of the passes"), 0, 1, [](Recipe& r) -> auto& { return r.on_policy.share; }, tr("Many times slower than reading"), tr("never")), whyNoPolicy));
  out.push_back(idleWhere(number(Group::Teachers, placed("on_policy.tokens"), tr("Length, at most"), tr("tokens"), 1, 1e6, [](Recipe& r) -> auto& { return r.on_policy.tokens; }, tr("After the prompt")), whyNoPolicyDetail));
  out.push_back(idleWhere(number(Group::Teachers, placed("on_policy.temperature"), tr("Temperature of writing"), {}, 0.01, 100, [](Recipe& r) -> auto& { return r.on_policy.temperature; }, tr("1: as the student's own odds say")), whyNoPolicyDetail));
  return out;
}

std::vector<DistillParameter> stageRows(const Recipe& recipe) {
  std::vector<DistillParameter> out;
  for (std::size_t i = 0; i < recipe.stages.size(); ++i) {
    const TrainStage& stage = recipe.stages[i];
    QString title = QStringLiteral("%1 · %2").arg(i + 1).arg(stageTitle(stage.kind));
    if (!stage.level.empty()) title += QStringLiteral(" · ") + toQString(stage.level);
    out.push_back(heading(Group::Stages, QStringLiteral("stages[%1]").arg(i), title, stageHelp(stage.kind)));
    if (stage.kind == StageKind::kQat || stage.kind == StageKind::kQuantize)
      for (DistillParameter& p : packingRows(i, stage)) out.push_back(std::move(p));
    if (stage.kind == StageKind::kRepair) out.push_back(newCodes(i));
    if (stage.kind != StageKind::kQuantize) addTraining(i, stage.kind, out);
  }
  return out;
}

}  // namespace retort::ui::rows
