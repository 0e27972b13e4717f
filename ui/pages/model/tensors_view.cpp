#include "ui/pages/model/tensors_view.h"

#include <QSortFilterProxyModel>

#include "ui/format.h"
#include "ui/widgets/table.h"

namespace retort::ui {

TensorsView::TensorsView(Selection& selection, bool graph, QWidget* parent) : SearchedTable(parent), m_selection(selection) {
  m_model = new TensorModel(this, graph);
  setRows(m_model, {tr("Tensors"), tr("Search tensors"), tr("Search name, type, shape …")}, {0, graph ? 110 : 60, graph ? 160 : 130, 90, 110, 90});
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (now.isValid()) m_selection.setTensor(m_model->row(rowOf(now)).name);
  });
  connect(&selection, &Selection::tensorChanged, this, &TensorsView::followSelection);
}

void TensorsView::setTensors(std::vector<TensorRow> tensors) {
  m_model->setRows(std::move(tensors));
  refreshCount();
  followSelection();
}

QString TensorsView::countText() const {
  std::uint64_t bytes = 0;
  for (int i = 0; i < m_shown->rowCount(); ++i) bytes += m_model->row(rowOf(m_shown->index(i, 0))).bytes;
  return tr("%1 tensors · %2").arg(integer(m_shown->rowCount()), bytesQuantity(bytes).text());
}

void TensorsView::followSelection() {
  const QString wanted = m_selection.tensor();
  const int now = rowOf(m_table->currentIndex());
  if (wanted.isEmpty() || (now >= 0 && m_model->row(now).name == wanted)) return;
  for (int i = 0; i < m_model->rowCount(); ++i) {
    if (m_model->row(i).name != wanted) continue;
    const QModelIndex index = m_shown->mapFromSource(m_model->index(i, 0));
    if (!index.isValid()) return;
    m_table->setCurrentIndex(index);
    m_table->scrollTo(index);
    return;
  }
}

}  // namespace retort::ui
