// RowModel: a table model over a vector of plain rows. A replaced vector of the same identities changes cells in place,
// so that selection and scroll position survive every snapshot of a run. Window thread only.
#pragma once

#include <QAbstractTableModel>
#include <algorithm>
#include <vector>

namespace retort::ui {

template <class Row>
class RowModel : public QAbstractTableModel {
 public:
  using QAbstractTableModel::QAbstractTableModel;

  int rowCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : static_cast<int>(m_rows.size()); }
  const Row& row(int index) const { return m_rows[static_cast<std::size_t>(index)]; }
  const std::vector<Row>& rows() const { return m_rows; }

  void setRows(std::vector<Row> rows) {
    if (sameIdentities(rows)) {
      m_rows = std::move(rows);
      if (!m_rows.empty()) emit dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
      return;
    }
    beginResetModel();
    m_rows = std::move(rows);
    endResetModel();
  }

 protected:
  // Whether two rows stand for the same thing, with newer values.
  virtual bool same(const Row& a, const Row& b) const = 0;

 private:
  bool sameIdentities(const std::vector<Row>& rows) const {
    return rows.size() == m_rows.size() &&
           std::equal(rows.begin(), rows.end(), m_rows.begin(), [this](const Row& a, const Row& b) { return same(a, b); });
  }
  std::vector<Row> m_rows;
};

}  // namespace retort::ui
