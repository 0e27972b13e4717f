#include "ui/pages/data/add_data_panel.h"

#include <QButtonGroup>
#include <QComboBox>
#include <QFileInfo>
#include <QHeaderView>
#include <QRadioButton>
#include <QTableWidget>
#include <QVBoxLayout>

#include "ui/models/data_model.h"
#include "ui/widgets/basics.h"

namespace retort::ui {

AddDataPanel::AddDataPanel(StudyService& study, QWidget* parent) : QFrame(parent), m_study(study) {
  m_pool.setMaxThreadCount(1);
  setProperty("card", "raised");
  setAccessibleName(tr("Add a data file"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  auto* head = new QHBoxLayout;
  m_title = makeHeading({});
  m_summary = makeLabel({}, Tone::Muted);
  head->addWidget(m_title);
  head->addWidget(m_summary, 1);
  auto* close = makeToolButton(QStringLiteral("close"), tr("Do not add this file"));
  head->addWidget(close);
  column->addLayout(head);

  auto* roleRow = new QHBoxLayout;
  roleRow->addWidget(makeLabel(tr("Use it for"), Tone::Muted));
  m_roles = new QButtonGroup(this);
  for (const DataRole role : {DataRole::kEvaluation, DataRole::kCalibration}) {
    auto* button = new QRadioButton(dataRoleName(role));
    button->setToolTip(role == DataRole::kEvaluation ? tr("Candidates are measured on it; nothing is ever made from it")
                                                     : tr("Importance matrices are made from it; nothing is measured on it"));
    m_roles->addButton(button, static_cast<int>(role));
    roleRow->addWidget(button);
  }
  m_roles->button(static_cast<int>(DataRole::kEvaluation))->setChecked(true);
  roleRow->addStretch();
  column->addLayout(roleRow);

  m_columnRow = new QWidget;
  auto* fields = new QHBoxLayout(m_columnRow);
  fields->setContentsMargins(0, 0, 0, 0);
  const QString names[] = {tr("Text or prompt"), tr("Label"), tr("Choices"), tr("Answer"), tr("Target")};
  for (std::size_t i = 0; i < m_columns.size(); ++i) {
    m_columns[i] = new QComboBox;
    m_columns[i]->setAccessibleName(names[i]);
    m_columns[i]->setMinimumWidth(96);
    auto* cell = new QVBoxLayout;
    cell->setSpacing(2);
    cell->addWidget(makeLabel(names[i], Tone::Muted, Theme::Size::Small));
    cell->addWidget(m_columns[i]);
    fields->addLayout(cell, 1);
    connect(m_columns[i], &QComboBox::currentIndexChanged, this, [this] { if (!m_filling) readAgain(); });
  }
  column->addWidget(m_columnRow);
  m_problem = new Notice;
  column->addWidget(m_problem);
  m_rows = new QTableWidget;
  m_rows->setAccessibleName(tr("First rows of the file"));
  m_rows->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_rows->setShowGrid(false);
  m_rows->setWordWrap(false);
  m_rows->verticalHeader()->hide();
  m_rows->verticalHeader()->setDefaultSectionSize(24);
  m_rows->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  m_rows->setMinimumHeight(120);
  column->addWidget(m_rows, 1);
  auto* foot = new QHBoxLayout;
  foot->addStretch();
  m_add = makeButton(tr("Add to the study"), QStringLiteral("plus"), true);
  foot->addWidget(m_add);
  column->addLayout(foot);
  connect(m_add, &QPushButton::clicked, this, &AddDataPanel::add);
  connect(close, &QToolButton::clicked, this, [this] {
    hide();
    emit closed();
  });
  hide();
}

AddDataPanel::~AddDataPanel() { m_pool.waitForDone(); }

void AddDataPanel::setRole(DataRole role) { m_roles->button(static_cast<int>(role))->setChecked(true); }

DataRole AddDataPanel::role() const { return static_cast<DataRole>(m_roles->checkedId()); }

void AddDataPanel::open(const QString& path) {
  m_path = path;
  m_filling = true;
  for (QComboBox* box : m_columns) box->clear();
  m_filling = false;
  m_title->setText(QFileInfo(path).fileName());
  m_summary->setText(tr("reading …"));
  m_problem->hide();
  m_rows->setRowCount(0);
  m_add->setEnabled(false);
  // A name that says what it is for sets the role; the person may change it.
  if (path.contains(QStringLiteral("calib"), Qt::CaseInsensitive)) setRole(DataRole::kCalibration);
  show();
  readAgain();
}

Columns AddDataPanel::columns() const {
  const auto chosen = [this](std::size_t i) {
    return m_columns[i]->currentIndex() > 0 ? m_columns[i]->currentText().toStdString() : std::string();
  };
  return {.text = chosen(0), .label = chosen(1), .choices = chosen(2), .answer = chosen(3), .target = chosen(4)};
}

void AddDataPanel::readAgain() {
  const quint64 request = ++m_request;
  m_pool.start([this, request, api = m_study.api(), path = m_path, wanted = columns()] {
    DataPreview preview = previewData(api, path, wanted);
    QMetaObject::invokeMethod(this, [this, request, preview = std::move(preview)] {
      if (request == m_request) showPreview(preview);
    }, Qt::QueuedConnection);
  });
}

void AddDataPanel::fillColumns(const DataPreview& preview) {
  m_columnRow->setVisible(preview.jsonl);
  if (m_columns[0]->count() > 0) return;
  m_filling = true;
  for (QComboBox* box : m_columns) {
    box->addItem(tr("guessed"));
    box->addItems(preview.fields);
  }
  m_filling = false;
}

void AddDataPanel::showPreview(const DataPreview& preview) {
  fillColumns(preview);
  QStringList parts;
  for (const DataPreview::Set& set : preview.sets) parts << tr("%1 %2").arg(integer(set.examples), dataKindName(set.kind));
  m_summary->setText(parts.join(QStringLiteral(" · ")));
  m_add->setEnabled(!preview.failure);
  if (preview.failure)
    m_problem->showFailure(*preview.failure);
  else
    m_problem->hide();

  m_rows->setColumnCount(static_cast<int>(preview.fields.size()));
  m_rows->setHorizontalHeaderLabels(preview.fields);
  m_rows->setRowCount(static_cast<int>(preview.rows.size()));
  for (int r = 0; r < m_rows->rowCount(); ++r) {
    const QStringList& cells = preview.rows[static_cast<std::size_t>(r)];
    for (int c = 0; c < m_rows->columnCount(); ++c)
      m_rows->setItem(r, c, new QTableWidgetItem(c < cells.size() ? cells[c].left(300).simplified() : QString()));
  }
  for (int c = 0; c < m_rows->columnCount(); ++c)
    m_rows->setColumnWidth(c, std::clamp(m_rows->width() / std::max(1, m_rows->columnCount()), 90, 420));
  m_rows->horizontalHeader()->setStretchLastSection(true);
}

void AddDataPanel::add() {
  m_study.addData(m_path, role(), columns());
  hide();
  emit closed();
}

}  // namespace retort::ui
