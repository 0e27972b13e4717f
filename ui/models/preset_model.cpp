#include "ui/models/preset_model.h"

#include <cmath>

#include "ui/format.h"
#include "ui/theme.h"
#include "ui/widgets/table.h"

namespace retort::ui {

namespace {

// A prediction of an hour isn't known to the second.
Quantity estimatedTime(double seconds) {
  if (seconds >= 3570) return {QString::number(seconds / 3600, 'f', 1), QStringLiteral("h")};
  if (seconds < 90) return secondsQuantity(seconds);
  return {QString::number(std::llround(seconds / 60)), QStringLiteral("min")};
}

// A student's figures are those of a candidate that does exactly the same.
void fillStudent(PresetRow& row, const StudySnapshot& study) {
  const Digest digest = recipe_digest(row.recipe);
  for (const CandidateInfo& candidate : study.candidates) {
    if (candidate.recipe.student.empty() || recipe_digest(candidate.recipe) != digest) continue;
    row.present = true;
    if (const auto loss = candidate.figure("kld_mean")) row.loss = loss;
    if (const auto right = candidate.figure("accuracy")) row.right = right;
  }
}

}  // namespace

void fillExpectations(PresetRow& row, const StudySnapshot& study) {
  if (!row.recipe.student.empty()) return fillStudent(row, study);
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
    const auto loss = candidate.figure("kld_mean"), right = candidate.figure("accuracy");
    if ((loss || right) && (same || (!row.loss && !row.right) || row.lossOfTwin)) {
      row.loss = loss;
      row.right = right;
      row.lossOfTwin = !same;
    }
    if (same && seconds > 0) row.seconds = seconds;
  }
  if (row.seconds > 0 || counted == 0) return;
  row.seconds = others / counted;
  row.secondsOfOthers = true;
}

QString PresetModel::hover(const PresetRow& r, int column) const {
  if (!r.problem.isEmpty()) return r.problem;
  if (column == Loss) {
    if (!r.loss && !r.right) return tr("Not known before it is measured: add it and run the study");
    const QString what = r.loss ? tr("KL divergence %1").arg(figureText(*r.loss)) : tr("Right answers %1 %").arg(figureText(*r.right, 100));
    const QString twin = !r.lossOfTwin ? QString() : r.recipe.stages.front().importance ? tr(", on the same level without importance matrix") : tr(", on the same level with importance matrix");
    return tr("Measured in this study: %1%2").arg(what, twin);
  }
  if (column == Time) {
    if (r.trainingSeconds > 0) return tr("Training, predicted from this machine's measured rates; evaluations come on top");
    if (r.seconds <= 0) return tr("Not known before a candidate of this study is measured");
    return r.secondsOfOthers ? tr("The mean of what the evaluations of the measured candidates took; making the tensors comes on top") : tr("Its evaluations took this long; making the tensors comes on top");
  }
  QString text = r.explanation;
  if (r.bits > 0) text += tr("\n%1 bits per weight.").arg(QString::number(r.bits, 'f', 2));
  if (r.fallbacks > 0) text += tr("\n%n tensor(s) fall back to another type, because their rows do not fill a block.", nullptr, static_cast<int>(r.fallbacks));
  if (r.present) text += tr("\nAlready among the candidates.");
  return text.trimmed();
}

QVariant PresetModel::lossData(const PresetRow& r, int role) const {
  if (role == kMutedRole) return (!r.loss && !r.right) || r.lossOfTwin;
  const QString about = r.lossOfTwin ? QStringLiteral("≈ ") : QString();
  if (role == kUnitRole) return !r.loss && r.right ? QStringLiteral("%") : QString();
  if (role != Qt::DisplayRole) return {};
  if (!r.loss && r.right) return about + QString::number(100 * r.right->value, 'f', 1);
  if (!r.loss) return QStringLiteral("?");
  return about + (r.loss->value > 0 && r.loss->value < 1e-4 ? QStringLiteral("< 0.0001") : significant(r.loss->value, 2));
}

QVariant PresetModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const PresetRow& r = row(index.row());
  if (!r.heading.isEmpty()) {
    if (index.column() != Name) return {};
    if (role == Qt::DisplayRole) return r.heading;
    if (role == Qt::ToolTipRole) return r.explanation;
    if (role == kMutedRole) return true;
    if (role == Qt::FontRole) return Theme::instance().font(Theme::Size::Small, true);
    return {};
  }
  if (role == Qt::ToolTipRole) return hover(r, index.column());
  const bool trains = r.trainingSeconds > 0;
  const double seconds = trains ? r.trainingSeconds : r.seconds;
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole) return r.recipe.stages.size() == 1 ? toQString(r.recipe.stages.front().level) : r.code;
      if (role == kSecondRole) return r.problem.isEmpty() ? r.plain : r.problem;
      if (role == kMutedRole) return r.present;
      break;
    case Size:
      if (role == Qt::DisplayRole) return r.bytes > 0 ? bytesQuantity(r.bytes).value : QStringLiteral("–");
      if (role == kUnitRole) return r.bytes > 0 ? bytesQuantity(r.bytes).unit : QString();
      break;
    case Loss: return lossData(r, role);
    case Time:
      if (role == Qt::DisplayRole) return seconds <= 0 ? QStringLiteral("?") : (trains || r.secondsOfOthers ? QStringLiteral("≈ ") : QString()) + estimatedTime(seconds).value;
      if (role == kUnitRole) return seconds <= 0 ? QString() : estimatedTime(seconds).unit;
      if (role == kMutedRole) return seconds <= 0 || trains || r.secondsOfOthers;
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
  if (role == Qt::ToolTipRole && section == Loss) return tr("KL divergence in nats per token (of a classifier: right answers), measured in this study; ? is not known yet");
  if (role == Qt::ToolTipRole && section == Time) return tr("Of training and evaluations on this machine");
  if (role == Qt::ToolTipRole && section == Memory) return tr("Weights, KV cache and work space at the study's context, predicted");
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Preset"), QT_TR_NOOP("Size"), QT_TR_NOOP("Loss"), QT_TR_NOOP("Time"), QT_TR_NOOP("Memory")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

Qt::ItemFlags PresetModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  if (!row(index.row()).heading.isEmpty()) return Qt::ItemIsEnabled;
  const bool works = index.isValid() && row(index.row()).problem.isEmpty();
  return works ? Qt::ItemIsEnabled | Qt::ItemIsSelectable : Qt::ItemIsSelectable;
}

}  // namespace retort::ui
