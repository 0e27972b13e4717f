// HeatGrid: layers × tensor kinds, each cell's shade the figure of that tensor (relative error of its weights). The scale
// stands beside it; every cell says its figure on hover and in the table.
#pragma once

#include <QPoint>
#include <map>

#include "ui/plots/chart.h"

namespace retort::ui {

struct HeatCell {
  QString tensor;        // canonical name
  QString type;          // "Q4_K"
  double value = 0;
};

class HeatGrid : public Chart {
  Q_OBJECT
 public:
  explicit HeatGrid(QWidget* parent = nullptr);
  // Cells by (kind, layer); layer -1 holds what is outside the layers.
  void setCells(std::map<std::pair<QString, int>, HeatCell> cells, const QString& measure);
  void setSelectedTensor(const QString& tensor);

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override { return {}; }
  QSize minimumSizeHint() const override { return {300, 120}; }

 signals:
  void tensorChosen(const QString& tensor);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  struct Geometry;
  Geometry geometryFor(const QSize& size) const;
  void draw(class QPainter& painter, const QSize& size) const;
  const HeatCell* cellAt(const QPoint& position) const;

  std::map<std::pair<QString, int>, HeatCell> m_cells;
  QStringList m_kinds;
  int m_layers = 0;
  double m_largest = 0;
  QString m_measure, m_selected;
};

}  // namespace retort::ui
