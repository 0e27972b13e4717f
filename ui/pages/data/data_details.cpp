#include "ui/pages/data/data_details.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QTableWidget>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/facts.h"
#include "ui/widgets/sparkline.h"

namespace retort::ui {

DataDetails::DataDetails(Services& services, QWidget* parent) : QWidget(parent), m_services(services) {
  m_pool.setMaxThreadCount(1);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(kGapLarge);
  auto* left = new QVBoxLayout;
  left->setSpacing(kGap);
  m_coverageTitle = makeHeading(tr("Coverage"));
  m_problem = new Notice;
  m_facts = new FactGrid;
  m_lengths = new Sparkline(tr("Examples by their length in tokens"));
  left->addWidget(m_coverageTitle);
  left->addWidget(m_problem);
  left->addWidget(m_facts);
  left->addWidget(m_lengths);
  left->addStretch(1);
  row->addLayout(left, 2);
  auto* right = new QVBoxLayout;
  right->setSpacing(kGap);
  m_examplesTitle = makeHeading(tr("First examples"));
  m_examples = new QTableWidget(0, 3);
  m_examples->setAccessibleName(tr("First examples of the data set"));
  m_examples->setHorizontalHeaderLabels({tr("Text"), tr("Expected"), tr("Group")});
  m_examples->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_examples->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_examples->setShowGrid(false);
  m_examples->setWordWrap(false);
  m_examples->verticalHeader()->hide();
  m_examples->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_examples->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  m_examples->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
  m_examples->setColumnWidth(1, 170);
  m_examples->setColumnWidth(2, 84);
  right->addWidget(m_examplesTitle);
  right->addWidget(m_examples, 1);
  row->addLayout(right, 3);
  connect(&services.model, &ModelService::loadedChanged, this, &DataDetails::request);
}

DataDetails::~DataDetails() { m_pool.waitForDone(); }

void DataDetails::show(const DataInfo* set) {
  if (!set) {
    m_set.reset();
    m_name.clear();
    setVisible(false);
    return;
  }
  setVisible(true);
  if (m_set && m_set->name == set->name && m_set->path == set->path) return;
  m_set = *set;
  request();
}

void DataDetails::request() {
  if (!m_set) return;
  const quint64 request = ++m_request;
  m_pool.start([this, request, api = m_services.study.api(), set = *m_set, loaded = m_services.model.loaded()] {
    DataCoverage coverage = coverageOf(api, set, loaded);
    QMetaObject::invokeMethod(this, [this, request, coverage = std::move(coverage)] {
      if (request == m_request) fill(coverage);
    }, Qt::QueuedConnection);
  });
}

void DataDetails::fill(const DataCoverage& coverage) {
  m_name = coverage.name;
  setTextOf(m_coverageTitle, tr("Coverage · %1").arg(coverage.name));
  m_facts->clear();
  for (const DataCoverage::Line& line : coverage.lines) m_facts->add(line.what, Quantity{line.value, line.unit}, line.hover);
  m_lengths->setVisible(!coverage.lengths.empty());
  m_lengths->setValues(coverage.lengths, tr("0 tokens"), integer(coverage.longest));
  if (coverage.failure) m_problem->showFailure(*coverage.failure);
  else m_problem->hide();
  const bool expected = std::any_of(coverage.examples.begin(), coverage.examples.end(), [](const QStringList& row) { return !row[1].isEmpty(); });
  const bool grouped = std::any_of(coverage.examples.begin(), coverage.examples.end(), [](const QStringList& row) { return !row[2].isEmpty(); });
  m_examples->setColumnHidden(1, !expected);
  m_examples->setColumnHidden(2, !grouped);
  m_examples->setRowCount(static_cast<int>(coverage.examples.size()));
  for (int r = 0; r < m_examples->rowCount(); ++r)
    for (int c = 0; c < 3; ++c) {
      auto* item = new QTableWidgetItem(coverage.examples[static_cast<std::size_t>(r)][c]);
      item->setToolTip(item->text());
      m_examples->setItem(r, c, item);
    }
}

}  // namespace retort::ui
