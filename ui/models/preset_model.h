// The presets in their groups: the code beside the plain name; size, memory, loss and time before anything runs. Loss and
// time come from candidates that this study has measured, or are marked as not known: nothing is guessed.
#pragma once

#include <optional>

#include "core/study/snapshot.h"
#include "ui/models/row_model.h"

namespace retort::ui {

struct PresetRow {
  QString heading = {};                   // a row that names a group: nothing else of it counts
  Recipe recipe;
  QString plain, code, explanation;
  std::uint64_t bytes = 0, memory = 0;    // 0: not known yet
  double bits = 0;
  qsizetype fallbacks = 0;
  QString problem;                        // why it cannot work; the row is greyed
  bool present = false;                   // a candidate does exactly this already
  bool combines = false;                  // of a student: it is quantized too
  double trainingSeconds = 0;             // predicted, of a student
  std::optional<Figure> loss = {};        // measured, in nats
  std::optional<Figure> right = {};       // measured, a share: shown where a study has no divergences
  bool lossOfTwin = false;                // of the same level with or without importance matrix
  double seconds = 0;                     // of its evaluations; 0: not known
  bool secondsOfOthers = false;           // the mean of what other candidates took
};
// Loss and time from what the study has measured.
void fillExpectations(PresetRow& row, const StudySnapshot& study);

class PresetModel : public RowModel<PresetRow> {
  Q_OBJECT
 public:
  enum Column { Name, Size, Loss, Time, Memory, Count };
  using RowModel<PresetRow>::RowModel;
  int columnCount(const QModelIndex& parent = {}) const override { return parent.isValid() ? 0 : Count; }
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  Qt::ItemFlags flags(const QModelIndex& index) const override;


 private:
  QString hover(const PresetRow& row, int column) const;
  QVariant lossData(const PresetRow& row, int role) const;

 protected:
  bool same(const PresetRow& a, const PresetRow& b) const override { return a.recipe.name == b.recipe.name && a.heading == b.heading; }
};

}  // namespace retort::ui
