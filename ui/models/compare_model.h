// CompareModel: the candidates of a study as a table, a row each, the original first. Text, sort keys, and marks where a
// figure cannot be told apart from the original's.
#pragma once

#include <QAbstractTableModel>
#include <memory>

#include "core/study/snapshot.h"
#include "ui/models/measures.h"

namespace retort::ui {

class CompareModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Roles { SortRole = Qt::UserRole + 1, IdRole, SeriesRole };
  explicit CompareModel(QObject* parent = nullptr);

  void setSnapshot(const std::shared_ptr<const StudySnapshot>& snapshot);
  std::int64_t idAt(int row) const;
  int rowOf(std::int64_t id) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  QString cellText(const CandidateInfo& candidate, int column) const;
  // For each candidate: true when its answers cannot be told apart from the original's.
  std::vector<bool> m_sameAnswers;
  std::shared_ptr<const StudySnapshot> m_snapshot;
  std::vector<const Measure*> m_columns;
};

}  // namespace retort::ui
