// The Export page: the chosen candidate to a file that other programs load, the check of what was written, and the
// study's report as one HTML page.
#pragma once

#include <QThreadPool>

#include "ui/page.h"
#include "ui/services/export_service.h"

class QComboBox;
class QFormLayout;
class QGridLayout;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QStackedWidget;
class QVBoxLayout;

namespace retort::ui {

class CodeBox;
class FactGrid;
class Notice;

class ExportPage : public Page {
  Q_OBJECT
 public:
  ExportPage(Services& services, QWidget* parent);
  ~ExportPage() override;
  void setSnapshot(const SnapshotPtr& snapshot) override;

  static PageStatus status(const StudySnapshot* study);
  static Page* make(Services& services, QWidget* parent);

 private:
  QWidget* buildForm();
  QWidget* buildResult();
  QWidget* buildReport();
  void writeReport();
  void chosenChanged();
  void pathChanged();
  void start();
  void showResult(const CheckedExport& result);
  void setRunning(bool running);
  const CandidateInfo* chosen() const;
  QString suggestedPath(const CandidateInfo& candidate) const;

  SnapshotPtr m_snapshot;
  QString m_shown;          // the candidates of the choice
  std::filesystem::path m_reportOf;
  QStackedWidget* m_stack;
  QComboBox* m_choice;
  QLineEdit* m_path;
  FactGrid* m_facts;
  Notice* m_notice;
  QPushButton *m_start, *m_stop, *m_open;
  QProgressBar* m_bar;
  QLabel* m_step;
  QWidget* m_resultBox;
  QGridLayout* m_checks;
  QLabel* m_resultTitle;
  CodeBox *m_command, *m_reportCommand;
  QLineEdit* m_reportPath;
  QPushButton *m_reportStart, *m_reportOpen;
  Notice* m_reportNotice;
  QThreadPool m_pool;       // the report is written here
  bool m_ownPath = false;   // the user typed one
  ExportService m_service;
};

}  // namespace retort::ui
