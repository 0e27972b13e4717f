// What student, losses, training and data have rows for.
#include "ui/models/distill_rows.h"

#include "ui/format.h"
#include "ui/translate.h"

namespace retort::ui::rows {
namespace {

QString at(const char* place) { return QString::fromLatin1(place); }

bool isKind(const TeacherShape* shape, SourceKind kind) { return shape && shape->kind == kind; }

// The label, or the text of a task, is what a row needs.
QString onlyOfLanguageModels(const Recipe&, const TeacherShape* shape) {
  return shape && shape->kind != SourceKind::kLanguageModel ? tr("For language models: a classifier reads one text at a time") : QString();
}
QString onlyOfClassifiers(const Recipe&, const TeacherShape* shape) {
  return isKind(shape, SourceKind::kLanguageModel) ? tr("For classifiers: a language model reads running text in chunks") : QString();
}
QString onlyWithSoftTargets(const Recipe& r, const TeacherShape*) {
  return r.loss.logits.needs_teacher() ? QString() : tr("For soft targets: none of them counts");
}
QString onlyWithValidation(const Recipe& r, const TeacherShape*) {
  return r.data.validation.empty() && r.data.validation_share == 0 ? tr("There are no validation texts") : QString();
}

QString whyNoTrimming(const Recipe& r, const TeacherShape* shape) {
  if (shape && !shape->vocabularyProblem.isEmpty()) return shape->vocabularyProblem;
  if (isKind(shape, SourceKind::kEncoder) && r.student.classes == 0) return tr("For classifiers");
  return r.loss.features() ? tr("Not with losses on states: other tokens have no states to compare") : QString();
}

QString whyNoFewerPieces(const Recipe& r, const TeacherShape* shape) {
  const QString problem = whyNoTrimming(r, shape);
  if (!problem.isEmpty()) return problem;
  return r.student.trim_vocabulary ? QString() : tr("With a trimmed vocabulary only");
}

QString whyNoNewClasses(const Recipe& r, const TeacherShape* shape) {
  if (isKind(shape, SourceKind::kLanguageModel)) return tr("For encoders without a classifier of their own");
  if (isKind(shape, SourceKind::kClassifier)) return tr("The model has its classes already");
  return r.loss.needs_teacher() ? tr("Learned from labels: every other loss must be 0") : QString();
}

// The same as the blocks above, as figures to type.
DistillParameter layerNumber() {
  DistillParameter p = number(Group::Student, at("student.layers"), tr("Layers"), tr("layers"), 0, 10000, [](Recipe& r) -> auto& { return r.student.layers; }, tr("How many stay"), tr("all"));
  p.get = [](const Recipe& r) { return QVariant(r.student.kept.empty() ? static_cast<double>(r.student.layers) : static_cast<double>(r.student.kept.size())); };
  p.set = [](Recipe& r, const QVariant& value) {
    r.student.layers = static_cast<std::int64_t>(value.toDouble());
    r.student.kept.clear();
  };
  return p;
}

DistillParameter layerChoice() {
  static const QStringList choices{at("even"), at("first"), at("first_last"), at("every_second"), at("importance")};
  return idleWhere(choice(Group::Student, at("student.choice"), tr("Layers that stay"), choices, tr("Where their number alone is given"),
                          [](const Recipe& r) { return choices.value(static_cast<int>(r.student.choice)); },
                          [](Recipe& r, const QString& value) {
                            r.student.choice = static_cast<distill::LayerChoice>(choices.indexOf(value));
                            if (r.student.kept.empty()) return;
                            r.student.layers = static_cast<std::int64_t>(r.student.kept.size());   // chosen anew, as many as before
                            r.student.kept.clear();
                          }),
                   [](const Recipe& r, const TeacherShape*) { return r.student.layers == 0 && r.student.kept.empty() ? tr("All of them stay") : QString(); });
}

DistillParameter scheduleChoice() {
  return choice(Group::Training, at("training.schedule"), tr("Schedule"), {at("linear"), at("cosine"), at("constant")}, tr("How the rate falls after the warm-up"),
                [](const Recipe& r) { return QString::fromStdString(std::string(decay_name(r.training.decay))); },
                [](Recipe& r, const QString& value) {
                  if (const auto decay = distill::find_decay(value.toStdString())) r.training.decay = *decay;
                });
}

}  // namespace

std::vector<DistillParameter> studentRows() {
  const auto with = [](const char* place, const QString& title, const QString& unit, double high, auto get, const QString& explanation, const QString& zero) {
    return number(Group::Student, at(place), title, unit, 0, high, get, explanation, zero);
  };
  DistillParameter parts = path(Group::Student, at("student.model"), tr("Made of"), [](Recipe& r) -> auto& { return r.student.model; }, tr("Of another model than its teacher"), tr("the teacher"));
  parts.model = true;
  return {
      parts,
      layerNumber(),
      layerChoice(),
      with("student.heads", tr("Heads"), tr("heads"), 1e6, [](Recipe& r) -> auto& { return r.student.heads; }, tr("Of a layer; the most important stay"), tr("all")),
      with("student.feed_forward", tr("Feed-forward"), tr("wide"), 1e7, [](Recipe& r) -> auto& { return r.student.feed_forward; }, tr("Width of a layer's feed-forward part"), tr("unchanged")),
      with("student.hidden", tr("Hidden"), tr("wide"), 1e6, [](Recipe& r) -> auto& { return r.student.hidden; }, tr("Width of what goes from layer to layer"), tr("unchanged")),
      idleWhere(flag(Group::Student, at("student.trim_vocabulary"), tr("Trim the vocabulary"), [](Recipe& r) -> bool& { return r.student.trim_vocabulary; }, tr("Only pieces that the training text needs")), whyNoTrimming),
      idleWhere(with("student.most_pieces", tr("Pieces, at most"), tr("pieces"), 0, [](Recipe& r) -> auto& { return r.student.most_pieces; }, tr("The most frequent; all stay spellable"), tr("all that occur")), whyNoFewerPieces),
      idleWhere(flag(Group::Student, at("student.trim_positions"), tr("Trim positions"), [](Recipe& r) -> bool& { return r.student.trim_positions; }, tr("Only those that an example can reach")),
                [](const Recipe&, const TeacherShape* shape) { return shape && shape->positions == 0 ? tr("The model has no table of positions") : shape && shape->gguf ? tr("For models in folders") : QString(); }),
      idleWhere(with("student.classes", tr("New classes"), tr("classes"), 100000, [](Recipe& r) -> auto& { return r.student.classes; }, tr("A new classifier, learned from labels"), tr("none")), whyNoNewClasses),
      idleWhere(choice(Group::Student, at("type"), tr("File of a dense student"), {at("source"), at("f32"), at("f16")}, tr("Where no stage packs the weights"),
                       [](const Recipe& r) { return QString::fromStdString(r.type); }, [](Recipe& r, const QString& value) { r.type = value.toStdString(); }),
                [](const Recipe& r, const TeacherShape*) { return distill::final_level(r).empty() ? QString() : tr("A stage packs the weights: %1").arg(toQString(distill::final_level(r))); }),
  };
}

std::vector<DistillParameter> lossRows() {
  const auto weight = [](const char* place, const QString& title, auto get, const QString& explanation) {
    return number(Group::Loss, at(place), title, tr("weight"), 0, 0, get, explanation, tr("left out"));
  };
  return {
      weight("loss.cross_entropy", tr("Labels"), [](Recipe& r) -> auto& { return r.loss.logits.cross_entropy; }, tr("Cross-entropy with the right answer")),
      weight("loss.forward_kl", tr("Soft targets, forward"), [](Recipe& r) -> auto& { return r.loss.logits.forward_kl; }, tr("KL(teacher ‖ student): cover all it allows")),
      weight("loss.reverse_kl", tr("Soft targets, reverse"), [](Recipe& r) -> auto& { return r.loss.logits.reverse_kl; }, tr("KL(student ‖ teacher): where it is sure")),
      weight("loss.jensen_shannon", tr("Soft targets, both ways"), [](Recipe& r) -> auto& { return r.loss.logits.jensen_shannon; }, tr("Jensen–Shannon: bounded, calmer")),
      idleWhere(number(Group::Loss, at("loss.temperature"), tr("Temperature"), {}, 1, 20, [](Recipe& r) -> auto& { return r.loss.logits.temperature; }, tr("Softens both sides; counts times T²")), onlyWithSoftTargets),
      weight("loss.hidden_mse", tr("Hidden states, distance"), [](Recipe& r) -> auto& { return r.loss.hidden_mse; }, tr("Squared, of mapped layers' states")),
      weight("loss.hidden_cosine", tr("Hidden states, direction"), [](Recipe& r) -> auto& { return r.loss.hidden_cosine; }, tr("1 − cosine of mapped states (DistilBERT)")),
      weight("loss.attention", tr("Attention maps"), [](Recipe& r) -> auto& { return r.loss.attention; }, tr("KL between those of mapped layers")),
      weight("loss.values", tr("Value relations"), [](Recipe& r) -> auto& { return r.loss.values; }, tr("Of the last layer's values (MiniLM)")),
      weight("loss.rkd_distance", tr("Distances of examples"), [](Recipe& r) -> auto& { return r.loss.rkd_distance; }, tr("Between the examples of a batch (RKD)")),
      weight("loss.rkd_angle", tr("Angles of examples"), [](Recipe& r) -> auto& { return r.loss.rkd_angle; }, tr("Between three examples of a batch (RKD)")),
  };
}

std::vector<DistillParameter> trainingRows() {
  const auto with = [](const char* place, const QString& title, const QString& unit, double low, double high, auto get, const QString& explanation, const QString& zero = {}) {
    return number(Group::Training, at(place), title, unit, low, high, get, explanation, zero);
  };
  return {
      idleWhere(with("training.epochs", tr("Epochs"), tr("times"), 0, 0, [](Recipe& r) -> auto& { return r.training.epochs; }, tr("How often the data is gone through")),
                [](const Recipe& r, const TeacherShape*) { return r.training.steps > 0 ? tr("The number of steps says when it ends") : QString(); }),
      with("training.steps", tr("Steps"), tr("steps"), 0, 0, [](Recipe& r) -> auto& { return r.training.steps; }, tr("Instead of epochs"), tr("as epochs say")),
      with("training.batch", tr("Batch"), tr("sequences"), 1, 1e6, [](Recipe& r) -> auto& { return r.training.batch; }, tr("Sequences of one pass")),
      with("training.accumulate", tr("Accumulate"), tr("passes"), 1, 1e6, [](Recipe& r) -> auto& { return r.training.accumulate; }, tr("Passes of one step, in the same memory")),
      with("training.rate", tr("Learning rate"), {}, 0, 10, [](Recipe& r) -> auto& { return r.training.rate; }, tr("The greatest, after the warm-up")),
      with("training.warmup", tr("Warm-up"), tr("of the steps"), 0, 1, [](Recipe& r) -> auto& { return r.training.warmup; }, tr("The rate rises from 0 over this share")),
      scheduleChoice(),
      idleWhere(with("training.validate_every", tr("Validate every"), tr("steps"), 0, 0, [](Recipe& r) -> auto& { return r.training.validate_every; }, tr("The best state is kept"), tr("once an epoch")), onlyWithValidation),
      idleWhere(with("training.patience", tr("Patience"), tr("validations"), 0, 0, [](Recipe& r) -> auto& { return r.training.patience; }, tr("Without improvement before it stops"), tr("never stops early")), onlyWithValidation),
      with("training.checkpoint_every", tr("Save every"), tr("steps"), 1, 0, [](Recipe& r) -> auto& { return r.training.checkpoint_every; }, tr("What an interruption can cost")),
      with("training.decay", tr("Weight decay"), {}, 0, 10, [](Recipe& r) -> auto& { return r.training.optimizer.decay; }, tr("Of AdamW; norms and biases are spared")),
      with("training.clip", tr("Gradient clip"), tr("norm"), 0, 0, [](Recipe& r) -> auto& { return r.training.optimizer.clip; }, tr("Largest joint norm of the gradients"), tr("not clipped")),
      with("training.beta1", tr("Beta 1"), {}, 0, 0.999999, [](Recipe& r) -> auto& { return r.training.optimizer.beta1; }, tr("Memory of AdamW's mean")),
      with("training.beta2", tr("Beta 2"), {}, 0, 0.999999, [](Recipe& r) -> auto& { return r.training.optimizer.beta2; }, tr("Memory of AdamW's spread")),
      with("training.epsilon", tr("Epsilon"), {}, 1e-30, 1, [](Recipe& r) -> auto& { return r.training.optimizer.epsilon; }, tr("Keeps AdamW's division away from 0")),
      choice(Group::Training, at("training.compute"), tr("Products"), {at("f32"), at("bf16")}, tr("bf16: faster where the processor has it; masters stay f32"),
             [](const Recipe& r) { return r.training.compute == kernels::MatmulPrecision::kBf16 ? at("bf16") : at("f32"); },
             [](Recipe& r, const QString& value) { r.training.compute = value == at("bf16") ? kernels::MatmulPrecision::kBf16 : kernels::MatmulPrecision::kF32; }),
      flag(Group::Training, at("training.recompute"), tr("Recompute activations"), [](Recipe& r) -> bool& { return r.training.recompute; }, tr("Less memory for about a third more time")),
      with("training.seed", tr("Seed"), {}, 0, 9e15, [](Recipe& r) -> auto& { return r.training.seed; }, tr("The same seed gives the same student")),
  };
}

std::vector<DistillParameter> dataRows() {
  const auto with = [](const char* place, const QString& title, const QString& unit, double low, double high, auto get, const QString& explanation, const QString& zero = {}) {
    return number(Group::Data, at(place), title, unit, low, high, get, explanation, zero);
  };
  const QString ofStudy = tr("the study's sets");
  return {
      path(Group::Data, at("data.train"), tr("Training"), [](Recipe& r) -> auto& { return r.data.train; }, tr("Text; JSONL with labels or conversations"), ofStudy),
      idleWhere(path(Group::Data, at("data.unlabelled"), tr("Unlabelled"), [](Recipe& r) -> auto& { return r.data.unlabelled; }, tr("More text; the teacher's answers only"), tr("none named")),
                [](const Recipe& r, const TeacherShape*) { return r.loss.needs_teacher() ? QString() : tr("Learned from labels alone: the teacher isn't asked"); }),
      path(Group::Data, at("data.validation"), tr("Validation"), [](Recipe& r) -> auto& { return r.data.validation; }, tr("Without one, a share of the training texts"), tr("a share of training")),
      idleWhere(with("data.validation_share", tr("Validation share"), tr("of the texts"), 0, 0.5, [](Recipe& r) -> auto& { return r.data.validation_share; }, tr("By digest: no text stands on both sides")),
                [](const Recipe& r, const TeacherShape*) { return r.data.validation.empty() ? QString() : tr("There is a file of its own"); }),
      idleWhere(with("data.most_examples", tr("Labelled texts, at most"), tr("texts"), 0, 0, [](Recipe& r) -> auto& { return r.data.most_examples; }, tr("Another sample for each seed"), tr("all")), onlyOfClassifiers),
      idleWhere(with("data.max_tokens", tr("Longest example"), tr("tokens"), 2, 1e6, [](Recipe& r) -> auto& { return r.data.max_tokens; }, tr("Of a labelled text; longer ones are cut")), onlyOfClassifiers),
      idleWhere(with("data.context", tr("Chunk"), tr("tokens"), 2, 1e6, [](Recipe& r) -> auto& { return r.data.context; }, tr("Of running text, or of a conversation")), onlyOfLanguageModels),
  };
}

}  // namespace retort::ui::rows
