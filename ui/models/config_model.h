// Every key of a model's configuration: where it stands, its kind, its value.
#pragma once

#include "core/model/inspect_config.h"
#include "ui/models/row_model.h"

namespace retort::ui {

class ConfigModel : public RowModel<ConfigEntry> {
  Q_OBJECT
 public:
  enum Column { Key, Value, Kind, Source, Count };
  using RowModel<ConfigEntry>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 protected:
  bool same(const ConfigEntry& a, const ConfigEntry& b) const override { return a.source == b.source && a.key == b.key; }
};

}  // namespace retort::ui
