#include "ui/pages/run/run_page.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QPlainTextEdit>
#include <QStackedLayout>
#include <QTabBar>
#include <QTabWidget>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/format.h"
#include "ui/models/command_lines.h"
#include "ui/models/run_log.h"
#include "ui/models/training_curve.h"
#include "ui/pages/run/tensor_error_chart.h"
#include "ui/plots/curve_chart.h"
#include "ui/services/model_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/facts.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr int kCurveTab = 0;

// The candidate that is being made, else the selected one, else the last that has errors to show.
const CandidateInfo* candidate_to_show(const StudySnapshot& study, std::optional<std::int64_t> selected) {
  const CandidateInfo* found = nullptr;
  for (const CandidateInfo& candidate : study.candidates) {
    if (candidate.state == CandidateState::kQuantizing && !candidate.tensor_errors.empty()) return &candidate;
    if (candidate.tensor_errors.empty()) continue;
    if (!found || found->id != selected) found = &candidate;
  }
  return found;
}

std::vector<TensorError> errors_of(const CandidateInfo& candidate, const LoadedModel* loaded) {
  std::vector<TensorError> errors;
  const auto add = [&](const std::string& name, double error) {
    TensorError row{.name = QString::fromStdString(name), .type = {}, .error = error, .bits = 16};
    if (const auto type = candidate.tensor_types.find(name); type != candidate.tensor_types.end()) {
      row.type = QString::fromStdString(type->second);
      if (const auto* traits = kernels::find_type(type->second)) row.bits = traits->bits_per_weight();
    }
    errors.push_back(std::move(row));
  };
  if (!loaded) {
    for (const auto& [name, error] : candidate.tensor_errors) add(name, error);
    return errors;
  }
  for (const TensorRow& tensor : loaded->tensors)
    if (const auto error = candidate.tensor_errors.find(tensor.name.toStdString()); error != candidate.tensor_errors.end())
      add(error->first, error->second);
  return errors;
}

RunRow row_of(const CandidateInfo& candidate, std::int64_t id, std::string step, bool done, std::string message) {
  RunRow row;
  row.id = id;
  row.candidate = candidate.id;
  row.candidate_name = candidate.name;
  row.step = std::move(step);
  row.state = done ? JobState::kDone : candidate.state == CandidateState::kFailed ? JobState::kFailed : JobState::kWaiting;
  row.message = done ? std::move(message) : candidate.failure;
  return row;
}

// Whether a source of this kind can be measured on a set.
bool suits(const StudySnapshot& study, const DataInfo& set) {
  const SourceKind kind = study.source ? study.source->kind : SourceKind::kLanguageModel;
  return (set.kind == DataKind::kLabelled) == (kind == SourceKind::kClassifier);
}

std::string step_of(const DataInfo& set) {
  return set.kind == DataKind::kText ? "text: " : set.kind == DataKind::kLabelled ? "classes: " : "prompts: ";
}

// The row whose curve is shown: the selected one, else the one that trains, else the last that did.
const RunRow* row_with_curve(const std::vector<RunRow>& rows, const RunRow* selected) {
  if (selected && selected->curve) return selected;
  const RunRow* found = nullptr;
  for (const RunRow& row : rows) {
    if (!row.curve) continue;
    if (row.state == JobState::kRunning || row.state == JobState::kPaused) return &row;
    if (!found || !selected || row.candidate == selected->candidate || found->candidate != selected->candidate) found = &row;
  }
  return found;
}

