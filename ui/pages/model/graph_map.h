// The map of an ONNX graph: weights as rectangles, area = bytes, together by the kind of operator that reads them, the
// largest kinds first. Kinds without weights stand beneath as counts. Choosing a rectangle chooses its tensor.
#pragma once

#include <vector>

#include "ui/pages/model/tensor_map.h"

namespace retort::ui {

// Cuts `area` into rectangles in proportion to `weights` (all above 0, falling), as square as may be (squarified treemap).
std::vector<QRectF> squarified(const std::vector<double>& weights, QRectF area);

class GraphMap : public TensorMap {
  Q_OBJECT
 public:
  explicit GraphMap(Selection& selection, QWidget* parent = nullptr);
  void setGraph(const LoadedGraphPtr& graph);

 protected:
  const std::vector<TensorRow>& tensors() const override { return m_graph->tensors; }   // there are no cells without a graph
  void layOut() override;
  QString wordsOf(std::size_t tensor) const override;
  void paintEvent(QPaintEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  struct Group {
    QString label;
    QRectF area;
    bool refused = false;
  };

  LoadedGraphPtr m_graph;
  std::vector<Group> m_groups;
  QString m_others;              // kinds without weights, or too small for a name
};

}  // namespace retort::ui
