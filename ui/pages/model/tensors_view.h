// The tensors as a table with a search; the selected one is described in the inspector.
#pragma once

#include <QSortFilterProxyModel>
#include <QWidget>

#include "ui/models/tensor_model.h"
#include "ui/services/selection.h"

class QLabel;
class QLineEdit;

namespace retort::ui {

class TableView;

class TensorsView : public QWidget {
  Q_OBJECT
 public:
  // `graph`: the tensors are weights of an ONNX graph.
  explicit TensorsView(Selection& selection, bool graph = false, QWidget* parent = nullptr);
  void setTensors(std::vector<TensorRow> tensors);

 private:
  void refreshCount();
  void followSelection();
  Selection& m_selection;
  TensorModel* m_model;
  QSortFilterProxyModel* m_proxy;
  TableView* m_table;
  QLineEdit* m_search;
  QLabel* m_count;
};

}  // namespace retort::ui
