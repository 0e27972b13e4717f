// The layer map: layers from left to right, kinds of tensors from top to bottom, area = bytes, colour = type or outliers. What lies
// outside the layers (embedding, head) stands at the sides in the same scale. Arrows walk it; choosing a cell chooses
// the tensor everywhere.
#pragma once

#include <map>
#include <vector>

#include "ui/pages/model/tensor_map.h"

namespace retort::ui {

class LayerMap : public TensorMap {
  Q_OBJECT
 public:
  explicit LayerMap(Selection& selection, QWidget* parent = nullptr);
  // Types by canonical name replace the source's own, to show what a candidate is made of.
  void setTensors(std::vector<TensorRow> tensors, std::map<std::string, std::string> types = {});

 protected:
  const std::vector<TensorRow>& tensors() const override { return m_tensors; }
  void layOut() override;
  void paintEvent(QPaintEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void layOutSide(const std::vector<std::size_t>& tensors, QRectF area, int column);
  void paintLabels(QPainter& painter) const;

  std::vector<TensorRow> m_tensors;
  std::map<std::string, std::string> m_types;
  std::vector<std::pair<QString, QRectF>> m_rowLabels, m_columnLabels;
};

}  // namespace retort::ui
