// SlicesModel: parts of the data × candidates: right answers or divergence in each part, shaded by what is lost there,
// marked where a paired test says that the answers really got worse or better.
#pragma once

#include <QAbstractTableModel>
#include <QStringList>

#include "ui/models/compare_figures.h"

namespace retort::ui {

class SlicesModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  struct Column {
    std::int64_t id = 0;
    QString name;
    bool isOriginal = false;
  };
  using QAbstractTableModel::QAbstractTableModel;
  void setSlices(std::vector<Slice> slices, std::vector<Column> columns);
  std::int64_t idAt(int column) const;
  int columnOf(std::int64_t id) const;

  int rowCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : static_cast<int>(m_slices.size()); }
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : kFirst + static_cast<int>(m_columns.size()); }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

  static constexpr int kFirst = 2;   // columns before the candidates: name, number of examples

 private:
  QVariant cellData(const Slice& slice, const Column& column, int role) const;
  double lost(const Slice& slice, const SliceCell& cell) const;

  std::vector<Slice> m_slices;
  std::vector<Column> m_columns;
  double m_mostText = 0;      // largest divergence of any cell
};

}  // namespace retort::ui
