#include "ui/pages/model/config_view.h"

#include <QPlainTextEdit>
#include <QSortFilterProxyModel>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

ConfigView::ConfigView(QWidget* parent) : SearchedTable(parent) {
  m_model = new ConfigModel(this);
  setRows(m_model, {tr("Configuration"), tr("Search the configuration"), tr("Search key or value …")}, {260, 0, 120, 140});
  m_value = new QPlainTextEdit;
  m_value->setReadOnly(true);
  m_value->setAccessibleName(tr("The selected value"));
  m_value->setTabChangesFocus(true);
  m_value->setMaximumHeight(84);
  m_value->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_value->hide();
  m_column->addWidget(m_value);
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, &ConfigView::showValue);
  connect(m_shown, &QAbstractItemModel::modelReset, this, [this] { showValue({}); });
}

void ConfigView::setEntries(std::vector<ConfigEntry> entries) {
  m_model->setRows(std::move(entries));
  refreshCount();
}

QString ConfigView::countText() const {
  const int shown = m_shown->rowCount(), all = m_model->rowCount();
  return shown == all ? tr("%1 keys").arg(integer(all)) : tr("%1 of %2 keys").arg(integer(shown), integer(all));
}

// Only what its cell can't hold.
void ConfigView::showValue(const QModelIndex& index) {
  const int row = rowOf(index);
  const QString value = row < 0 ? QString() : toQString(m_model->row(row).value);
  const bool isLong = m_table->fontMetrics().horizontalAdvance(value.left(2000)) > m_table->columnWidth(ConfigModel::Value) - 3 * kGap;
  m_value->setVisible(isLong);
  if (isLong) m_value->setPlainText(value);
}

}  // namespace retort::ui
