#include "ui/pages/model/compare_view.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QHeaderView>
#include <QTableWidget>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {

CompareView::CompareView(QWidget* parent) : QWidget(parent) {
  m_pool.setMaxThreadCount(1);
  m_pool.setThreadPriority(QThread::LowPriority);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  QLabel* what = makeLabel(tr("This graph beside its INT8: all of it in 8 bits, and the mix in which the nodes that cost most stay in f32. "
                              "Inputs are safetensors named as the graph's, several sets as 0/NAME, 1/NAME …; right answers, if there are any, as 0/label, 1/label …"),
                           Tone::Muted);
  what->setWordWrap(true);
  column->addWidget(what);
  auto* grid = new QGridLayout;
  grid->setHorizontalSpacing(kGap);
  grid->setVerticalSpacing(kGapSmall);
  connect(addChooser(grid, 0, tr("Calibrate on"), m_calibrationLabel), &QPushButton::clicked, this, [this] { choose(true); });
  connect(addChooser(grid, 1, tr("Compare on"), m_dataLabel), &QPushButton::clicked, this, [this] { choose(false); });
  grid->setColumnStretch(1, 1);
  column->addLayout(grid);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGap);
  m_start = makeButton(tr("Compare"), {}, true);
  m_stop = makeButton(tr("Stop"));
  m_progress = makeLabel({}, Tone::Muted);
  m_progress->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);   // names of nodes are long, and the window's width isn't theirs
  line->addWidget(m_start);
  line->addWidget(m_stop);
  line->addWidget(m_progress, 1);
  column->addLayout(line);
  connect(m_start, &QPushButton::clicked, this, &CompareView::start);
  connect(m_stop, &QPushButton::clicked, this, &CompareView::stop);
  m_problem = new Notice;
  column->addWidget(m_problem);
  m_table = new QTableWidget(0, 0);
  m_table->setAccessibleName(tr("The graph and its INT8 side by side"));
  m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setShowGrid(false);
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_table->horizontalHeader()->setHighlightSections(false);
  m_table->horizontalHeader()->setStyleSheet(QStringLiteral("QHeaderView::section { padding-right: 3px; }"));   // names end where the figures do
  column->addWidget(m_table, 1);
  m_note = makeLabel({}, Tone::Muted);
  m_note->setWordWrap(true);
  column->addWidget(m_note);
  m_command = new CodeBox(tr("Command line"));
  column->addWidget(m_command);
  column->addStretch(0);
  setGraph({}, false);
}

CompareView::~CompareView() {
  if (m_job) m_job->stop();
  m_pool.waitForDone();
}

QPushButton* CompareView::addChooser(QGridLayout* grid, int row, const QString& what, QLabel*& shown) {
  grid->addWidget(makeLabel(what), row, 0);
  shown = makeLabel({}, Tone::Muted);
  shown->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  grid->addWidget(shown, row, 1);
  QPushButton* button = makeButton(tr("Choose …"), QStringLiteral("file"));
  button->setAccessibleName(tr("%1: choose a file of inputs").arg(what));
  grid->addWidget(button, row, 2);
  return button;
}

void CompareView::choose(bool calibration) {
  const QString path = QFileDialog::getOpenFileName(this, tr("Inputs of the graph"), Settings::value(Setting::LastFolder).toString(), tr("Inputs (*.safetensors);;All files (*)"));
  if (path.isEmpty()) return;
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  setInputs(calibration ? path : m_calibration, calibration ? m_data : path);
}

void CompareView::setInputs(const QString& calibration, const QString& compared) {
  m_calibration = calibration;
  m_data = compared;
  refresh();
}

void CompareView::setGraph(const QString& path, bool runs) {
  if (m_path == path && m_runs == runs && !path.isEmpty()) return;
  stop();
  m_path = path;
  m_runs = runs;
  m_calibration.clear();
  m_data.clear();
  m_problem->hide();
  m_table->hide();
  m_note->hide();
  refresh();
}

