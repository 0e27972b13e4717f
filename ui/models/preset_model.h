// The presets: plain name beside the code, predicted size, bits and memory before anything runs.
#pragma once

#include "core/study/recipe.h"
#include "ui/models/row_model.h"

namespace retort::ui {

struct PresetRow {
  Recipe recipe;
  QString plain, code, explanation;
  std::uint64_t bytes = 0, memory = 0;    // 0: not known yet
  double bits = 0;
  qsizetype fallbacks = 0;
  QString problem;                        // why it cannot work; the row is greyed
  bool present = false;                   // a candidate does exactly this already
};

class PresetModel : public RowModel<PresetRow> {
  Q_OBJECT
 public:
  enum Column { Name, Size, Bits, Memory, Count };
  using RowModel<PresetRow>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;

 protected:
  bool same(const PresetRow& a, const PresetRow& b) const override { return a.recipe.name == b.recipe.name; }
};

}  // namespace retort::ui
