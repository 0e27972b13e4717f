#include "ui/models/data_model.h"

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

QString dataRoleName(DataRole role) {
  switch (role) {
    case DataRole::kCalibration: return DataModel::tr("calibration");
    case DataRole::kTraining: return DataModel::tr("training");
    case DataRole::kEvaluation: return DataModel::tr("evaluation");
  }
  return {};
}

QString dataKindName(DataKind kind) {
  switch (kind) {
    case DataKind::kText: return DataModel::tr("text");
    case DataKind::kChoice: return DataModel::tr("choices");
    case DataKind::kExact: return DataModel::tr("exact answers");
    case DataKind::kLabelled: return DataModel::tr("labelled text");
    case DataKind::kLastWord: return DataModel::tr("last words");
  }
  return {};
}

QVariant DataModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const DataInfo& r = row(index.row());
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole) return QString::fromStdString(r.name);
      if (role == kSecondRole && !r.overlap_warning.empty()) return tr("shares text");
      if (role == kToneRole && !r.overlap_warning.empty()) return static_cast<int>(Tone::Bad);
      if (role == Qt::ToolTipRole) return QString::fromStdU16String(r.path.u16string());
      break;
    case RoleColumn:
      if (role == Qt::DisplayRole) return dataRoleName(r.role);
      if (role == kSwatchRole) return Theme::instance().series(r.role == DataRole::kEvaluation ? 0 : r.role == DataRole::kCalibration ? 1 : 2);
      break;
    case Kind:
      if (role == Qt::DisplayRole) return dataKindName(r.kind);
      break;
    case Examples:
      if (role == Qt::DisplayRole) return integer(r.examples);
      if (role == kUnitRole) return QString();
      break;
    case Tokens:
      if (role == Qt::DisplayRole) return r.tokens > 0 ? integer(r.tokens) : QStringLiteral("–");
      if (role == kUnitRole) return QString();
      if (role == Qt::ToolTipRole && r.tokens == 0) return tr("Counted when the model has a tokenizer");
      break;
    case Lengths:
      if (role == kHistogramRole && r.examples > 1 && !r.length_histogram.empty()) {
        QVariantList bars;
        for (const std::int64_t bin : r.length_histogram) bars << static_cast<double>(bin);
        return bars;
      }
      if (role == Qt::DisplayRole && r.examples == 1) return tr("one text");
      if (role == kMutedRole) return true;
      if (role == Qt::AccessibleTextRole || role == Qt::ToolTipRole) return tr("Tokens per example, short to long");
      break;
    default: break;
  }
  return {};
}

QVariant DataModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && (section == Examples || section == Tokens)) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Data set"), QT_TR_NOOP("Role"), QT_TR_NOOP("Kind"), QT_TR_NOOP("Examples"),
                                       QT_TR_NOOP("Tokens"), QT_TR_NOOP("Lengths")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

}  // namespace retort::ui
