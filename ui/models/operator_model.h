// The operators of an ONNX graph: how many nodes, bytes of weights, and whether Retort runs them or why not.
#pragma once

#include <vector>

#include "core/onnx/summary.h"
#include "ui/models/row_model.h"

namespace retort::ui {

struct OperatorRow {
  QString name;
  int count = 0, refused = 0;     // nodes; those that can't run
  std::uint64_t bytes = 0;
  QString state, problem;         // "runs", "refused"; why, of the first node
};
std::vector<OperatorRow> operatorRows(const onnx::Summary& summary);

class OperatorModel : public RowModel<OperatorRow> {
  Q_OBJECT
 public:
  enum Column { Name, Nodes, Weights, State, Count };
  using RowModel<OperatorRow>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 protected:
  bool same(const OperatorRow& a, const OperatorRow& b) const override { return a.name == b.name; }
};

}  // namespace retort::ui
