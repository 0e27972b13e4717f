// Run: what is made and measured, row by row, with time left; what it will cost before it starts; the store's disk use.
#pragma once

#include "ui/models/run_model.h"
#include "ui/page.h"
#include "ui/services/study_service.h"

class QLabel;
class QPushButton;
class QStackedLayout;

namespace retort::ui {

class EmptyState;
class FactGrid;
class Notice;
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

  SnapshotPtr m_snapshot;
  QString m_estimateKey;       // what the shown estimate was made for
  RunModel* m_model;
  TableView* m_table;
  TensorErrorChart* m_errors;
  QLabel *m_errorTitle, *m_estimate, *m_overall;
  Notice* m_problem;
  QPushButton *m_run, *m_pause, *m_stop, *m_clean;
  FactGrid* m_store;
  StoreUsage m_usage;
  EmptyState* m_empty;
  QStackedLayout* m_stack;
};

}  // namespace retort::ui
