// The Compare page: goals and recommendation, quality against size, speed, memory, the table, linked views. Choosing a
// point, bar, row or cell anywhere selects it everywhere.
#pragma once

#include "ui/page.h"

class QComboBox;
class QLabel;
class QSplitter;
class QStackedWidget;
class QTableView;
class QTabWidget;

namespace retort::ui {

class BarChart;
class ChartFrame;
class CompareModel;
class FlipsModel;
class GoalsBar;
class HeatGrid;
class ScatterPlot;

class ComparePage : public Page {
  Q_OBJECT
 public:
  ComparePage(Services& services, QWidget* parent);
  void setSnapshot(const SnapshotPtr& snapshot) override;
  void showPart(const QString& part) override;

  // Every chart as PNG, SVG and CSV in `folder`; the paths that could not be written.
  QStringList saveCharts(const QString& folder);

  static PageStatus status(const StudySnapshot* study);
  static Page* make(Services& services, QWidget* parent);

 private:
  QWidget* buildCharts();
  QWidget* buildTable();
  QWidget* buildViews();
  void fillScatter();
  void fillBars();
  void fillViews();
  void select(std::int64_t id);
  const CandidateInfo* candidate(std::optional<std::int64_t> id) const;
  const CandidateInfo* original() const;
  int seriesOf(std::int64_t id) const;

  SnapshotPtr m_snapshot;
  QStackedWidget* m_stack;
  GoalsBar* m_goals;
  ScatterPlot* m_scatter;
  BarChart *m_speed, *m_memory;
  ChartFrame *m_scatterFrame, *m_speedFrame, *m_memoryFrame, *m_layersFrame;
  QComboBox *m_xChoice, *m_yChoice, *m_speedChoice;
  CompareModel* m_model;
  QTableView* m_table;
  QTabWidget* m_views;
  HeatGrid* m_layers;
  FlipsModel* m_flips;
  QLabel* m_flipsSummary;
  QTableView* m_flipsTable;
};

}  // namespace retort::ui
