// FlipsModel: the examples where the selected candidate answers otherwise than the original, and the pieces of text that
// it finds hardest, worst first.
#pragma once

#include <QAbstractTableModel>
#include <vector>

#include "core/study/snapshot.h"

namespace retort::ui {

class FlipsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  struct Row {
    QString dataSet;
    std::int64_t index = 0;
    QString what;          // "right → wrong", "divergence"
    double damage = 0;     // sort key within its group
    QString text, before, after;
    bool worse = true;
  };
  explicit FlipsModel(QObject* parent = nullptr);

  void setCandidates(const CandidateInfo* original, const CandidateInfo* candidate);
  const std::vector<Row>& rows() const { return m_rows; }
  // "7 of 120 answers flipped: 5 for the worse, 2 for the better"
  QString summary() const { return m_summary; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  std::vector<Row> m_rows;
  QString m_summary;
};

}  // namespace retort::ui
