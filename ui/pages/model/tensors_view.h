// The tensors as a table with a search; the selected one is described in the inspector.
#pragma once

#include "ui/models/tensor_model.h"
#include "ui/services/selection.h"
#include "ui/widgets/searched_table.h"

namespace retort::ui {

class TensorsView : public SearchedTable {
  Q_OBJECT
 public:
  // `graph`: the tensors are weights of an ONNX graph.
  explicit TensorsView(Selection& selection, bool graph = false, QWidget* parent = nullptr);
  void setTensors(std::vector<TensorRow> tensors);

 protected:
  QString countText() const override;

 private:
  void followSelection();
  Selection& m_selection;
  TensorModel* m_model;
};

}  // namespace retort::ui
