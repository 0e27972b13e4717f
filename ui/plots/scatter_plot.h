// ScatterPlot: candidates as points with error bars on two axes, linear or logarithmic, with the Pareto front, the goals
// and the noise floor. Dominated points are grey. QCustomPlot draws it and is not seen outside.
#pragma once

#include <optional>

#include "ui/plots/chart.h"
#include "ui/plots/label_places.h"

class QCustomPlot;

namespace retort::ui {

struct PlotPoint {
  std::int64_t id = 0;
  QString name;
  int series = 0;
  double x = 0, x_low = 0, x_high = 0;   // low == high: no error bar
  double y = 0, y_low = 0, y_high = 0;
  bool dominated = false;
  QString hover;
};

struct PlotAxis {
  QString title;         // "KL divergence, nats"
  bool logarithmic = false;
  double scale = 1;      // shown = value · scale
  std::optional<double> goal;   // a limit, in shown units: the far side is shaded
  bool goalIsMinimum = false;
};

class ScatterPlot : public Chart {
  Q_OBJECT
 public:
  explicit ScatterPlot(QWidget* parent = nullptr);

  void setAxes(const PlotAxis& x, const PlotAxis& y);
  // `front` in order of x. Values are in the measure's own unit; the axes scale them.
  void setPoints(std::vector<PlotPoint> points, std::vector<std::int64_t> front);
  // What the measurement itself cannot resolve, on the y axis, in shown units; drawn as a band from the bottom.
  void setNoiseFloor(std::optional<double> floor, const QString& label);

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override;
  QSize sizeHint() const override { return {520, 320}; }
  QSize minimumSizeHint() const override { return {260, 160}; }

 protected:
  void selectionChanged() override { invalidate(); }
  void resizeEvent(QResizeEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;

 private:
  // What changes together is drawn once, when the event loop comes round.
  void invalidate();
  void rebuildNow();
  void styleAxes();
  void fitRanges(bool x);
  void addFront();
  void addPoint(const PlotPoint& point);
  void addLabels();
  void addLabel(const PlotPoint& point, const QString& name, const QPointF& at, const QRectF& place);
  LabelField obstacles() const;
  QString shownName(const PlotPoint& point) const;
  QPointF pixelOf(double x, double y) const;
  void addGoals();
  void addNoiseFloor();
  double shown(double value, bool x) const;
  const PlotPoint* pointAt(const QPointF& position) const;

  QCustomPlot* m_plot;
  PlotAxis m_x, m_y;
  std::vector<PlotPoint> m_points;
  std::vector<std::int64_t> m_front;
  std::optional<double> m_floor;
  QString m_floorLabel;
  double m_low[2] = {0, 0}, m_high[2] = {1, 1};   // of the axes
  double m_edge[2] = {0, 0};                      // where values stand that a logarithmic axis cannot show
  bool m_dirty = false;
};

}  // namespace retort::ui
