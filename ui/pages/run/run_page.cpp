#include "ui/pages/run/run_page.h"

#include <QHBoxLayout>
#include <QStackedLayout>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/format.h"
#include "ui/pages/run/tensor_error_chart.h"
#include "ui/services/model_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

// The candidate that is being made, else the last one that has errors to show.
const CandidateInfo* candidate_to_show(const StudySnapshot& study, std::optional<std::int64_t> selected) {
  const CandidateInfo* found = nullptr;
  for (const CandidateInfo& candidate : study.candidates) {
    if (candidate.tensor_errors.empty()) continue;
    if (candidate.state == CandidateState::kQuantizing) return &candidate;
    if (!found || candidate.id == selected) found = &candidate;
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

// Without a run in this session: one row per candidate, with what the study holds of it.
std::vector<RunRow> rows_of(const StudySnapshot& study) {
  if (!study.run.empty()) return study.run;
  std::vector<RunRow> rows;
  for (const CandidateInfo& candidate : study.candidates) {
    if (!candidate.chosen) continue;
    RunRow row;
    row.id = -candidate.id;
    row.candidate = candidate.id;
    row.candidate_name = candidate.name;
    row.step = RunPage::tr("make and measure").toStdString();
    row.state = candidate.state == CandidateState::kDone ? JobState::kDone : candidate.state == CandidateState::kFailed ? JobState::kFailed : JobState::kWaiting;
    row.message = candidate.failure;
    rows.push_back(std::move(row));
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
  m_table->setWidths({170, 150, 0, 130, 96, 104, 72});
  column->addWidget(m_table, 3);
  m_errorTitle = makeHeading(tr("Error per tensor"));
  column->addWidget(m_errorTitle);
  m_errors = new TensorErrorChart(services.selection);
  column->addWidget(m_errors, 1);
  column->addWidget(buildStore());
  m_stack->addWidget(body);

  StudyService& study = services.study;
  connect(&study, &StudyService::runStateChanged, this, &RunPage::refreshButtons);
  connect(&study, &StudyService::estimateReady, this, &RunPage::showEstimate);
  connect(&study, &StudyService::storeUsageReady, this, &RunPage::showStore);
  connect(&study, &StudyService::runFinished, &study, &StudyService::requestStoreUsage);
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (now.isValid() && m_model->row(now.row()).candidate != 0) this->services().selection.setCandidate(m_model->row(now.row()).candidate);
  });
  connect(m_table, &TableView::spacePressed, this, [this](const QModelIndex& index) {
    if (const auto id = m_model->row(index.row()).candidate; id != 0) this->services().selection.togglePin(id);
  });
  refreshButtons();
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
  m_store = new FactGrid;
  row->addWidget(m_store, 1);
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
  m_model->setRows(rows_of(*snapshot));
  const CandidateInfo* shown = candidate_to_show(*snapshot, services().selection.candidate());
  m_errors->setVisible(shown != nullptr);
  m_errorTitle->setVisible(shown != nullptr);
  if (shown) {
    m_errorTitle->setText(tr("Error per tensor · %1").arg(QString::fromStdString(shown->name)));
    m_errors->setErrors(errors_of(*shown, services().model.loaded().get()), static_cast<int>(shown->tensor_types.size()));
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
  const QString time = estimate.seconds_high <= 0 ? tr("nothing is missing")
                                                  : tr("%1 to %2").arg(secondsQuantity(estimate.seconds_low).text(),
                                                                       secondsQuantity(estimate.seconds_high).text());
  m_estimate->setText(tr("What is missing takes %1 · memory %2 of %3 free · disk %4 of %5 free")
                          .arg(time, bytesQuantity(estimate.memory_bytes).text(), bytesQuantity(estimate.free_memory_bytes).text(),
                               bytesQuantity(estimate.disk_bytes).text(), bytesQuantity(estimate.free_disk_bytes).text()));
  if (estimate.problem.empty())
    m_problem->hide();
  else
    m_problem->showText(Notice::Kind::Warn, QString::fromStdString(estimate.problem));
}

void RunPage::showStore(const StoreUsage& usage) {
  m_usage = usage;
  m_store->clear();
  m_store->add(tr("Used"), tr("%1 of at most %2, %3 tensors").arg(richQuantity(bytesQuantity(usage.bytes)),
                                                                  richQuantity(bytesQuantity(usage.limit)),
                                                                  integer(static_cast<std::int64_t>(usage.tensors))),
               QString::fromStdU16String(usage.folder.u16string()));
  const std::uint64_t free = usage.bytes > usage.pinned_bytes ? usage.bytes - usage.pinned_bytes : 0;
  m_clean->setText(tr("Clean up %1").arg(bytesQuantity(free).text()));
  m_clean->setEnabled(free > 0);
}

void RunPage::cleanUp() { services().study.collectStore(m_usage.pinned_bytes); }

}  // namespace retort::ui
