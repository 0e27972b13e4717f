#include "ui/pages/data/data_page.h"

#include <QComboBox>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QHeaderView>
#include <QMimeData>
#include <QStackedLayout>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/actions.h"
#include "ui/format.h"
#include "ui/pages/data/add_data_panel.h"
#include "ui/pages/data/data_details.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

DataPage::DataPage(Services& services, QWidget* parent) : Page(services, parent) {
  setAcceptDrops(true);
  m_model = new DataModel(this);
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  outer->setSpacing(kGap);
  outer->addWidget(buildHead());
  m_overlaps = new QVBoxLayout;
  m_overlaps->setSpacing(kGapSmall);
  outer->addLayout(m_overlaps);

  auto* holder = new QWidget;
  m_stack = new QStackedLayout(holder);
  m_stack->setContentsMargins(0, 0, 0, 0);
  m_empty = new EmptyState(QStringLiteral("data"), tr("No data yet"),
                           tr("Candidates are measured on your own text and prompts; a calibration text makes importance "
                              "matrices. Drop a .txt or .jsonl file here."));
  connect(m_empty->addButton(tr("Add a file …"), QStringLiteral("plus")), &QPushButton::clicked, this, &DataPage::askFile);
  m_stack->addWidget(m_empty);
  m_table = new TableView(tr("Data sets"));
  m_table->setModel(m_model);
  m_table->setWidths({0, 120, 120, 96, 104, 150});
  m_stack->addWidget(m_table);
  outer->addWidget(holder, 2);
  m_details = new DataDetails(services);
  m_details->hide();
  outer->addWidget(m_details, 3);
  m_add = new AddDataPanel(services.study);
  outer->addWidget(m_add, 4);

  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this] {
    if (const DataInfo* set = selected(); set && m_table->hasFocus()) this->services().selection.setData(QString::fromStdString(set->name));
    refreshSelection();
  });
  connect(m_table, &TableView::clicked, this, [this] {
    if (const DataInfo* set = selected()) this->services().selection.setData(QString::fromStdString(set->name));
  });
  connect(m_add, &AddDataPanel::closed, this, &DataPage::refreshSelection);
  connect(m_table, &TableView::deletePressed, m_remove, &QPushButton::click);
  services.actions.add({QStringLiteral("data.add"), tr("Data"), tr("Add a data file …"), QKeySequence(tr("Ctrl+D")), QStringLiteral("plus"),
                        tr("Plain text or JSONL")}, this, [this] {
    emit pageWanted(QStringLiteral("data"));
    askFile();
  });
  refreshSelection();
}

QWidget* DataPage::buildHead() {
  auto* head = new QWidget;
  auto* row = new QHBoxLayout(head);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(kGap);
  m_summary = makeHeading({});
  row->addWidget(m_summary, 1);
  row->addWidget(makeLabel(tr("Role"), Tone::Muted));
  m_role = new QComboBox;
  m_role->setAccessibleName(tr("Role of the selected data set"));
  for (const DataRole role : {DataRole::kEvaluation, DataRole::kCalibration}) m_role->addItem(dataRoleName(role), static_cast<int>(role));
  row->addWidget(m_role);
  m_remove = makeButton(tr("Remove"), QStringLiteral("trash"));
  m_remove->setToolTip(tr("Takes the set out of the study; the file stays. Undo brings it back."));
  row->addWidget(m_remove);
  QPushButton* add = makeButton(tr("Add a file …"), QStringLiteral("plus"), true);
  row->addWidget(add);
  connect(add, &QPushButton::clicked, this, &DataPage::askFile);
  connect(m_role, &QComboBox::activated, this, [this](int at) {
    const QModelIndex now = m_table->currentIndex();
    if (now.isValid())
      services().study.setDataRole(QString::fromStdString(m_model->row(now.row()).name), static_cast<DataRole>(m_role->itemData(at).toInt()));
  });
  connect(m_remove, &QPushButton::clicked, this, [this] {
    const QModelIndex now = m_table->currentIndex();
    if (now.isValid()) services().study.removeData(QString::fromStdString(m_model->row(now.row()).name));
  });
  return head;
}

