// The candidates of the study, with a check box for taking part in the run.
#pragma once

#include "core/study/snapshot.h"
#include "ui/models/row_model.h"

namespace retort::ui {

class CandidateModel : public RowModel<CandidateInfo> {
  Q_OBJECT
 public:
  enum Column { Name, Size, Bits, State, Count };
  using RowModel<CandidateInfo>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  // Checking asks for a change; the new state arrives with the next snapshot.
  bool setData(const QModelIndex& index, const QVariant& value, int role) override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;
  int rowOf(std::int64_t id) const;
  // Rows are dragged within the table; a drop asks for a move.
  Qt::DropActions supportedDropActions() const override { return Qt::MoveAction; }
  QStringList mimeTypes() const override;
  QMimeData* mimeData(const QModelIndexList& indexes) const override;
  bool dropMimeData(const QMimeData* data, Qt::DropAction action, int row, int column, const QModelIndex& parent) override;

 signals:
  void moveWanted(std::int64_t id, int newIndex);
  void chosenWanted(std::int64_t id, bool chosen);

 protected:
  bool same(const CandidateInfo& a, const CandidateInfo& b) const override { return a.id == b.id; }
};

QString candidateStateName(CandidateState state);
// What the table shows of candidates: everything but the measurements, whose rows would be copied with every snapshot.
std::vector<CandidateInfo> withoutMeasurements(const std::vector<CandidateInfo>& candidates);

}  // namespace retort::ui
