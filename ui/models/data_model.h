// The study's data sets: role, kind, examples, tokens, lengths, overlap.
#pragma once

#include "core/study/snapshot.h"
#include "ui/models/row_model.h"

namespace retort::ui {

class DataModel : public RowModel<DataInfo> {
  Q_OBJECT
 public:
  enum Column { Name, RoleColumn, Kind, Examples, Tokens, Lengths, Count };
  using RowModel<DataInfo>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 protected:
  bool same(const DataInfo& a, const DataInfo& b) const override { return a.name == b.name; }
};

QString dataRoleName(DataRole role);
QString dataKindName(DataKind kind);

}  // namespace retort::ui