void CompareView::refresh() {
  const auto name = [](const QString& path, const QString& none) { return path.isEmpty() ? none : QFileInfo(path).fileName(); };
  setTextOf(m_calibrationLabel, name(m_calibration, tr("no inputs chosen")));
  m_calibrationLabel->setToolTip(m_calibration);
  setTextOf(m_dataLabel, name(m_data, tr("the same inputs; others say more")));
  m_dataLabel->setToolTip(m_data);
  m_start->setEnabled(m_runs && !m_calibration.isEmpty() && !m_job);
  m_start->setToolTip(!m_runs ? tr("Retort can't run this graph") : m_calibration.isEmpty() ? tr("Choose inputs to calibrate on first") : QString());
  m_stop->setVisible(m_job != nullptr);
  if (!m_job) m_progress->clear();
  m_command->setVisible(!m_calibration.isEmpty());
  const QString compared = m_data.isEmpty() ? m_calibration : m_data;
  m_command->setCode(QStringLiteral("retort onnx compare \"%1\" --calibration \"%2\" --data \"%3\" -o FOLDER").arg(homeShortened(m_path), homeShortened(m_calibration), homeShortened(compared)));
}

void CompareView::start() {
  if (m_path.isEmpty() || m_calibration.isEmpty() || m_job) return;
  m_problem->hide();
  m_job = std::make_shared<JobContext>();
  auto* guard = this;   // the pool is waited for before this goes
  m_job->on_progress([guard, job = std::weak_ptr<JobContext>(m_job)](const Progress& progress) {
    const QString text = progress.total > 0 ? tr("%1 of %2 %3 · %4").arg(integer(static_cast<std::int64_t>(progress.done)), integer(static_cast<std::int64_t>(progress.total)), toQString(progress.unit), toQString(progress.step))
                                            : toQString(progress.step);
    QMetaObject::invokeMethod(guard, [guard, job, text] {
      if (!job.expired() && guard->m_job == job.lock()) setTextOf(guard->m_progress, text);
    }, Qt::QueuedConnection);
  });
  setTextOf(m_progress, tr("looking at the ranges of activations …"));
  m_pool.start([this, job = m_job, path = m_path, calibration = m_calibration, compared = m_data.isEmpty() ? m_calibration : m_data] {
    auto made = std::make_shared<Result<GraphComparison>>(compareWithInt8(path, calibration, compared, *job));
    QMetaObject::invokeMethod(this, [this, job, made] {
      if (m_job != job) return;
      m_job.reset();
      if (*made) fill(**made);
      else m_problem->showFailure(failureOf(made->error(), tr("Comparing")));
      refresh();
      emit finished();
    }, Qt::QueuedConnection);
  });
  refresh();
}

void CompareView::stop() {
  if (!m_job) return;
  m_job->stop();
  m_job.reset();
  refresh();
}

void CompareView::fill(const GraphComparison& comparison) {
  const auto rows = comparisonRows(comparison);
  m_table->clear();
  m_table->setColumnCount(static_cast<int>(comparison.figures.size()) + 1);
  m_table->setRowCount(static_cast<int>(rows.size()));
  QStringList titles{QString()};
  for (const onnx::GraphFigures& graph : comparison.figures) titles << toQString(graph.name);
  m_table->setHorizontalHeaderLabels(titles);
  for (int c = 0; c < m_table->columnCount(); ++c)
    m_table->horizontalHeaderItem(c)->setTextAlignment((c == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
  for (int r = 0; r < m_table->rowCount(); ++r) {
    const ComparisonRow& row = rows[static_cast<std::size_t>(r)];
    for (int c = 0; c < m_table->columnCount(); ++c) {
      auto* item = new QTableWidgetItem(c == 0 ? row.label : row.cells[c - 1]);
      item->setTextAlignment((c == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
      item->setToolTip(row.hover);
      if (row.heading) {
        QFont font = m_table->font();
        font.setBold(true);
        item->setFont(font);
      }
      m_table->setItem(r, c, item);
    }
  }
  m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  m_table->setVisible(true);
  const auto kept = static_cast<int>(comparison.sensitivity.kept().size());
  m_note->setText(kept == 0 ? tr("No node had to stay in f32: all in INT8 the outputs are %1 off on the calibration inputs (root mean square).").arg(percent(comparison.sensitivity.error_all, 2))
                            : tr("On the calibration inputs the outputs are %1 off all in INT8, and %2 with %n node(s) in f32 (root mean square).", nullptr, kept)
                                  .arg(percent(comparison.sensitivity.error_all, 2), percent(comparison.sensitivity.error, 2)));
  m_note->setVisible(true);
}

}  // namespace retort::ui
