// What maps of tensors share: cells coloured by type or by outliers, a mark and words under the mouse, one selection with the
// rest of the window, a legend. Where the cells lie is up to each map.
#pragma once

#include <QWidget>
#include <vector>

#include "ui/services/model_service.h"
#include "ui/services/selection.h"

namespace retort::ui {

class TensorMap : public QWidget {
  Q_OBJECT
 public:
  enum class Colouring { Type, Outliers };
  void setColouring(Colouring colouring);
  void setOutliers(const OutlierMarks& marks);   // by place in the tensors
  QSize sizeHint() const override { return {640, 360}; }

 protected:
  struct Cell {
    std::size_t tensor;
    QRectF area;
    double bits = 0;
    QString type;
    int column = 0, row = 0;      // for arrows that go by these
  };
  TensorMap(Selection& selection, const QString& name, QWidget* parent);
  virtual const std::vector<TensorRow>& tensors() const = 0;
  // Fills m_cells for the widget's size.
  virtual void layOut() = 0;
  // More words under the mouse, from a new line on.
  virtual QString wordsOf(std::size_t) const { return {}; }

  int selectedCell() const;
  void choose(int cell);
  QColor colorOf(const Cell& cell) const;
  void paintName(QPainter& painter, const Cell& cell, const QString& name) const;   // where it fits its cell
  void paintLegend(QPainter& painter, const QRectF& line) const;
  // The cell under the mouse, the selected one, the focus.
  void paintMarks(QPainter& painter) const;

  void resizeEvent(QResizeEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;

  std::vector<Cell> m_cells;
  OutlierMarks m_outliers;
  int m_hover = -1;

 private:
  int cellAt(const QPointF& position) const;
  Selection& m_selection;
  Colouring m_colouring = Colouring::Type;
};

}  // namespace retort::ui
