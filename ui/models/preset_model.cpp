#include "ui/models/preset_model.h"

#include "ui/format.h"
#include "ui/widgets/table.h"

namespace retort::ui {

QVariant PresetModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const PresetRow& r = row(index.row());
  if (role == Qt::ToolTipRole) {
    if (!r.problem.isEmpty()) return r.problem;
    QString text = r.explanation;
    if (r.fallbacks > 0) text += tr("\n%n tensor(s) fall back to another type, because their rows do not fill a block.", nullptr, static_cast<int>(r.fallbacks));
    if (r.present) text += tr("\nAlready among the candidates.");
    return text;
  }
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole) return r.plain;
      if (role == kSecondRole) return r.code;
      if (role == kMutedRole) return r.present;
      break;
    case Size:
      if (role == Qt::DisplayRole) return r.bytes > 0 ? bytesQuantity(r.bytes).value : QStringLiteral("–");
      if (role == kUnitRole) return r.bytes > 0 ? bytesQuantity(r.bytes).unit : QString();
      break;
    case Bits:
      if (role == Qt::DisplayRole) return r.bits > 0 ? QString::number(r.bits, 'f', 1) : QStringLiteral("–");
      if (role == kUnitRole) return QString();
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
  if (role == Qt::ToolTipRole && section == Bits) return tr("Bits per weight, over all tensors");
  if (role == Qt::ToolTipRole && section == Memory) return tr("Weights, KV cache and work space at the study's context, predicted");
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Preset"), QT_TR_NOOP("Size"), QT_TR_NOOP("Bits"), QT_TR_NOOP("Memory")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

Qt::ItemFlags PresetModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  const bool works = index.isValid() && row(index.row()).problem.isEmpty();
  return works ? Qt::ItemIsEnabled | Qt::ItemIsSelectable : Qt::ItemIsSelectable;
}

}  // namespace retort::ui
