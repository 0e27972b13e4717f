#include "ui/pages/model/config_view.h"

#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

ConfigView::ConfigView(QWidget* parent) : QWidget(parent) {
  m_model = new ConfigModel(this);
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
  m_search->setPlaceholderText(tr("Search key or value …"));
  m_search->setAccessibleName(tr("Search the configuration"));
  m_search->setClearButtonEnabled(true);
  m_search->setMaximumWidth(320);
  m_count = makeLabel({}, Tone::Muted);
  head->addWidget(m_search, 1);
  head->addWidget(m_count);
  head->addStretch();
  column->addLayout(head);
  m_table = new TableView(tr("Configuration"));
  m_table->setModel(m_proxy);
  m_table->setSortingEnabled(true);
  m_table->horizontalHeader()->setSortIndicatorClearable(true);
  m_table->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  m_table->setWidths({260, 0, 120, 140});
  column->addWidget(m_table, 1);
  m_value = new QPlainTextEdit;
  m_value->setReadOnly(true);
  m_value->setAccessibleName(tr("The selected value"));
  m_value->setTabChangesFocus(true);
  m_value->setMaximumHeight(84);
  m_value->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_value->hide();
  column->addWidget(m_value);
  connect(m_search, &QLineEdit::textChanged, this, [this](const QString& text) {
    m_proxy->setFilterFixedString(text);
    refreshCount();
  });
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, &ConfigView::showValue);
  connect(m_proxy, &QAbstractItemModel::modelReset, this, [this] { showValue({}); });
}

void ConfigView::setEntries(std::vector<ConfigEntry> entries) {
  m_model->setRows(std::move(entries));
  refreshCount();
}

void ConfigView::refreshCount() {
  const int shown = m_proxy->rowCount(), all = m_model->rowCount();
  m_count->setText(shown == all ? tr("%1 keys").arg(integer(all)) : tr("%1 of %2 keys").arg(integer(shown), integer(all)));
}

// Only what its cell can't hold.
void ConfigView::showValue(const QModelIndex& index) {
  const QString value = index.isValid() ? toQString(m_model->row(m_proxy->mapToSource(index).row()).value) : QString();
  const bool isLong = m_table->fontMetrics().horizontalAdvance(value.left(2000)) > m_table->columnWidth(ConfigModel::Value) - 3 * kGap;
  m_value->setVisible(isLong);
  if (isLong) m_value->setPlainText(value);
}

}  // namespace retort::ui
