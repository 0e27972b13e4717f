#include "ui/models/preset_model.h"

#include "ui/format.h"
#include "ui/widgets/table.h"

namespace retort::ui {

void fillExpectations(PresetRow& row, const StudySnapshot& study) {
  if (row.recipe.stages.size() != 1) return;
  const Stage& wanted = row.recipe.stages.front();
  double others = 0;
  int counted = 0;
  for (const CandidateInfo& candidate : study.candidates) {
    double seconds = 0;
    for (const auto& [set, evaluation] : candidate.evaluations) seconds += evaluation.seconds;
    if (candidate.is_original) continue;
    if (seconds > 0) {
      others += seconds;
      ++counted;
    }
    if (candidate.recipe.stages.size() != 1) continue;
    const Stage& stage = candidate.recipe.stages.front();
    if (stage.kind != wanted.kind || stage.level != wanted.level || !stage.overrides.empty()) continue;
    const bool same = stage.importance == wanted.importance;
    if (const auto loss = candidate.figure("kld_mean"); loss && (same || !row.loss || row.lossOfTwin)) {
      row.loss = loss;
      row.lossOfTwin = !same;
    }
    if (same && seconds > 0) row.seconds = seconds;
  }
  if (row.seconds > 0 || counted == 0) return;
  row.seconds = others / counted;
  row.secondsOfOthers = true;
}

QVariant PresetModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const PresetRow& r = row(index.row());
  if (role == Qt::ToolTipRole) {
    if (!r.problem.isEmpty()) return r.problem;
    QString text = r.explanation;
    if (r.bits > 0) text += tr("\n%1 bits per weight.").arg(QString::number(r.bits, 'f', 2));
    if (r.fallbacks > 0) text += tr("\n%n tensor(s) fall back to another type, because their rows do not fill a block.", nullptr, static_cast<int>(r.fallbacks));
    if (index.column() == Loss)
      text = !r.loss ? tr("Not known before it is measured: add it and run the study") : (r.lossOfTwin ? tr("KL divergence measured in this study on the same level, %1") : tr("KL divergence measured in this study: %1")).arg(figureText(*r.loss)) + (r.lossOfTwin ? (r.recipe.stages.front().importance ? tr(" without importance matrix") : tr(" with importance matrix")) : QString());
    if (index.column() == Time)
      text = r.seconds <= 0 ? tr("Not known before a candidate of this study is measured") : r.secondsOfOthers ? tr("The mean of what the evaluations of the measured candidates took; making the tensors comes on top") : tr("Its evaluations took this long; making the tensors comes on top");
    if (r.present) text += tr("\nAlready among the candidates.");
    return text;
  }
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole) return r.recipe.stages.size() == 1 ? toQString(r.recipe.stages.front().level) : r.code;
      if (role == kSecondRole) return r.plain;
      if (role == kMutedRole) return r.present;
      break;
    case Size:
      if (role == Qt::DisplayRole) return r.bytes > 0 ? bytesQuantity(r.bytes).value : QStringLiteral("–");
      if (role == kUnitRole) return r.bytes > 0 ? bytesQuantity(r.bytes).unit : QString();
      break;
    case Loss:
      if (role == Qt::DisplayRole) return !r.loss ? QStringLiteral("?") : (r.lossOfTwin ? QStringLiteral("≈ ") : QString()) + (r.loss->value > 0 && r.loss->value < 1e-4 ? QStringLiteral("< 0.0001") : significant(r.loss->value, 2));
      if (role == kUnitRole) return QString();
      if (role == kMutedRole) return !r.loss || r.lossOfTwin;
      break;
    case Time:
      if (role == Qt::DisplayRole) return r.seconds <= 0 ? QStringLiteral("?") : (r.secondsOfOthers ? QStringLiteral("≈ ") : QString()) + secondsQuantity(r.seconds).value;
      if (role == kUnitRole) return r.seconds <= 0 ? QString() : secondsQuantity(r.seconds).unit;
      if (role == kMutedRole) return r.seconds <= 0 || r.secondsOfOthers;
      break;
    case Memory:
      if (role == Qt::DisplayRole) return r.memory > 0 ? bytesQuantity(r.memory).value : QStringLiteral("–");
      if (role == kUnitRole) return r.memory > 0 ? bytesQuantity(r.memory).unit : QString();
      break;
    default: break;
  }
  return {};
}

QVariant PresetModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && section > Name) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role == Qt::ToolTipRole && section == Loss) return tr("KL divergence in nats per token, measured in this study; ? is not known yet");
  if (role == Qt::ToolTipRole && section == Time) return tr("Of the evaluations on this machine");
  if (role == Qt::ToolTipRole && section == Memory) return tr("Weights, KV cache and work space at the study's context, predicted");
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Preset"), QT_TR_NOOP("Size"), QT_TR_NOOP("Loss"), QT_TR_NOOP("Time"), QT_TR_NOOP("Memory")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

Qt::ItemFlags PresetModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  const bool works = index.isValid() && row(index.row()).problem.isEmpty();
  return works ? Qt::ItemIsEnabled | Qt::ItemIsSelectable : Qt::ItemIsSelectable;
}

}  // namespace retort::ui
