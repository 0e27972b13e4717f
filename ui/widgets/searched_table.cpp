#include "ui/widgets/searched_table.h"

#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QSortFilterProxyModel>
#include <QVBoxLayout>

#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

void SearchedTable::setRows(QAbstractItemModel* rows, const Words& words, const QList<int>& widths) {
  m_shown = new QSortFilterProxyModel(this);
  m_shown->setSourceModel(rows);
  m_shown->setSortRole(kSortRole);
  m_shown->setFilterCaseSensitivity(Qt::CaseInsensitive);
  m_shown->setFilterKeyColumn(-1);
  m_column = new QVBoxLayout(this);
  m_column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  m_column->setSpacing(kGap);
  auto* head = new QHBoxLayout;
  auto* search = new QLineEdit;
  search->setPlaceholderText(words.hint);
  search->setAccessibleName(words.search);
  search->setClearButtonEnabled(true);
  search->setMaximumWidth(320);
  m_count = makeLabel({}, Tone::Muted);
  head->addWidget(search, 1);
  head->addWidget(m_count);
  head->addStretch();
  m_column->addLayout(head);
  m_table = new TableView(words.table);
  m_table->setModel(m_shown);
  m_table->setSortingEnabled(true);
  m_table->horizontalHeader()->setSortIndicatorClearable(true);
  m_table->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  m_table->setWidths(widths);
  m_column->addWidget(m_table, 1);
  connect(search, &QLineEdit::textChanged, this, [this](const QString& text) {
    m_shown->setFilterFixedString(text);
    refreshCount();
  });
}

void SearchedTable::refreshCount() { m_count->setText(countText()); }

int SearchedTable::rowOf(const QModelIndex& index) const { return index.isValid() ? m_shown->mapToSource(index).row() : -1; }

}  // namespace retort::ui
