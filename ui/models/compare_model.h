// CompareModel: the candidates of a study as a table, a row each, the original first. Figures with their intervals, sort
// keys, and a mark where a figure cannot be told apart from the reference's.
#pragma once

#include <QAbstractTableModel>
#include <QList>
#include <memory>

#include "core/study/snapshot.h"
#include "ui/models/compare_figures.h"
#include "ui/models/measures.h"

namespace retort::ui {

class CompareModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Roles { SortRole = Qt::UserRole + 1, IdRole, SeriesRole };
  explicit CompareModel(QObject* parent = nullptr);

  // Rows of the same candidates change in place, so that selection and scroll position stay.
  void setSnapshot(const std::shared_ptr<const StudySnapshot>& snapshot);
  void setFigures(const CompareFigures& figures);
  void setPinned(const QList<std::int64_t>& pinned);
  std::int64_t idAt(int row) const;
  int rowOf(std::int64_t id) const;
  int columnOf(const QString& measure) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  struct Cell {
    QString value, interval;     // the decimal points of a column stand under each other
  };
  struct Column {
    const Measure* measure = nullptr;
    QString title;                          // shorter than the measure's own
  };
  void fillCells();
  std::vector<Column> columnsFor(const StudySnapshot* study) const;
  const Comparison* against(const CandidateInfo& candidate, const Measure& measure) const;
  QString hover(const CandidateInfo& candidate, const Measure& measure) const;

  std::shared_ptr<const StudySnapshot> m_snapshot;
  CompareFigures m_figures;
  QList<std::int64_t> m_pinned;
  std::vector<Column> m_all;
  std::vector<Column> m_columns;            // of them, what this study has measured
  std::vector<std::vector<Cell>> m_cells;   // by column, then row
  std::vector<QString> m_widest;            // interval, by column
};

}  // namespace retort::ui
