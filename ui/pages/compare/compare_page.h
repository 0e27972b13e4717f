// The Compare page: goals and recommendation, quality against size, speed and memory, and below them the table and the
// linked views. Choosing a point, bar, row or cell anywhere selects it everywhere. Snapshots that measured nothing new
// change nothing here; one that did is shown in steps.
#pragma once

#include <QThreadPool>
#include <atomic>
#include <deque>
#include <functional>

#include "ui/models/compare_figures.h"
#include "ui/page.h"

class QComboBox;
class QFrame;
class QLabel;
class QStackedWidget;
class QTabWidget;

namespace retort::ui {

class BarChart;
class ChartFrame;
class CompareTable;
class GoalsBar;
class ScatterPlot;
class LossViews;

class ComparePage : public Page {
  Q_OBJECT
 public:
  ComparePage(Services& services, QWidget* parent);
  ~ComparePage() override;
  void setSnapshot(const SnapshotPtr& snapshot) override;
  void showPart(const QString& part) override;

  // Every chart as PNG, SVG and CSV in `folder`; the paths that could not be written.
  QStringList saveCharts(const QString& folder);
  // The steps and the paired tests are through.
  bool isSettled() const { return m_steps.empty() && m_computing == 0; }

  static PageStatus status(const StudySnapshot* study);
  static Page* make(Services& services, QWidget* parent);

 private:
  QWidget* buildCharts();
  QFrame* chartCard(QWidget* content);
  void connectParts();
  void showSnapshot();
  void offerMeasures();
  void later(std::function<void()> step);
  void nextStep();
  void finishSteps();
  void fillScatter();
  void fillBars();
  void computeFigures();
  void select(std::int64_t id);
  void selectionChanged(std::int64_t id);
  std::vector<ChartFrame*> frames() const;

  SnapshotPtr m_snapshot;
  QString m_shown;                              // what the widgets show
  std::deque<std::function<void()>> m_steps;
  bool m_scheduled = false;
  QStackedWidget* m_stack;
  GoalsBar* m_goals;
  ScatterPlot* m_scatter;
  BarChart *m_speed, *m_memory;
  ChartFrame *m_scatterFrame, *m_speedFrame, *m_memoryFrame;
  QComboBox *m_xChoice, *m_yChoice, *m_speedChoice;
  QTabWidget* m_tabs;
  CompareTable* m_table;
  LossViews* m_views;
  // Paired tests run here; the newest wins.
  QThreadPool m_pool;
  std::shared_ptr<std::atomic<quint64>> m_newest = std::make_shared<std::atomic<quint64>>(0);
  int m_computing = 0;
};

}  // namespace retort::ui
