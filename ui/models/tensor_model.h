// The tensors of the source model, or of an ONNX graph: name, layer (or operator), shape, type, weights, bytes. Sortable
// through kSortRole.
#pragma once

#include "ui/models/row_model.h"
#include "ui/services/model_service.h"

namespace retort::ui {

class TensorModel : public RowModel<TensorRow> {
  Q_OBJECT
 public:
  enum Column { Name, Layer, Shape, Type, Weights, Size, Count };
  explicit TensorModel(QObject* parent = nullptr, bool graph = false) : RowModel<TensorRow>(parent), m_graph(graph) {}
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 protected:
  bool same(const TensorRow& a, const TensorRow& b) const override { return a.name == b.name; }

 private:
  bool m_graph;
};

}  // namespace retort::ui
