#include "ui/pages/compare/compare_table.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QSignalBlocker>
#include <QSortFilterProxyModel>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/services/selection.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

CompareTable::CompareTable(Services& services, QWidget* parent) : QWidget(parent), m_services(services) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, kGapSmall, 0, 0);
  column->setSpacing(kGapSmall);
  m_corner = new QWidget;
  auto* head = new QHBoxLayout(m_corner);
  head->setContentsMargins(0, 0, 0, 2);
  head->setSpacing(kGap);
  QLabel* mark = makeLabel(tr("≈ can't be told apart from"), Tone::Muted, Theme::Size::Small);
  mark->setToolTip(tr("By paired tests over the same prompts and the same chunks of text, 95 %"));
  head->addWidget(mark);
  m_reference = new QComboBox;
  m_reference->setAccessibleName(tr("Candidate that figures are tested against"));
  m_reference->setMaximumWidth(170);
  m_reference->setProperty("compact", true);
  head->addWidget(m_reference);
  m_model = new CompareModel(this);
  m_sorted = new QSortFilterProxyModel(this);
  m_sorted->setSourceModel(m_model);
  m_sorted->setSortRole(CompareModel::SortRole);
  m_view = new TableView(tr("Candidates"));
  m_view->setObjectName(QStringLiteral("candidates"));
  m_view->setModel(m_sorted);
  m_view->setSortingEnabled(true);
  m_view->horizontalHeader()->setSortIndicatorClearable(true);
  m_view->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  m_view->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_view->verticalHeader()->setMinimumSectionSize(kRowHeight - 3);
  m_view->setMinimumHeight(110);
  column->addWidget(m_view, 1);

  const auto idAt = [this](const QModelIndex& index) { return m_model->idAt(m_sorted->mapToSource(index).row()); };
  connect(m_view->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this, idAt](const QModelIndex& now) {
    if (now.isValid() && !m_filling) emit chosen(idAt(now));
  });
  connect(m_view, &TableView::spacePressed, this, [this, idAt](const QModelIndex& index) { m_services.selection.togglePin(idAt(index)); });
  connect(&services.selection, &Selection::pinsChanged, this, [this] { m_model->setPinned(m_services.selection.pinned()); });
  connect(m_reference, &QComboBox::activated, this, &CompareTable::referenceChanged);
}

std::int64_t CompareTable::reference() const { return m_reference->currentData().toLongLong(); }

void CompareTable::setSnapshot(const SnapshotPtr& snapshot) {
  const int before = m_model->rowCount();
  m_filling = true;
  m_model->setSnapshot(snapshot);
  m_model->setPinned(m_services.selection.pinned());
  {
    const QSignalBlocker quiet(m_reference);
    std::int64_t keep = reference();
    m_reference->clear();
    for (const CandidateInfo& candidate : snapshot->candidates) {
      m_reference->addItem(toQString(candidate.name), QVariant::fromValue<qint64>(candidate.id));
      if (keep == 0 && candidate.is_original) keep = candidate.id;
    }
    m_reference->setCurrentIndex(std::max(0, m_reference->findData(QVariant::fromValue<qint64>(keep))));
  }
  m_filling = false;
  if (before != m_model->rowCount()) setFigures({});
}

void CompareTable::setFigures(const CompareFigures& figures) {
  m_model->setFigures(figures);
  for (int column = 0; column < m_model->columnCount(); ++column) m_view->resizeColumnToContents(column);
  // The name may be cut after what tells it from the others; figures may not.
  m_view->setColumnWidth(0, std::clamp(m_view->columnWidth(0), 140, 182));
}

void CompareTable::setSelected(std::int64_t id) {
  const int row = m_model->rowOf(id);
  if (row < 0) return;
  const QModelIndex index = m_sorted->mapFromSource(m_model->index(row, 0));
  if (m_view->currentIndex().row() != index.row() || !m_view->selectionModel()->isRowSelected(index.row())) m_view->selectRow(index.row());
}

}  // namespace retort::ui
