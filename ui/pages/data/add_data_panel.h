// Adding a data file in place: first rows, guessed columns to correct, the role. Not a dialog: the page stays usable.
#pragma once

#include <QFrame>
#include <QThreadPool>

#include "ui/pages/data/data_preview.h"
#include "ui/services/study_service.h"

class QButtonGroup;
class QComboBox;
class QLabel;
class QPushButton;
class QTableWidget;

namespace retort::ui {

class Notice;

class AddDataPanel : public QFrame {
  Q_OBJECT
 public:
  explicit AddDataPanel(StudyService& study, QWidget* parent = nullptr);
  ~AddDataPanel() override;
  void open(const QString& path);
  void setRole(DataRole role);

 signals:
  void closed();

 private:
  Columns columns() const;
  DataRole role() const;
  void readAgain();
  void showPreview(const DataPreview& preview);
  void fillColumns(const DataPreview& preview);
  void add();

  StudyService& m_study;
  QString m_path;
  quint64 m_request = 0;
  QLabel *m_title, *m_summary;
  QWidget* m_columnRow;
  std::array<QComboBox*, 5> m_columns{};   // text, label, choices, answer, target
  QButtonGroup* m_roles;
  QTableWidget* m_rows;
  Notice* m_problem;
  QPushButton* m_add;
  bool m_filling = false;
  QThreadPool m_pool;
};

}  // namespace retort::ui