// Without a run in this session: the same steps, with what the study holds of them.
std::vector<RunRow> rows_of(const StudySnapshot& study) {
  if (!study.run.empty()) return study.run;
  std::vector<RunRow> rows;
  std::int64_t id = 0;
  for (const CandidateInfo& candidate : study.candidates) {
    if (!candidate.chosen) continue;
    // The source stands before the stages: what it was made from has no row.
    for (std::size_t i = 1; i < candidate.stages.size(); ++i) {
      const StageInfo& stage = candidate.stages[i];
      RunRow row = row_of(candidate, --id, stage.name, stage.bytes > 0, RunPage::tr("made, %1").arg(bytesQuantity(stage.bytes).text()).toStdString());
      row.curve = stage.curve;
      rows.push_back(std::move(row));
    }
    if (!candidate.recipe.stages.empty())
      rows.push_back(row_of(candidate, --id, RunPage::tr("quantize").toStdString(), !candidate.bytes_predicted, RunPage::tr("%1 in the store").arg(bytesQuantity(candidate.bytes).text()).toStdString()));
    for (const DataInfo& set : study.data) {
      if (set.role != DataRole::kEvaluation || !suits(study, set)) continue;
      const auto found = candidate.evaluations.find(set.name);
      const bool done = found != candidate.evaluations.end();
      rows.push_back(row_of(candidate, --id, step_of(set) + set.name, done,
                            done ? RunPage::tr("measured in %1").arg(secondsQuantity(found->second.seconds).text()).toStdString() : std::string()));
    }
    QString measured;
    if (candidate.bench) {
      const int times = static_cast<int>(candidate.bench->token_seconds.size());
      measured = candidate.bench->encoder() ? RunPage::tr("measured over %n text(s)", nullptr, times) : RunPage::tr("measured over %n token(s)", nullptr, times);
    }
    rows.push_back(row_of(candidate, --id, RunPage::tr("speed and memory").toStdString(), candidate.bench.has_value(), measured.toStdString()));
  }
  return rows;
}

}  // namespace

RunPage::RunPage(Services& services, QWidget* parent) : Page(services, parent) {
  m_model = new RunModel(this);
  m_stack = new QStackedLayout(this);
  m_empty = new EmptyState(QStringLiteral("run"), tr("Nothing to run yet"),
                           tr("Here the study's candidates are made and measured, row by row. Choose a model and at least one recipe first."));
  connect(m_empty->addButton(tr("Choose recipes"), QStringLiteral("recipes")), &QPushButton::clicked, this,
          [this] { emit pageWanted(QStringLiteral("recipes")); });
  m_stack->addWidget(m_empty);

  auto* body = new QWidget;
  auto* column = new QVBoxLayout(body);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGapLarge);
  column->setSpacing(kGap);
  column->addWidget(buildHead());
  m_problem = new Notice;
  column->addWidget(m_problem);
  m_table = new TableView(tr("Steps of the run"));
  m_table->setModel(m_model);
  m_table->setDragEnabled(true);
  m_table->setAcceptDrops(true);
  m_table->setDragDropMode(QAbstractItemView::InternalMove);
  m_table->setDragDropOverwriteMode(true);
  m_table->setWidths({150, 176, 0, 92, 56, 72, 60});
  m_table->verticalHeader()->setDefaultSectionSize(kRowHeight - 4);
  m_table->verticalHeader()->setMinimumSectionSize(kRowHeight - 4);
  column->addWidget(m_table, 3);
  column->addWidget(buildBelow(), 2);
  column->addWidget(buildStore());
  m_command = new CodeBox(tr("command line"));
  column->addWidget(m_command);
  m_stack->addWidget(body);

  StudyService& study = services.study;
  connect(&study, &StudyService::runStateChanged, this, &RunPage::refreshButtons);
  connect(&study, &StudyService::estimateReady, this, &RunPage::showEstimate);
  connect(&study, &StudyService::storeUsageReady, this, &RunPage::showStore);
  connect(&study, &StudyService::runFinished, &study, &StudyService::requestStoreUsage);
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (now.isValid() && !m_filling && m_model->row(now.row()).candidate != 0) this->services().selection.setCandidate(m_model->row(now.row()).candidate);
    refreshSelected();
    if (!m_filling) refreshCurve();
  });
  connect(m_table, &TableView::moveWanted, this, &RunPage::moveSelected);
  connect(m_table, &TableView::deletePressed, this, &RunPage::removeSelected);
  connect(m_model, &RunModel::dropWanted, this, [this](std::int64_t moved, std::int64_t before) {
    if (!m_snapshot) return;
    const auto& candidates = m_snapshot->candidates;
    const auto at = [&](std::int64_t id) { return static_cast<int>(std::find_if(candidates.begin(), candidates.end(), [&](const auto& c) { return c.id == id; }) - candidates.begin()); };
    if (at(before) > 0 && at(before) < static_cast<int>(candidates.size())) this->services().study.moveCandidate(moved, at(before));
  });
  connect(&study, &StudyService::snapshotChanged, this, [this](const SnapshotPtr& snapshot) { m_runLog->take(snapshot.get()); });
  connect(m_table, &TableView::spacePressed, this, [this](const QModelIndex& index) {
    if (const auto id = m_model->row(index.row()).candidate; id != 0) this->services().selection.togglePin(id);
  });
  refreshButtons();
}

