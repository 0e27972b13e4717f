// The plan of a run: candidate × step with state, progress, rate, time left and what is reused.
#pragma once

#include "core/study/snapshot.h"
#include "ui/models/row_model.h"

namespace retort::ui {

class RunModel : public RowModel<RunRow> {
  Q_OBJECT
 public:
  enum Column { Candidate, Step, State, ProgressColumn, Rate, Left, Reused, Count };
  using RowModel<RunRow>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  // A row is dragged with all steps of its candidate.
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  Qt::DropActions supportedDropActions() const override { return Qt::MoveAction; }
  QStringList mimeTypes() const override;
  QMimeData* mimeData(const QModelIndexList& indexes) const override;
  bool dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column, const QModelIndex& parent) override;

 signals:
  void dropWanted(std::int64_t candidate, std::int64_t onto);   // takes the place of `onto`

 protected:
  bool same(const RunRow& a, const RunRow& b) const override { return a.id == b.id; }
};

QString jobStateName(JobState state);

}  // namespace retort::ui
