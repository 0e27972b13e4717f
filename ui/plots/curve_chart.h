// CurveChart: the loss of a training run over its steps, training as a mean with the spread around it, validation as points;
// below it the share of right answers where there are labels, else the divergence from the teacher. Grows while the run
// goes on. Arrows walk the validations.
#pragma once

#include "ui/models/training_curve.h"
#include "ui/plots/axis.h"
#include "ui/plots/chart.h"

class QPainter;

namespace retort::ui {

class CurveChart : public Chart {
  Q_OBJECT
 public:
  explicit CurveChart(QWidget* parent = nullptr);
  void setCurve(TrainingCurve curve);
  const TrainingCurve& curve() const { return m_curve; }

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override;
  QSize minimumSizeHint() const override { return {300, 120}; }
  QSize sizeHint() const override { return {640, 260}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  // One set of axes: what it shows of a sample, and its range.
  struct Panel {
    QString title;
    double (*value)(const TrainingSample&) = nullptr;
    bool logarithmic = false;
    bool percent = false;
    double low = 0, high = 1;
  };
  struct Geometry {
    AxisMap x;
    std::vector<QRectF> areas;     // by panel
  };
  // The steps of one stripe of the picture.
  struct Bucket {
    double step = 0, mean = 0, low = 0, high = 0;
  };
  Panel panelOf(const QString& title, double (*value)(const TrainingSample&), bool percent) const;
  std::vector<Bucket> buckets(const Panel& panel, int most) const;
  Geometry geometryFor(const QSize& size) const;
  void draw(QPainter& painter, const QSize& size) const;
  void drawPanel(QPainter& painter, const Panel& panel, const QRectF& area, const AxisMap& x) const;
  void drawTraining(QPainter& painter, const Panel& panel, const AxisMap& y, const AxisMap& x) const;
  void drawValidation(QPainter& painter, const Panel& panel, const AxisMap& y, const AxisMap& x) const;
  void drawSteps(QPainter& painter, const Geometry& geometry) const;
  void drawKey(QPainter& painter, double right) const;
  const TrainingSample* sampleAt(double pixel, bool validation) const;
  QString textAt(std::int64_t step) const;

  TrainingCurve m_curve;
  std::vector<Panel> m_panels;
};

}  // namespace retort::ui
