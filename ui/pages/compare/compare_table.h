// The table of the Compare page: every candidate with every figure, sortable, with the choice of what it is tested
// against.
#pragma once

#include "ui/models/compare_model.h"
#include "ui/page.h"

class QComboBox;
class QLabel;
class QSortFilterProxyModel;

namespace retort::ui {

class TableView;

class CompareTable : public QWidget {
  Q_OBJECT
 public:
  explicit CompareTable(Services& services, QWidget* parent = nullptr);
  void setSnapshot(const SnapshotPtr& snapshot);
  void setFigures(const CompareFigures& figures);
  void setSelected(std::int64_t id);
  const CompareModel& model() const { return *m_model; }
  // The candidate that figures are tested against; 0 without any.
  std::int64_t reference() const;
  // The choice of the reference, for the corner of the tabs.
  QWidget* corner() const { return m_corner; }

 signals:
  void chosen(std::int64_t id);
  void referenceChanged();

 private:
  Services& m_services;
  CompareModel* m_model;
  QSortFilterProxyModel* m_sorted;
  TableView* m_view;
  QComboBox* m_reference;
  QWidget* m_corner;
  bool m_filling = false;
};

}  // namespace retort::ui
