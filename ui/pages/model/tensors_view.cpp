#include "ui/pages/model/tensors_view.h"

#include <QHeaderView>
#include <QLineEdit>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

TensorsView::TensorsView(Selection& selection, bool graph, QWidget* parent) : QWidget(parent), m_selection(selection) {
  m_model = new TensorModel(this, graph);
  m_proxy = new QSortFilterProxyModel(this);
  m_proxy->setSourceModel(m_model);
  m_proxy->setSortRole(kSortRole);
  m_proxy->setFilterCaseSensitivity(Qt::CaseInsensitive);
  m_proxy->setFilterKeyColumn(-1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  auto* head = new QHBoxLayout;
  m_search = new QLineEdit;
  m_search->setPlaceholderText(tr("Search name, type, shape …"));
  m_search->setAccessibleName(tr("Search tensors"));
  m_search->setClearButtonEnabled(true);
  m_search->setMaximumWidth(320);
  m_count = makeLabel({}, Tone::Muted);
  head->addWidget(m_search, 1);
  head->addWidget(m_count);
  head->addStretch();
  column->addLayout(head);
  m_table = new TableView(tr("Tensors"));
  m_table->setModel(m_proxy);
  m_table->setSortingEnabled(true);
  m_table->horizontalHeader()->setSortIndicatorClearable(true);
  m_table->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  m_table->setWidths({0, graph ? 110 : 60, graph ? 160 : 130, 90, 110, 90});
  column->addWidget(m_table, 1);
  connect(m_search, &QLineEdit::textChanged, this, [this](const QString& text) {
    m_proxy->setFilterFixedString(text);
    refreshCount();
  });
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (now.isValid()) m_selection.setTensor(m_model->row(m_proxy->mapToSource(now).row()).name);
  });
  connect(&selection, &Selection::tensorChanged, this, &TensorsView::followSelection);
}

void TensorsView::setTensors(std::vector<TensorRow> tensors) {
  m_model->setRows(std::move(tensors));
  refreshCount();
  followSelection();
}

void TensorsView::refreshCount() {
  std::uint64_t bytes = 0;
  for (int i = 0; i < m_proxy->rowCount(); ++i) bytes += m_model->row(m_proxy->mapToSource(m_proxy->index(i, 0)).row()).bytes;
  m_count->setText(tr("%1 tensors · %2").arg(integer(m_proxy->rowCount()), bytesQuantity(bytes).text()));
}

void TensorsView::followSelection() {
  const QString wanted = m_selection.tensor();
  const QModelIndex now = m_table->currentIndex();
  if (wanted.isEmpty() || (now.isValid() && m_model->row(m_proxy->mapToSource(now).row()).name == wanted)) return;
  for (int i = 0; i < m_model->rowCount(); ++i) {
    if (m_model->row(i).name != wanted) continue;
    const QModelIndex index = m_proxy->mapFromSource(m_model->index(i, 0));
    if (!index.isValid()) return;
    m_table->setCurrentIndex(index);
    m_table->scrollTo(index);
    return;
  }
}

}  // namespace retort::ui
