#include "ui/models/tensor_model.h"

#include "ui/format.h"
#include "ui/theme.h"
#include "ui/widgets/table.h"

namespace retort::ui {

QVariant TensorModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const TensorRow& r = row(index.row());
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole || role == kSortRole) return r.name;
      if (role == Qt::ToolTipRole && r.sourceName != r.name) return tr("In the file: %1").arg(r.sourceName);
      break;
    case Layer:
      if (m_graph) {
        if (role == Qt::DisplayRole || role == kSortRole) return r.kind;
        break;
      }
      if (role == Qt::DisplayRole) return r.layer < 0 ? QString() : QString::number(r.layer);
      if (role == kSortRole) return r.layer;
      if (role == kUnitRole) return QString();
      break;
    case Shape:
      if (role == Qt::DisplayRole) return r.shape;
      if (role == kSortRole) return qlonglong(r.elements);
      if (role == Qt::TextAlignmentRole) return int(Qt::AlignRight | Qt::AlignVCenter);
      break;
    case Type:
      if (role == Qt::DisplayRole) return r.typeName;
      if (role == kSortRole) return r.bits;
      if (role == kSwatchRole) return Theme::instance().bitsColor(r.bits);
      if (role == Qt::ToolTipRole) return r.typePlain.isEmpty() ? r.typeName : r.typePlain;
      break;
    case Weights:
      if (role == Qt::DisplayRole) return integer(r.elements);
      if (role == kSortRole) return qlonglong(r.elements);
      if (role == kUnitRole) return QString();
      break;
    case Size:
      if (role == Qt::DisplayRole) return bytesQuantity(r.bytes).value;
      if (role == kUnitRole) return bytesQuantity(r.bytes).unit;
      if (role == kSortRole) return qulonglong(r.bytes);
      break;
    default: break;
  }
  return {};
}

QVariant TensorModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && ((section == Layer && !m_graph) || section == Shape || section >= Weights)) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  if (section == Layer && m_graph) return tr("Read by");
  static const char* const kNames[] = {QT_TR_NOOP("Tensor"), QT_TR_NOOP("Layer"), QT_TR_NOOP("Shape"), QT_TR_NOOP("Type"),
                                       QT_TR_NOOP("Weights"), QT_TR_NOOP("Size")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

}  // namespace retort::ui
