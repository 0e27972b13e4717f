// SearchedTable: a sortable table under a search line that filters its rows by the text of any column, with a count beside it.
#pragma once

#include <QWidget>

class QAbstractItemModel;
class QLabel;
class QModelIndex;
class QSortFilterProxyModel;
class QVBoxLayout;

namespace retort::ui {

class TableView;

class SearchedTable : public QWidget {
  Q_OBJECT
 protected:
  using QWidget::QWidget;
  struct Words {
    QString table, search;   // for screen readers
    QString hint;            // in the empty search line
  };
  // Once, with the rows and their columns' widths (TableView::setWidths).
  void setRows(QAbstractItemModel* rows, const Words& words, const QList<int>& widths);
  // What stands beside the search, of the rows that are shown.
  virtual QString countText() const = 0;
  void refreshCount();
  // The row of the model under an index of the table; -1: none.
  int rowOf(const QModelIndex& index) const;

  QSortFilterProxyModel* m_shown = nullptr;   // the rows that pass the search, in the table's order
  TableView* m_table = nullptr;
  QVBoxLayout* m_column = nullptr;            // search, table, and what a view adds beneath

 private:
  QLabel* m_count = nullptr;
};

}  // namespace retort::ui
