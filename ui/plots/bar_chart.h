// BarChart: horizontal bars, a row per candidate: name, bar (one part or stacked parts), whiskers, figure. Used for speed
// and memory. Rows that do not fit scroll.
#pragma once

#include <optional>

#include "ui/plots/chart.h"

class QPainter;

namespace retort::ui {

struct BarRow {
  std::int64_t id = 0;
  int series = 0;
  QString name;
  std::vector<double> parts;            // stacked, in the unit of the axis; empty: not measured
  double low = 0, high = 0;             // whiskers, when high > 0
  std::optional<double> marker;         // predicted value: a dotted line
  QString text;                         // at the end of the row: "294 tok/s"
  QString hover;
};

class BarChart : public Chart {
  Q_OBJECT
 public:
  explicit BarChart(QWidget* parent = nullptr);

  void setRows(std::vector<BarRow> rows);
  // Names of the stacked parts: drawn as a key below when there are several.
  void setParts(const QStringList& names);
  // What the figures are, for the table: "Decode, tokens/s".
  void setMeasure(const QString& measure);
  // Without names the rows belong to those of the chart on the left, and scroll with them.
  void setNamesShown(bool on);
  void setScroll(int pixels);

  ChartTable table() const override;
  void drawTo(QPaintDevice* device, const QSize& size) override;
  std::vector<std::int64_t> order() const override;
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override { return {180, 90}; }

 signals:
  void scrolled(int pixels);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void draw(QPainter& painter, const QSize& size, int scroll) const;
  int rowAt(const QPoint& position) const;
  int rowHeight(int height) const;
  int contentHeight(int height) const;

  std::vector<BarRow> m_rows;
  QStringList m_parts;
  QString m_measure;
  bool m_names = true;
  int m_scroll = 0;
};

}  // namespace retort::ui