// What the run tells besides its rows: the error of each tensor as it is made, and the log.
QWidget* RunPage::buildBelow() {
  m_below = new QTabWidget;
  m_below->setDocumentMode(true);
  m_below->tabBar()->setDrawBase(false);
  m_below->setAccessibleName(tr("Loss curve, errors and log"));
  auto* errors = new QWidget;
  auto* column = new QVBoxLayout(errors);
  column->setContentsMargins(0, kGapSmall, 0, 0);
  column->setSpacing(kGapSmall);
  m_errorTitle = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_errors = new TensorErrorChart(services().selection);
  column->addWidget(m_errorTitle);
  column->addWidget(m_errors, 1);
  auto* curve = new QWidget;
  auto* curveColumn = new QVBoxLayout(curve);
  curveColumn->setContentsMargins(0, kGapSmall, 0, 0);
  curveColumn->setSpacing(0);
  m_curve = new CurveChart;
  m_curveFrame = new ChartFrame(tr("Loss curve"), m_curve);
  curveColumn->addWidget(m_curveFrame, 1);
  m_below->addTab(curve, tr("Loss curve"));
  m_below->setTabVisible(kCurveTab, false);
  m_below->addTab(errors, tr("Error per tensor"));
  m_below->setCurrentWidget(errors);
  m_log = new QPlainTextEdit;
  m_log->setReadOnly(true);
  m_log->setMaximumBlockCount(2000);
  m_log->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_log->setAccessibleName(tr("Log of the run"));
  m_log->setPlaceholderText(tr("What a run does is written here, line by line."));
  m_below->addTab(m_log, tr("Log"));
  m_below->setMinimumHeight(150);
  m_runLog = new RunLog(this);
  connect(m_runLog, &RunLog::added, this, [this](const QStringList& lines) { m_log->appendPlainText(lines.join(QLatin1Char('\n'))); });
  connect(m_runLog, &RunLog::cleared, m_log, &QPlainTextEdit::clear);
  return m_below;
}

const CandidateInfo* RunPage::selected() const {
  const QModelIndex now = m_table->currentIndex();
  if (!now.isValid() || !m_snapshot) return nullptr;
  for (const CandidateInfo& candidate : m_snapshot->candidates)
    if (candidate.id == m_model->row(now.row()).candidate) return &candidate;
  return nullptr;
}

// While a curve is there it is what one looks at: its tab comes up once, when it appears.
void RunPage::refreshCurve() {
  const QModelIndex now = m_table->currentIndex();
  const RunRow* row = row_with_curve(m_model->rows(), now.isValid() ? &m_model->row(now.row()) : nullptr);
  const bool appears = row && !m_below->isTabVisible(kCurveTab);
  m_below->setTabVisible(kCurveTab, row != nullptr);
  if (!row) return m_shownCurve.reset();
  if (appears) m_below->setCurrentIndex(kCurveTab);
  if (m_shownCurve == row->curve && m_shownState == row->state) return;
  m_shownCurve = row->curve;
  m_shownState = row->state;
  TrainingCurve curve = trainingCurve(*row);
  m_curveFrame->setTitle(QStringLiteral("%1 · %2 · %3").arg(toQString(row->candidate_name), toQString(row->step), curveSentence(curve, *row)));
  if (m_snapshot) m_curveFrame->setProvenance(tr("%1 · %2").arg(toQString(m_snapshot->name), toQString(m_snapshot->device)));
  m_curve->setCurve(std::move(curve));
}

void RunPage::refreshSelected() {
  const CandidateInfo* candidate = selected();
  const bool movable = candidate && !candidate->is_original;
  for (QToolButton* button : {m_earlier, m_later, m_leaveOut}) button->setEnabled(movable);
}

