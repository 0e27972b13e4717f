// The queue: what runs, what waits, what was reused; pause, go on, stop. Follows every snapshot while open.
#pragma once

#include <QFrame>
#include <vector>

#include "ui/page.h"

class QLabel;
class QProgressBar;
class QPushButton;
class QScrollArea;
class QVBoxLayout;

namespace retort::ui {

class JobsPopup : public QFrame {
  Q_OBJECT
 public:
  JobsPopup(Services& services, QWidget* window);
  void setSnapshot(const SnapshotPtr& snapshot);
  void openBelow(QWidget* anchor);

 private:
  void refresh();
  struct Row {
    QWidget* box;
    QLabel *name, *state, *rate;
    QProgressBar* bar;
  };
  Services& m_services;
  SnapshotPtr m_snapshot;
  QPushButton *m_run, *m_pause, *m_stop;
  QScrollArea* m_scroll;
  QVBoxLayout* m_rows;
  std::vector<Row> m_shown;
};

}  // namespace retort::ui
