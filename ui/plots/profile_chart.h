// ProfileChart: a line per candidate over a few ordered parts of the data, with intervals; names stand at the lines'
// ends. Shows where along a scale (easy to hard) candidates lose.
#pragma once

#include "core/evaluate/metrics.h"
#include "ui/plots/chart.h"

class QPainter;

namespace retort::ui {

struct ProfileLine {
  std::int64_t id = 0;
  int series = 0;
  QString name;
  std::vector<std::optional<Figure>> values;   // one per category
};

class ProfileChart : public Chart {
  Q_OBJECT
 public:
  explicit ProfileChart(QWidget* parent = nullptr);
  // `scale` turns values into the shown unit; divergences span decades, so their axis is logarithmic.
  void setLines(QStringList categories, std::vector<ProfileLine> lines, const QString& measure, double scale, bool logarithmic);

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override;
  QSize minimumSizeHint() const override { return {300, 150}; }
  QSize sizeHint() const override { return {520, 240}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  struct Geometry;
  Geometry geometryFor(const QSize& size) const;
  void draw(QPainter& painter, const QSize& size) const;
  void drawAxes(QPainter& painter, const Geometry& geometry) const;
  void drawLine(QPainter& painter, const Geometry& geometry, const ProfileLine& line) const;
  void drawNames(QPainter& painter, const Geometry& geometry) const;
  const ProfileLine* lineAt(const QPointF& position, int* category = nullptr) const;

  QStringList m_categories;
  std::vector<ProfileLine> m_lines;
  QString m_measure;
  double m_scale = 1;
  bool m_logarithmic = false;
  double m_low = 0, m_high = 1;
};

}  // namespace retort::ui