// Candidates run in the study's order, all steps of one after another.
void RunPage::moveSelected(int step) {
  const CandidateInfo* candidate = selected();
  if (!candidate || candidate->is_original) return;
  const int at = static_cast<int>(candidate - m_snapshot->candidates.data());
  const int target = std::clamp(at + step, 1, static_cast<int>(m_snapshot->candidates.size()) - 1);
  if (target == at) return;
  services().study.moveCandidate(candidate->id, target);
  if (services().study.isRunning()) emit message(tr("%1 was moved; the run follows once the candidate at work is finished").arg(toQString(candidate->name)));
}

void RunPage::removeSelected() {
  const CandidateInfo* candidate = selected();
  if (!candidate || candidate->is_original) return;
  services().study.setChosen(candidate->id, false);
  emit message(tr("%1 is left out of the run; Ctrl+Z brings it back").arg(toQString(candidate->name)));
}

QWidget* RunPage::buildHead() {
  auto* head = new QWidget;
  auto* row = new QHBoxLayout(head);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(kGap);
  auto* texts = new QVBoxLayout;
  texts->setSpacing(2);
  m_overall = makeHeading({});
  m_estimate = makeLabel({}, Tone::Muted);
  m_estimate->setWordWrap(true);
  texts->addWidget(m_overall);
  texts->addWidget(m_estimate);
  row->addLayout(texts, 1);
  m_run = makeButton(tr("Run"), QStringLiteral("run"), true);
  m_run->setToolTip(tr("Makes and measures what is missing (F5)"));
  m_pause = makeButton(tr("Pause"), QStringLiteral("pause"));
  m_stop = makeButton(tr("Stop"), QStringLiteral("stop"));
  m_stop->setToolTip(tr("Finished parts are kept (Ctrl+.)"));
  m_earlier = makeToolButton(QStringLiteral("up"), tr("Run the candidate earlier (Ctrl+Up in the table)"));
  m_later = makeToolButton(QStringLiteral("down"), tr("Run the candidate later (Ctrl+Down in the table)"));
  m_leaveOut = makeToolButton(QStringLiteral("close"), tr("Leave the candidate out of the run (Delete in the table)"));
  for (QToolButton* button : {m_earlier, m_later, m_leaveOut}) row->addWidget(button, 0, Qt::AlignTop);
  connect(m_earlier, &QToolButton::clicked, this, [this] { moveSelected(-1); });
  connect(m_later, &QToolButton::clicked, this, [this] { moveSelected(1); });
  connect(m_leaveOut, &QToolButton::clicked, this, &RunPage::removeSelected);
  for (QPushButton* button : {m_run, m_pause, m_stop}) row->addWidget(button, 0, Qt::AlignTop);
  StudyService& study = services().study;
  connect(m_run, &QPushButton::clicked, &study, &StudyService::run);
  connect(m_pause, &QPushButton::clicked, this, [&study] { study.pause(!study.isPaused()); });
  connect(m_stop, &QPushButton::clicked, &study, &StudyService::stop);
  return head;
}

QWidget* RunPage::buildStore() {
  auto* box = new QFrame;
  box->setProperty("card", "raised");
  auto* row = new QHBoxLayout(box);
  row->setContentsMargins(kGapLarge, kGap, kGap, kGap);
  row->addWidget(makeHeading(tr("Tensor store")));
  row->addSpacing(kGapLarge);
  m_store = new FactGrid(nullptr, FactGrid::Values::BesideNames);
  row->addWidget(m_store, 1, Qt::AlignVCenter);
  m_clean = makeButton(tr("Clean up"), QStringLiteral("trash"));
  m_clean->setToolTip(tr("Removes the tensors that no study needs"));
  row->addWidget(m_clean);
  connect(m_clean, &QPushButton::clicked, this, &RunPage::cleanUp);
  return box;
}

void RunPage::refreshButtons() {
  const StudyService& study = services().study;
  m_run->setVisible(!study.isRunning());
  m_pause->setVisible(study.isRunning());
  m_stop->setVisible(study.isRunning());
  m_pause->setText(study.isPaused() ? tr("Go on") : tr("Pause"));
}

