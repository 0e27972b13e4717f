// The layer map: layers from left to right, kinds of tensors from top to bottom, area = bytes, colour = type or outliers. What lies
// outside the layers (embedding, head) stands at the sides in the same scale. Arrows walk it; choosing a cell chooses
// the tensor everywhere.
#pragma once

#include <QWidget>
#include <map>
#include <vector>

#include "ui/services/model_service.h"
#include "ui/services/selection.h"

namespace retort::ui {

class LayerMap : public QWidget {
  Q_OBJECT
 public:
  explicit LayerMap(Selection& selection, QWidget* parent = nullptr);
  // Types by canonical name replace the source's own, to show what a candidate is made of.
  void setTensors(std::vector<TensorRow> tensors, std::map<std::string, std::string> types = {});
  enum class Colouring { Type, Outliers };
  void setColouring(Colouring colouring);
  void setOutliers(const OutlierMarks& marks);   // by place in the tensors
  QSize sizeHint() const override { return {640, 360}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  struct Cell {
    std::size_t tensor;
    QRectF area;
    int column = 0, row = 0;      // for the arrows
    double bits = 0;
    QString type;
  };
  void layOut();
  void layOutSide(const std::vector<std::size_t>& tensors, QRectF area, int column);
  int cellAt(const QPointF& position) const;
  int selectedCell() const;
  void choose(int cell);
  QColor colorOf(const Cell& cell) const;
  void paintLegend(QPainter& painter) const;
  void paintLabels(QPainter& painter) const;

  Selection& m_selection;
  std::vector<TensorRow> m_tensors;
  std::map<std::string, std::string> m_types;
  std::vector<Cell> m_cells;
  OutlierMarks m_outliers;
  Colouring m_colouring = Colouring::Type;
  std::vector<std::pair<QString, QRectF>> m_rowLabels, m_columnLabels;
  int m_hover = -1;
};

}  // namespace retort::ui
