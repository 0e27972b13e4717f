// StairChart: steps as stairs: candidates from the largest to the smallest, or the stages of one candidate. The height of a
// tread is its quality, each riser says what the step saved and what it cost, and whether that cost can be told apart from
// nothing.
#pragma once

#include "core/evaluate/statistics.h"
#include "ui/plots/chart.h"

class QPainter;

namespace retort::ui {

struct StairTread {
  std::int64_t id = 0;
  int series = 0;
  QString name;
  double bytes = 0;
  Figure loss;                        // in the chart's measure
  std::optional<Comparison> step{};   // against the tread before
  QStringList facts{};                // one for each of the chart's facts
  bool warns = false;                 // this step compounds the damage of the one before
};

// What the height of a tread is: shown = value · scale.
struct StairMeasure {
  QString title;                      // "KL divergence, nats"
  double scale = 1;
  bool logarithmic = true;
};

class StairChart : public Chart {
  Q_OBJECT
 public:
  explicit StairChart(QWidget* parent = nullptr);
  void setTreads(std::vector<StairTread> treads);   // divergences
  // `facts`: names of the lines below each tread, beside its size.
  void setTreads(std::vector<StairTread> treads, const StairMeasure& measure, const QStringList& facts);

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override;
  QSize minimumSizeHint() const override { return {300, 160}; }
  QSize sizeHint() const override { return {640, 240}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  bool event(QEvent* event) override;

 private:
  struct Geometry;
  Geometry geometryFor(const QSize& size) const;
  void draw(QPainter& painter, const QSize& size) const;
  void drawTread(QPainter& painter, const Geometry& geometry, std::size_t index) const;
  void drawTexts(QPainter& painter, const Geometry& geometry, std::size_t index) const;
  int treadAt(const QPointF& position) const;
  QString stepText(std::size_t index) const;

  QStringList lineNames() const;

  std::vector<StairTread> m_treads;
  StairMeasure m_measure;
  QStringList m_facts;
  double m_low = 0, m_high = 1;
};

}  // namespace retort::ui
