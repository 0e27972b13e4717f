// The map of an ONNX graph: weights as rectangles, area = bytes, together by the kind of operator that reads them, the
// largest kinds first. Kinds without weights stand beneath as counts. Choosing a rectangle chooses its tensor.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/pages/model/layer_map.h"
#include "ui/services/model_service.h"
#include "ui/services/selection.h"

namespace retort::ui {

// Cuts `area` into rectangles in proportion to `weights` (all above 0, falling), as square as may be (squarified treemap).
std::vector<QRectF> squarified(const std::vector<double>& weights, QRectF area);

class GraphMap : public QWidget {
  Q_OBJECT
 public:
  explicit GraphMap(Selection& selection, QWidget* parent = nullptr);
  void setGraph(const LoadedGraphPtr& graph);
  void setColouring(LayerMap::Colouring colouring);
  void setOutliers(const OutlierMarks& marks);
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
  };
  struct Group {
    QString label;
    QRectF area;
    bool refused = false;
  };
  void layOut();
  int cellAt(const QPointF& position) const;
  int selectedCell() const;
  void choose(int cell);
  QColor colorOf(const Cell& cell) const;
  void paintLegend(QPainter& painter) const;

  Selection& m_selection;
  LoadedGraphPtr m_graph;
  std::vector<Cell> m_cells;
  std::vector<Group> m_groups;
  QString m_others;              // kinds without weights, or too small for a name
  OutlierMarks m_outliers;
  LayerMap::Colouring m_colouring = LayerMap::Colouring::Type;
  int m_hover = -1;
};

}  // namespace retort::ui
