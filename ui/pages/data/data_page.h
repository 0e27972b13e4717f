// Data: the sets of the study with their roles, what they hold, and a red line where two of different roles share text.
#pragma once

#include "ui/models/data_model.h"
#include "ui/page.h"

class QComboBox;
class QLabel;
class QPushButton;
class QStackedLayout;
class QVBoxLayout;

namespace retort::ui {

class AddDataPanel;
class DataDetails;
class EmptyState;
class TableView;

class DataPage : public Page {
  Q_OBJECT
 public:
  DataPage(Services& services, QWidget* parent);
  void setSnapshot(const SnapshotPtr& snapshot) override;
  static PageStatus status(const StudySnapshot* study);

 protected:
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  QWidget* buildHead();
  void askFile();
  void addFile(const QString& path);
  void refreshOverlaps();
  void refreshSelection();
  const DataInfo* selected() const;

  SnapshotPtr m_snapshot;
  DataModel* m_model;
  TableView* m_table;
  QVBoxLayout* m_overlaps;
  AddDataPanel* m_add;
  DataDetails* m_details;
  QString m_overlapsShown;
  QLabel* m_summary;
  QComboBox* m_role;
  QPushButton* m_remove;
  EmptyState* m_empty;
  QStackedLayout* m_stack;
};

}  // namespace retort::ui
