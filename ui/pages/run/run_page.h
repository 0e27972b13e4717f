// Run: what is made and measured, row by row, with time left; what it will cost before it starts; the order of what
// waits, the log, the store's disk use, the command line.
#pragma once

#include "ui/models/run_model.h"
#include "ui/page.h"
#include "ui/services/study_service.h"

class QLabel;
class QPushButton;
class QPlainTextEdit;
class QStackedLayout;
class QTabWidget;
class QToolButton;

namespace retort::ui {

class ChartFrame;
class CodeBox;
class CurveChart;
class EmptyState;
class FactGrid;
class Notice;
class RunLog;
class TableView;
class TensorErrorChart;

class RunPage : public Page {
  Q_OBJECT
 public:
  RunPage(Services& services, QWidget* parent);
  void setSnapshot(const SnapshotPtr& snapshot) override;
  static PageStatus status(const StudySnapshot* study);

 private:
  QWidget* buildHead();
  QWidget* buildStore();
  void refreshButtons();
  void showEstimate(const RunEstimate& estimate);
  void showStore(const StoreUsage& usage);
  void cleanUp();
  QWidget* buildBelow();
  void moveSelected(int step);
  void removeSelected();
  const CandidateInfo* selected() const;
  void refreshSelected();
  void refreshCurve();

  SnapshotPtr m_snapshot;
  QString m_estimateKey;       // what the shown estimate was made for
  RunModel* m_model;
  TableView* m_table;
  TensorErrorChart* m_errors;
  CurveChart* m_curve;
  ChartFrame* m_curveFrame;
  std::shared_ptr<const std::vector<distill::CurvePoint>> m_shownCurve;
  JobState m_shownState = JobState::kWaiting;
  QLabel *m_errorTitle, *m_estimate, *m_overall;
  QTabWidget* m_below;
  QPlainTextEdit* m_log;
  RunLog* m_runLog;
  CodeBox* m_command;
  QToolButton *m_earlier, *m_later, *m_leaveOut;
  bool m_filling = false;
  Notice* m_problem;
  QPushButton *m_run, *m_pause, *m_stop, *m_clean;
  FactGrid* m_store;
  StoreUsage m_usage;
  EmptyState* m_empty;
  QStackedLayout* m_stack;
};

}  // namespace retort::ui
