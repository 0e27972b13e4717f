// The top bar: which study, which device the figures are for, what is being worked on, and the search.
#pragma once

#include <QToolButton>
#include <QWidget>

#include "ui/page.h"

class QLabel;
class QMenu;

namespace retort::ui {

class TopBar : public QWidget {
  Q_OBJECT
 public:
  explicit TopBar(QWidget* parent = nullptr);
  void setSnapshot(const SnapshotPtr& snapshot);
  void setBusy(const QString& what);
  QMenu* studyMenu() const { return m_studyMenu; }
  QToolButton* deviceButton() const { return m_device; }
  QToolButton* jobsButton() const { return m_jobs; }

 signals:
  void hardwareWanted();
  void jobsWanted();
  void paletteWanted();
  void inspectorWanted();

 private:
  void refreshIcons();
  QToolButton *m_study, *m_device, *m_jobs, *m_search, *m_inspector;
  QMenu* m_studyMenu;
  QLabel* m_busy;
};

// The running row that a person waits for, and a line about it: "Q4_K_M · 62 % · 1 min 40 s".
const RunRow* runningRow(const StudySnapshot& study);
QString jobLine(const RunRow& row);

}  // namespace retort::ui
