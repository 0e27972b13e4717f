#include "ui/models/operator_model.h"

#include "ui/format.h"
#include "ui/services/failure.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

std::vector<OperatorRow> operatorRows(const onnx::Summary& summary) {
  std::vector<OperatorRow> rows;
  for (const onnx::OperatorCount& op : summary.operators) {
    OperatorRow row{.name = toQString(op.domain.empty() ? op.name : op.domain + "." + op.name), .count = op.count, .refused = 0, .bytes = op.bytes, .state = {}, .problem = {}};
    for (const onnx::Problem& problem : summary.problems) {
      if (problem.op != op.name && problem.op != row.name.toStdString()) continue;
      if (row.refused++ == 0) row.problem = failureOf(problem.error).text;
    }
    if (!op.supported && row.refused == 0) row.refused = op.count;
    row.state = row.refused == 0 ? OperatorModel::tr("runs") : row.refused >= op.count ? OperatorModel::tr("refused") : OperatorModel::tr("%1 of %2 refused").arg(row.refused).arg(op.count);
    rows.push_back(std::move(row));
  }
  // What stands in the way comes first.
  std::stable_sort(rows.begin(), rows.end(), [](const OperatorRow& a, const OperatorRow& b) { return (a.refused > 0) > (b.refused > 0); });
  return rows;
}

QVariant OperatorModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid() || index.row() >= rowCount()) return {};
  const OperatorRow& r = row(index.row());
  switch (index.column()) {
    case Name:
      if (role == Qt::DisplayRole || role == kSortRole) return r.name;
      break;
    case Nodes:
      if (role == Qt::DisplayRole) return integer(r.count);
      if (role == kSortRole) return r.count;
      if (role == kUnitRole) return QString();
      break;
    case Weights:
      if (role == Qt::DisplayRole) return r.bytes > 0 ? bytesQuantity(r.bytes).value : QString();
      if (role == kUnitRole) return r.bytes > 0 ? bytesQuantity(r.bytes).unit : QString();
      if (role == kSortRole) return qulonglong(r.bytes);
      break;
    case State:
      if (role == Qt::DisplayRole) return r.state;
      if (role == kSortRole) return r.refused;
      if (role == kSecondRole) return r.problem;
      if (role == kToneRole) return static_cast<int>(r.refused > 0 ? Tone::Bad : Tone::Muted);
      if (role == Qt::ToolTipRole && !r.problem.isEmpty()) return r.problem;
      break;
    default: break;
  }
  return {};
}

QVariant OperatorModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole && (section == Nodes || section == Weights)) return int(Qt::AlignRight | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  static const char* const kNames[] = {QT_TR_NOOP("Operator"), QT_TR_NOOP("Nodes"), QT_TR_NOOP("Weights"), QT_TR_NOOP("In Retort")};
  return section >= 0 && section < Count ? tr(kNames[section]) : QVariant();
}

}  // namespace retort::ui