PageStatus RunPage::status(const StudySnapshot* study) {
  if (!study || study->candidates.empty()) return {PageState::Empty, tr("nothing to run yet")};
  if (study->running) return {PageState::Running, study->paused ? tr("paused") : tr("at work")};
  for (const CandidateInfo& candidate : study->candidates)
    if (candidate.chosen && candidate.state == CandidateState::kFailed) return {PageState::Attention, tr("a candidate failed")};
  const bool done = std::all_of(study->candidates.begin(), study->candidates.end(), [](const CandidateInfo& candidate) {
    return !candidate.chosen || candidate.state == CandidateState::kDone;
  });
  return done ? PageStatus{PageState::Ready, tr("everything is measured")} : PageStatus{PageState::Empty, tr("waiting to be run")};
}

void RunPage::setSnapshot(const SnapshotPtr& snapshot) {
  const bool first = !m_snapshot;
  m_snapshot = snapshot;
  if (!snapshot || snapshot->candidates.empty()) {
    m_stack->setCurrentIndex(0);
    return;
  }
  m_stack->setCurrentIndex(1);
  m_command->setCode(runCommand(*snapshot));
  m_filling = true;
  m_model->setRows(rows_of(*snapshot));
  m_filling = false;
  refreshSelected();
  refreshCurve();
  const CandidateInfo* shown = candidate_to_show(*snapshot, services().selection.candidate());
  m_errors->setVisible(shown != nullptr);
  m_errorTitle->setText(shown ? tr("%1 · relative error of each tensor's weights").arg(QString::fromStdString(shown->name)) : tr("Errors appear as tensors are made."));
  if (shown) {
    const bool growing = shown->state == CandidateState::kQuantizing;
    m_errors->setErrors(errors_of(*shown, services().model.loaded().get()), growing ? static_cast<int>(shown->tensor_types.size()) : 0);
  }

  const auto count = [this](auto wanted) { return std::count_if(m_model->rows().begin(), m_model->rows().end(), wanted); };
  const auto done = count([](const RunRow& row) { return row.state == JobState::kDone; });
  const auto failed = count([](const RunRow& row) { return row.state == JobState::kFailed; });
  QString overall = tr("%1 of %2 steps done").arg(done).arg(m_model->rowCount());
  if (failed > 0) overall += tr(" · %n failed", nullptr, static_cast<int>(failed));
  m_overall->setText(overall);

  // An estimate costs a look at the store: only when what is to be done changed.
  QString key;
  for (const CandidateInfo& candidate : snapshot->candidates)
    key += QStringLiteral("%1:%2:%3 ").arg(candidate.id).arg(candidate.chosen).arg(static_cast<int>(candidate.state));
  if (key != m_estimateKey && !snapshot->running) {
    m_estimateKey = key;
    services().study.requestEstimate();
  }
  if (first) services().study.requestStoreUsage();
}

void RunPage::showEstimate(const RunEstimate& estimate) {
  const QString time = tr("%1 to %2").arg(secondsQuantity(estimate.seconds_low).text(),
                                                                       secondsQuantity(estimate.seconds_high).text());
  m_estimate->setText(tr("%1 · memory %2 of %3 free · disk %4 of %5 free")
                          .arg(estimate.seconds_high <= 0 ? tr("Nothing is missing") : tr("What is missing takes %1").arg(time), bytesQuantity(estimate.memory_bytes).text(), bytesQuantity(estimate.free_memory_bytes).text(),
                               bytesQuantity(estimate.disk_bytes).text(), bytesQuantity(estimate.free_disk_bytes).text()));
  if (estimate.problem.empty())
    m_problem->hide();
  else
    m_problem->showText(Notice::Kind::Warn, QString::fromStdString(estimate.problem));
}

void RunPage::showStore(const StoreUsage& usage) {
  m_usage = usage;
  m_store->clear();
  m_store->add(tr("Used"), tr("%1 of at most %2, %3 tensors").arg(bytesQuantity(usage.bytes).text(),
                                                                  bytesQuantity(usage.limit).text(),
                                                                  integer(static_cast<std::int64_t>(usage.tensors))),
               QString::fromStdU16String(usage.folder.u16string()));
  const std::uint64_t free = usage.bytes > usage.pinned_bytes ? usage.bytes - usage.pinned_bytes : 0;
  m_clean->setText(tr("Clean up %1").arg(bytesQuantity(free).text()));
  m_clean->setEnabled(free > 0);
}

void RunPage::cleanUp() { services().study.collectStore(m_usage.pinned_bytes); }

}  // namespace retort::ui
