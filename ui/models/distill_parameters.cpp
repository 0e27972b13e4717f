#include "ui/models/distill_parameters.h"

#include <QLocale>
#include <algorithm>
#include <cmath>
#include <iterator>

#include "ui/translate.h"

namespace retort::ui {
namespace {

using distill::DistillRecipe;
using Group = DistillParameter::Group;
using Kind = DistillParameter::Kind;
using R = DistillRecipe;

QString id(const char* text) { return QString::fromLatin1(text); }

template <class Get>
DistillParameter number(Group group, const char* place, const QString& title, const QString& unit, double low, double high, Get get, const QString& explanation, const QString& zero = {}) {
  using T = std::remove_reference_t<decltype(get(std::declval<R&>()))>;
  DistillParameter p;
  p.group = group;
  p.place = id(place);
  p.title = title;
  p.unit = unit;
  p.explanation = explanation;
  p.kind = std::is_integral_v<T> ? Kind::Whole : Kind::Number;
  p.low = low;
  p.high = high;
  p.zero = zero;
  p.get = [get](const R& recipe) { return QVariant(static_cast<double>(get(const_cast<R&>(recipe)))); };
  p.set = [get](R& recipe, const QVariant& value) { get(recipe) = static_cast<T>(value.toDouble()); };
  return p;
}

DistillParameter path(const char* place, const QString& title, std::filesystem::path& (*get)(R&), const QString& explanation) {
  DistillParameter p;
  p.group = Group::Data;
  p.place = id(place);
  p.title = title;
  p.explanation = explanation;
  p.kind = Kind::Path;
  p.get = [get](const R& recipe) { return QVariant(QString::fromStdU16String(get(const_cast<R&>(recipe)).u16string())); };
  p.set = [get](R& recipe, const QVariant& value) { get(recipe) = std::filesystem::path(value.toString().toStdU16String()); };
  return p;
}

std::vector<DistillParameter> lossParameters() {
  const auto weight = [](const char* place, const QString& title, auto get, const QString& explanation) {
    return number(Group::Loss, place, title, tr("weight"), 0, 0, get, explanation, tr("left out"));
  };
  return {
      weight("loss.cross_entropy", tr("Labels"), [](R& r) -> auto& { return r.loss.logits.cross_entropy; }, tr("Cross-entropy with the right answer")),
      weight("loss.forward_kl", tr("Soft targets, forward"), [](R& r) -> auto& { return r.loss.logits.forward_kl; }, tr("KL(teacher ‖ student): cover all it allows")),
      weight("loss.reverse_kl", tr("Soft targets, reverse"), [](R& r) -> auto& { return r.loss.logits.reverse_kl; }, tr("KL(student ‖ teacher): stay where it is sure")),
      weight("loss.jensen_shannon", tr("Soft targets, both ways"), [](R& r) -> auto& { return r.loss.logits.jensen_shannon; }, tr("Jensen–Shannon: bounded, calmer")),
      number(Group::Loss, "loss.temperature", tr("Temperature"), {}, 1, 20, [](R& r) -> auto& { return r.loss.logits.temperature; }, tr("Softens both sides; counts times T²")),
      weight("loss.hidden_mse", tr("Hidden states, distance"), [](R& r) -> auto& { return r.loss.hidden_mse; }, tr("Squared distance of mapped layers' states")),
      weight("loss.hidden_cosine", tr("Hidden states, direction"), [](R& r) -> auto& { return r.loss.hidden_cosine; }, tr("1 − cosine of mapped states (DistilBERT)")),
      weight("loss.attention", tr("Attention maps"), [](R& r) -> auto& { return r.loss.attention; }, tr("KL between mapped layers' attention maps")),
      weight("loss.values", tr("Value relations"), [](R& r) -> auto& { return r.loss.values; }, tr("Relations of the last layer's values (MiniLM)")),
      weight("loss.rkd_distance", tr("Distances of examples"), [](R& r) -> auto& { return r.loss.rkd_distance; }, tr("Between the examples of a batch (RKD)")),
      weight("loss.rkd_angle", tr("Angles of examples"), [](R& r) -> auto& { return r.loss.rkd_angle; }, tr("Between three examples of a batch (RKD)")),
  };
}

DistillParameter choice(Group group, const char* place, const QString& title, const QStringList& choices, const QString& explanation,
                        std::function<QString(const R&)> get, std::function<void(R&, const QString&)> set) {
  DistillParameter p;
  p.group = group;
  p.place = id(place);
  p.title = title;
  p.explanation = explanation;
  p.kind = Kind::Choice;
  p.choices = choices;
  p.get = [get](const R& r) { return QVariant(get(r)); };
  p.set = [set](R& r, const QVariant& value) { set(r, value.toString()); };
  return p;
}

DistillParameter flag(Group group, const char* place, const QString& title, bool& (*get)(R&), const QString& explanation) {
  DistillParameter p;
  p.group = group;
  p.place = id(place);
  p.title = title;
  p.explanation = explanation;
  p.kind = Kind::Flag;
  p.get = [get](const R& r) { return QVariant(get(const_cast<R&>(r))); };
  p.set = [get](R& r, const QVariant& value) { get(r) = value.toBool(); };
  return p;
}

// The same as the blocks above, as figures to type.
std::vector<DistillParameter> studentParameters() {
  static const QStringList choices{id("even"), id("first"), id("first_last"), id("every_second"), id("importance")};
  const auto with = [](const char* place, const QString& title, const QString& unit, auto get, const QString& explanation, const QString& zero) {
    return number(Group::Student, place, title, unit, 0, 0, get, explanation, zero);
  };
  return {
      choice(Group::Student, "student.choice", tr("Layers that stay"), choices, tr("Where their number alone is given"),
             [](const R& r) { return choices.value(static_cast<int>(r.student.choice)); },
             [](R& r, const QString& value) {
               r.student.choice = static_cast<distill::LayerChoice>(choices.indexOf(value));
               if (r.student.kept.empty()) return;
               r.student.layers = static_cast<std::int64_t>(r.student.kept.size());   // chosen anew, as many as before
               r.student.kept.clear();
             }),
      with("student.heads", tr("Heads"), tr("heads"), [](R& r) -> auto& { return r.student.heads; }, tr("Of a layer; the most important stay"), tr("as the teacher")),
      with("student.feed_forward", tr("Feed-forward"), tr("wide"), [](R& r) -> auto& { return r.student.feed_forward; }, tr("Width of a layer's feed-forward part"), tr("as the teacher")),
      with("student.hidden", tr("Hidden"), tr("wide"), [](R& r) -> auto& { return r.student.hidden; }, tr("Width of what goes from layer to layer"), tr("as the teacher")),
      flag(Group::Student, "student.trim_vocabulary", tr("Trim the vocabulary"), [](R& r) -> bool& { return r.student.trim_vocabulary; }, tr("Only the pieces that the training text needs")),
      with("student.most_pieces", tr("Pieces, at most"), tr("pieces"), [](R& r) -> auto& { return r.student.most_pieces; }, tr("The most frequent; all can still be spelled"), tr("all that occur")),
      flag(Group::Student, "student.trim_positions", tr("Trim positions"), [](R& r) -> bool& { return r.student.trim_positions; }, tr("Only those that an example can reach")),
      choice(Group::Student, "type", tr("File of a dense student"), {id("source"), id("f32"), id("f16")}, tr("Where no stage packs the weights"),
             [](const R& r) { return QString::fromStdString(r.type); }, [](R& r, const QString& value) { r.type = value.toStdString(); }),
  };
}

DistillParameter scheduleChoice() {
  return choice(Group::Training, "training.schedule", tr("Schedule"), {id("linear"), id("cosine"), id("constant")}, tr("How the rate falls after the warm-up"),
                [](const R& r) { return QString::fromStdString(std::string(decay_name(r.training.decay))); },
                [](R& r, const QString& value) {
                  if (const auto decay = distill::find_decay(value.toStdString())) r.training.decay = *decay;
                });
}

std::vector<DistillParameter> trainingParameters() {
  const auto with = [](const char* place, const QString& title, const QString& unit, double low, double high, auto get, const QString& explanation, const QString& zero = {}) {
    return number(Group::Training, place, title, unit, low, high, get, explanation, zero);
  };
  return {
      with("training.epochs", tr("Epochs"), tr("times"), 0, 0, [](R& r) -> auto& { return r.training.epochs; }, tr("How often the data is gone through")),
      with("training.steps", tr("Steps"), tr("steps"), 0, 0, [](R& r) -> auto& { return r.training.steps; }, tr("Instead of epochs"), tr("as epochs say")),
      with("training.batch", tr("Batch"), tr("sequences"), 1, 1e6, [](R& r) -> auto& { return r.training.batch; }, tr("Sequences of one pass")),
      with("training.accumulate", tr("Accumulate"), tr("passes"), 1, 1e6, [](R& r) -> auto& { return r.training.accumulate; }, tr("Passes of one step, in the same memory")),
      with("training.rate", tr("Learning rate"), {}, 0, 10, [](R& r) -> auto& { return r.training.rate; }, tr("The greatest, after the warm-up")),
      with("training.warmup", tr("Warm-up"), tr("of the steps"), 0, 1, [](R& r) -> auto& { return r.training.warmup; }, tr("The rate rises from 0 over this share")),
      scheduleChoice(),
      with("training.validate_every", tr("Validate every"), tr("steps"), 0, 0, [](R& r) -> auto& { return r.training.validate_every; }, tr("The best state is kept"), tr("once an epoch")),
      with("training.patience", tr("Patience"), tr("validations"), 0, 0, [](R& r) -> auto& { return r.training.patience; }, tr("Without improvement before it stops early"), tr("never stops early")),
      with("training.checkpoint_every", tr("Save every"), tr("steps"), 1, 0, [](R& r) -> auto& { return r.training.checkpoint_every; }, tr("What an interruption can cost")),
      with("training.decay", tr("Weight decay"), {}, 0, 10, [](R& r) -> auto& { return r.training.optimizer.decay; }, tr("Of AdamW; norms and biases are spared")),
      with("training.clip", tr("Gradient clip"), tr("norm"), 0, 0, [](R& r) -> auto& { return r.training.optimizer.clip; }, tr("Largest joint norm of the gradients"), tr("not clipped")),
      with("training.beta1", tr("Beta 1"), {}, 0, 0.999999, [](R& r) -> auto& { return r.training.optimizer.beta1; }, tr("Memory of AdamW's mean")),
      with("training.beta2", tr("Beta 2"), {}, 0, 0.999999, [](R& r) -> auto& { return r.training.optimizer.beta2; }, tr("Memory of AdamW's spread")),
      with("training.epsilon", tr("Epsilon"), {}, 1e-30, 1, [](R& r) -> auto& { return r.training.optimizer.epsilon; }, tr("Keeps AdamW's division away from 0")),
      flag(Group::Training, "training.recompute", tr("Recompute activations"), [](R& r) -> bool& { return r.training.recompute; }, tr("Less memory for about a third more time")),
      with("training.seed", tr("Seed"), {}, 0, 9e15, [](R& r) -> auto& { return r.training.seed; }, tr("The same seed gives the same student")),
  };
}

std::vector<DistillParameter> dataParameters() {
  const auto with = [](const char* place, const QString& title, const QString& unit, double low, double high, auto get, const QString& explanation, const QString& zero = {}) {
    return number(Group::Data, place, title, unit, low, high, get, explanation, zero);
  };
  return {
      path("data.train", tr("Training"), [](R& r) -> auto& { return r.data.train; }, tr("Text, or JSONL with text and label")),
      path("data.unlabelled", tr("Unlabelled"), [](R& r) -> auto& { return r.data.unlabelled; }, tr("More text, with the teacher's answers only")),
      path("data.validation", tr("Validation"), [](R& r) -> auto& { return r.data.validation; }, tr("Without a file, a share of the training texts")),
      with("data.validation_share", tr("Validation share"), tr("of the texts"), 0, 0.5, [](R& r) -> auto& { return r.data.validation_share; }, tr("By digest: no text stands on both sides")),
      with("data.most_examples", tr("Labelled texts, at most"), tr("texts"), 0, 0, [](R& r) -> auto& { return r.data.most_examples; }, tr("Another sample for each seed"), tr("all")),
      with("data.max_tokens", tr("Longest example"), tr("tokens"), 2, 1e6, [](R& r) -> auto& { return r.data.max_tokens; }, tr("Of one labelled text; longer ones are cut")),
      with("data.context", tr("Chunk"), tr("tokens"), 2, 1e6, [](R& r) -> auto& { return r.data.context; }, tr("Of running text, for language models")),
  };
}

std::vector<DistillParameter> make() {
  std::vector<DistillParameter> all = studentParameters();
  for (auto part : {lossParameters(), trainingParameters(), dataParameters()}) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}

QString plain(double value) {
  if (value != 0 && (std::abs(value) < 1e-3 || std::abs(value) >= 1e7)) return QString::number(value, 'g', 6);
  return QString::number(value, 'g', 15);
}

}  // namespace

QString DistillParameter::range() const {
  const QVariant usual = standard();
  if (kind == Kind::Path) return {};
  if (kind == Kind::Flag) return tr("default %1").arg(usual.toBool() ? tr("on") : tr("off"));
  if (kind == Kind::Choice) return tr("default %1").arg(usual.toString());
  const QString limits = high > 0 && high < 1e6 ? tr("%1 to %2").arg(plain(low), plain(high)) : tr("from %1").arg(plain(low));
  return tr("%1 · default %2").arg(limits, plain(usual.toDouble()));
}

QString DistillParameter::text(const QVariant& value) const {
  if (kind == Kind::Flag) return value.toBool() ? tr("on") : tr("off");
  if (kind == Kind::Choice || kind == Kind::Path) return value.toString();
  return plain(value.toDouble());
}

std::optional<QVariant> DistillParameter::parse(const QString& text) const {
  if (kind == Kind::Path) return QVariant(text.trimmed());
  if (kind == Kind::Choice) return choices.contains(text) ? std::optional(QVariant(text)) : std::nullopt;
  if (kind == Kind::Flag) return QVariant(text == tr("on"));
  bool ok = false;
  QString digits = text.trimmed();
  double value = QLocale::c().toDouble(digits.replace(QLatin1Char(','), QLatin1Char('.')), &ok);
  if (!ok || !std::isfinite(value) || value < low || (high > 0 && value > high) || value > 9e15) return std::nullopt;
  if (kind == Kind::Whole && value != std::floor(value)) return std::nullopt;
  return QVariant(value);
}

const std::vector<DistillParameter>& distillParameters() {
  static const std::vector<DistillParameter> all = make();
  return all;
}

}  // namespace retort::ui