PageStatus DataPage::status(const StudySnapshot* study) {
  if (!study || study->data.empty()) return {PageState::Empty, tr("no data yet")};
  for (const DataInfo& set : study->data)
    if (!set.overlap_warning.empty()) return {PageState::Attention, QString::fromStdString(set.overlap_warning)};
  const bool evaluation = std::any_of(study->data.begin(), study->data.end(), [](const DataInfo& d) { return d.role == DataRole::kEvaluation; });
  if (!evaluation) return {PageState::Attention, tr("nothing to measure on: no set has the role evaluation")};
  return {PageState::Ready, tr("%n data set(s)", nullptr, static_cast<int>(study->data.size()))};
}

void DataPage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  m_model->setRows(snapshot ? snapshot->data : std::vector<DataInfo>());
  const bool any = snapshot && !snapshot->data.empty();
  m_stack->setCurrentIndex(any ? 1 : 0);
  m_empty->setEnabled(snapshot != nullptr);
  if (any) {
    std::int64_t tokens = 0;
    for (const DataInfo& set : snapshot->data) tokens += set.tokens;
    m_summary->setText(tr("%n data set(s)", nullptr, static_cast<int>(snapshot->data.size())) +
                       (tokens > 0 ? tr(" · %1 tokens").arg(integer(tokens)) : QString()));
    if (!m_table->currentIndex().isValid()) m_table->selectRow(0);
  } else {
    m_summary->setText(tr("Data"));
  }
  // As tall as its rows, so that what the selected set covers has the rest.
  const int rows = std::clamp(m_model->rowCount(), 3, 9);
  m_stack->parentWidget()->setMaximumHeight(any ? m_table->horizontalHeader()->sizeHint().height() + rows * kRowHeight + 4 : QWIDGETSIZE_MAX);
  refreshOverlaps();
  refreshSelection();
}

void DataPage::refreshOverlaps() {
  QString now;
  if (m_snapshot)
    for (const DataInfo& set : m_snapshot->data)
      if (!set.overlap_warning.empty()) now += QString::fromStdString(set.name + set.overlap_warning) + QLatin1Char('\n');
  if (now == m_overlapsShown) return;
  m_overlapsShown = now;
  clearLayout(m_overlaps);
  if (!m_snapshot) return;
  for (const DataInfo& set : m_snapshot->data) {
    if (set.overlap_warning.empty()) continue;
    auto* notice = new Notice;
    notice->showText(Notice::Kind::Bad, tr("%1: %2").arg(QString::fromStdString(set.name), QString::fromStdString(set.overlap_warning)));
    notice->setRemedy(tr("Remove %1").arg(QString::fromStdString(set.name)), this,
                      [this, name = QString::fromStdString(set.name)] { services().study.removeData(name); });
    m_overlaps->addWidget(notice);
  }
}

const DataInfo* DataPage::selected() const {
  const QModelIndex now = m_table->currentIndex();
  return now.isValid() && now.row() < m_model->rowCount() ? &m_model->row(now.row()) : nullptr;
}

void DataPage::refreshSelection() {
  const QModelIndex now = m_table->currentIndex();
  const bool any = selected() != nullptr;
  m_details->show(m_add->isVisibleTo(this) ? nullptr : selected());
  m_role->setEnabled(any);
  m_remove->setEnabled(any);
  if (any) m_role->setCurrentIndex(m_role->findData(static_cast<int>(m_model->row(now.row()).role)));
}

void DataPage::askFile() {
  if (!m_snapshot) return;
  const QString path = QFileDialog::getOpenFileName(this, tr("Add data"), Settings::value(Setting::LastFolder).toString(),
                                                    tr("Text and JSONL (*.txt *.jsonl *.json *.md);;All files (*)"));
  if (path.isEmpty()) return;
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  addFile(path);
}

void DataPage::addFile(const QString& path) {
  m_add->open(path);
  refreshSelection();
}

void DataPage::dragEnterEvent(QDragEnterEvent* event) {
  const QList<QUrl> urls = event->mimeData()->urls();
  if (m_snapshot && urls.size() == 1 && QFileInfo(urls.front().toLocalFile()).isFile()) event->acceptProposedAction();
}

void DataPage::dropEvent(QDropEvent* event) {
  event->acceptProposedAction();
  addFile(event->mimeData()->urls().front().toLocalFile());
}

}  // namespace retort::ui
