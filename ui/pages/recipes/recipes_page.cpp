#include "ui/pages/recipes/recipes_page.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "core/distill/distill_recipe.h"
#include "ui/actions.h"
#include "ui/format.h"
#include "ui/pages/recipes/recipe_editor.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

bool makesSomething(const Recipe& recipe) { return !recipe.stages.empty() || !recipe.student.empty(); }

// A student whose recipe names no data learns from the study's training sets.
bool needsStudyData(const CandidateInfo& candidate) {
  if (!candidate.chosen || candidate.recipe.student.empty()) return false;
  const auto student = distill::distill_recipe_from_json(candidate.recipe.student);
  return student && student->data.train.empty() && student->data.unlabelled.empty();
}

QWidget* pane(QLayout* layout) {
  auto* widget = new QWidget;
  widget->setLayout(layout);
  layout->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  layout->setSpacing(kGap);
  return widget;
}

}  // namespace

RecipesPage::RecipesPage(Services& services, QWidget* parent) : Page(services, parent) {
  m_presets = new PresetModel(this);
  m_candidates = new CandidateModel(this);
  auto* outer = new QHBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  auto* left = new QSplitter(Qt::Vertical);
  left->setChildrenCollapsible(false);
  left->addWidget(buildPresets());
  left->addWidget(buildCandidates());
  left->setSizes({360, 320});
  auto* splitter = new QSplitter(Qt::Horizontal);
  splitter->setChildrenCollapsible(false);
  splitter->addWidget(left);
  auto* right = new QVBoxLayout;
  m_editor = new RecipeEditor(services.study, services.model);
  right->addWidget(m_editor);
  splitter->addWidget(pane(right));
  splitter->setSizes({408, 441});
  splitter->setStretchFactor(0, 3);
  splitter->setStretchFactor(1, 4);
  outer->addWidget(splitter);
  connectParts();
}

QWidget* RecipesPage::buildPresets() {
  auto* column = new QVBoxLayout;
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Presets")));
  head->addStretch();
  m_addPreset = makeButton(tr("Add"), QStringLiteral("plus"));
  m_addPreset->setToolTip(tr("Adds the selected preset to the candidates (Enter)"));
  m_newStudent = makeButton(tr("New student"));
  m_newStudent->setToolTip(tr("A student to design in the editor: layers and widths, losses, data, stages"));
  head->addWidget(m_newStudent);
  head->addWidget(m_addPreset);
  column->addLayout(head);
  m_presetTable = new TableView(tr("Presets"));
  m_presetTable->setModel(m_presets);
  m_presetTable->setWidths({0, 72, 58, 72, 50});
  m_presetTable->setMinimumWidth(294);   // the editor beside it may not take the room of the presets' names
  m_presetTable->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_presetTable->verticalHeader()->setMinimumSectionSize(kRowHeight - 3);
  m_presetTable->setColumnHidden(PresetModel::Memory, true);   // the Model page has it per level, beside what fits
  column->addWidget(m_presetTable, 1);
  return pane(column);
}

QWidget* RecipesPage::buildCandidates() {
  auto* column = new QVBoxLayout;
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Candidates")), 1);
  m_duplicate = makeToolButton(QStringLiteral("duplicate"), tr("Duplicate the candidate"));
  m_up = makeToolButton(QStringLiteral("up"), tr("Move up (Alt+Up)"));
  m_down = makeToolButton(QStringLiteral("down"), tr("Move down (Alt+Down)"));
  m_remove = makeToolButton(QStringLiteral("trash"), tr("Remove the candidate (Delete); undo brings it back"));
  m_undo = makeToolButton(QStringLiteral("undo"), tr("Undo the last change (Ctrl+Z)"));
  for (QToolButton* button : {m_duplicate, m_up, m_down, m_remove, m_undo}) head->addWidget(button);
  column->addLayout(head);
  m_candidateTable = new TableView(tr("Candidates of this study"));
  m_candidateTable->setModel(m_candidates);
  m_candidateTable->setWidths({0, 72, 50, 78});
  m_candidateTable->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_candidateTable->verticalHeader()->setMinimumSectionSize(kRowHeight - 3);
  m_candidateTable->setColumnHidden(CandidateModel::Bits, true);   // in the inspector, beside the other figures
  m_candidateTable->setDragEnabled(true);
  m_candidateTable->setAcceptDrops(true);
  m_candidateTable->setDropIndicatorShown(true);
  m_candidateTable->setDragDropMode(QAbstractItemView::InternalMove);
  m_candidateTable->setDragDropOverwriteMode(false);
  column->addWidget(m_candidateTable, 1);
  m_hint = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_hint->setWordWrap(true);
  column->addWidget(m_hint);
  return pane(column);
}

void RecipesPage::connectParts() {
  StudyService& study = services().study;
  connect(m_addPreset, &QPushButton::clicked, this, &RecipesPage::addPreset);
  connect(m_newStudent, &QPushButton::clicked, this, &RecipesPage::newStudent);
  connect(m_presetTable, &TableView::activated, this, &RecipesPage::addPreset);
  connect(m_presetTable->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (!now.isValid() || !m_presets->row(now.row()).heading.isEmpty()) return m_addPreset->setEnabled(false);
    m_addPreset->setEnabled(m_presets->row(now.row()).problem.isEmpty());
    if (m_presetTable->hasFocus()) m_editor->edit({}, m_presets->row(now.row()).recipe, {});
  });
  connect(m_presetTable, &TableView::clicked, this, [this](const QModelIndex& now) {
    if (m_presets->row(now.row()).heading.isEmpty()) m_editor->edit({}, m_presets->row(now.row()).recipe, {});
  });
  connect(m_candidateTable->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (now.isValid() && !m_filling) services().selection.setCandidate(m_candidates->row(now.row()).id);
    refreshSelected();
  });
  connect(m_candidateTable, &TableView::clicked, this, [this](const QModelIndex& now) {
    services().selection.setCandidate(m_candidates->row(now.row()).id);
    refreshSelected();
  });
  connect(m_candidates, &CandidateModel::moveWanted, &study, &StudyService::moveCandidate);
  connect(m_candidateTable, &TableView::activated, this, [this](const QModelIndex& index) {
    const CandidateInfo& candidate = m_candidates->row(index.row());
    services().study.setChosen(candidate.id, !candidate.chosen);
  });
  connect(m_candidateTable, &TableView::spacePressed, this, [this](const QModelIndex& index) { services().selection.togglePin(m_candidates->row(index.row()).id); });
  connect(m_candidateTable, &TableView::deletePressed, this, &RecipesPage::remove);
  connect(m_candidates, &CandidateModel::chosenWanted, &study, &StudyService::setChosen);
  connect(m_duplicate, &QToolButton::clicked, this, &RecipesPage::duplicate);
  connect(m_remove, &QToolButton::clicked, this, &RecipesPage::remove);
  connect(m_up, &QToolButton::clicked, this, [this] { move(-1); });
  connect(m_down, &QToolButton::clicked, this, [this] { move(1); });
  connect(m_undo, &QToolButton::clicked, &study, &StudyService::undo);
  connect(&study, &StudyService::undoChanged, m_undo, &QToolButton::setEnabled);
  m_undo->setEnabled(study.canUndo());
  connect(&services().selection, &Selection::candidateChanged, this, [this](std::int64_t id) {
    if (const int row = m_candidates->rowOf(id); row >= 0) m_candidateTable->selectRow(row);
  });
  connect(&services().model, &ModelService::loadedChanged, this, [this] {
    m_memoryContext = -1;
    refreshPresets();
  });
  connect(&services().model, &ModelService::memoryReady, this, [this](std::int64_t context, const MemoryByPart& memory) {
    if (!m_snapshot || context != m_snapshot->context) return;
    m_memory = memory;
    refreshPresets();
  });
  ActionRegistry& actions = services().actions;
  const QString group = tr("Recipes");
  actions.add({QStringLiteral("recipes.up"), group, tr("Move the candidate up"), QKeySequence(tr("Alt+Up")), QStringLiteral("up")}, this, [this] { move(-1); });
  actions.add({QStringLiteral("recipes.down"), group, tr("Move the candidate down"), QKeySequence(tr("Alt+Down")), QStringLiteral("down")}, this, [this] { move(1); });
  actions.add({QStringLiteral("recipes.duplicate"), group, tr("Duplicate the candidate"), QKeySequence(tr("Ctrl+Shift+D")), QStringLiteral("duplicate")}, this, [this] { duplicate(); });
}

RecipesPage::~RecipesPage() {
  ++m_predictionRequest;
  m_pool.waitForDone();
}

void RecipesPage::showPart(const QString& part) { m_editor->showPart(part); }

PageStatus RecipesPage::status(const StudySnapshot* study) {
  if (!study) return {PageState::Empty, tr("no study is open")};
  const auto chosen = std::count_if(study->candidates.begin(), study->candidates.end(),
                                    [](const CandidateInfo& c) { return c.chosen && !c.is_original; });
  if (chosen == 0) return {PageState::Empty, tr("no candidates yet")};
  const bool importance = std::any_of(study->candidates.begin(), study->candidates.end(), [](const CandidateInfo& c) {
    return c.chosen && std::any_of(c.recipe.stages.begin(), c.recipe.stages.end(), [](const Stage& s) { return s.importance; });
  });
  const bool calibration = std::any_of(study->data.begin(), study->data.end(), [](const DataInfo& d) { return d.role == DataRole::kCalibration; });
  const bool training = std::any_of(study->data.begin(), study->data.end(), [](const DataInfo& d) { return d.role == DataRole::kTraining; });
  if (!training && std::any_of(study->candidates.begin(), study->candidates.end(), needsStudyData)) return {PageState::Attention, tr("a student needs training data")};
  if (importance && !calibration) return {PageState::Attention, tr("an importance matrix needs a calibration text")};
  return {PageState::Ready, tr("%n candidate(s) chosen", nullptr, static_cast<int>(chosen))};
}

const CandidateInfo* RecipesPage::selected() const {
  const QModelIndex now = m_candidateTable->currentIndex();
  return now.isValid() && now.row() < m_candidates->rowCount() ? &m_candidates->row(now.row()) : nullptr;
}

void RecipesPage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  const std::optional<std::int64_t> wanted = services().selection.candidate();
  // Looking at the page selects nothing for the other pages: only the person does.
  m_filling = true;
  m_candidates->setRows(snapshot ? withoutMeasurements(snapshot->candidates) : std::vector<CandidateInfo>());
  if (!selected() && m_candidates->rowCount() > 0) {
    int row = wanted ? m_candidates->rowOf(*wanted) : -1;
    if (row < 0 && snapshot->recommendation.candidate) row = m_candidates->rowOf(*snapshot->recommendation.candidate);
    m_candidateTable->selectRow(std::max(row, 0));
  }
  m_filling = false;
  if (snapshot) {
    const auto chosen = std::count_if(snapshot->candidates.begin(), snapshot->candidates.end(), [](const auto& c) { return c.chosen; });
    m_hint->setText(tr("%1 of %2 are checked and take part in the run, from top to bottom. Enter checks, Space pins, dragging reorders.").arg(chosen).arg(snapshot->candidates.size()));
  }
  m_hint->setVisible(snapshot != nullptr);
  refreshPresets();
  refreshSelected();
}

void RecipesPage::refreshPresets() {
  const auto& api = services().study.api();
  if (!api.presetRecipes) return;
  const LoadedModelPtr loaded = services().model.loaded();
  if (loaded && m_snapshot && m_memoryContext != m_snapshot->context) {
    m_memoryContext = m_snapshot->context;
    services().model.requestMemory(m_memoryContext, m_snapshot->threads);
  }
  const auto heading = [](const QString& title, const QString& explanation) {
    PresetRow row;
    row.heading = title;
    row.explanation = explanation;
    return row;
  };
  std::vector<PresetRow> rows{heading(tr("Quantize"), tr("The source's own weights in fewer bits"))};
  for (PresetRow& row : levelPresets()) rows.push_back(std::move(row));
  std::vector<PresetRow> students = studentPresets();
  const auto combined = std::stable_partition(students.begin(), students.end(), [](const PresetRow& row) { return !row.combines; });
  if (combined != students.begin()) rows.push_back(heading(tr("Distill"), tr("A smaller student learns from the source")));
  std::move(students.begin(), combined, std::back_inserter(rows));
  if (combined != students.end()) rows.push_back(heading(tr("Combine"), tr("A student that is then quantized, and repaired")));
  std::move(combined, students.end(), std::back_inserter(rows));
  m_presets->setRows(std::move(rows));
  setHeadings();
  const QModelIndex now = m_presetTable->currentIndex();
  m_addPreset->setEnabled(m_snapshot && now.isValid() && now.flags().testFlag(Qt::ItemIsSelectable) && m_presets->row(now.row()).problem.isEmpty());
  requestPredictions();
}

std::vector<PresetRow> RecipesPage::levelPresets() const {
  const LoadedModelPtr loaded = services().model.loaded();
  std::vector<PresetRow> rows;
  for (Recipe& recipe : services().study.api().presetRecipes()) {
    PresetRow row;
    row.code = QString::fromStdString(recipe.name);
    row.plain = row.code;
    const std::string level = recipe.stages.empty() ? std::string() : recipe.stages.front().level;
    if (loaded)
      for (const LevelRow& plan : loaded->levels) {
        if (plan.id.toStdString() != level) continue;
        row.plain = plan.plain;
        row.explanation = plan.explanation;
        row.bytes = plan.plan.file_bytes;
        row.bits = plan.plan.bits_per_weight;
        row.fallbacks = plan.fallbacks;
        row.problem = plan.problem;
        if (m_memory) row.memory = plan.plan.bytes + m_memory->kv_cache + m_memory->work_space;
      }
    if (m_snapshot)
      row.present = std::any_of(m_snapshot->candidates.begin(), m_snapshot->candidates.end(),
                                [&](const CandidateInfo& candidate) { return candidate.recipe.name == recipe.name; });
    row.recipe = std::move(recipe);
    if (m_snapshot) fillExpectations(row, *m_snapshot);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<PresetRow> RecipesPage::studentPresets() const {
  std::vector<PresetRow> rows;
  const auto& presets = services().study.api().studentPresets;
  if (!presets || !m_snapshot || !m_snapshot->source) return rows;
  for (Preset& preset : presets(*m_snapshot->source, m_snapshot->data)) {
    PresetRow row;
    row.combines = preset.group == "Combine";
    row.code = QString::fromStdString(preset.recipe.name);
    row.explanation = QString::fromStdString(preset.plain);
    row.problem = QString::fromStdString(preset.problem);
    if (const auto found = m_predictions.find(preset.recipe.student); found != m_predictions.end()) {
      row.bytes = found->second.bytes;
      row.memory = found->second.memory;
      row.trainingSeconds = found->second.training_seconds;
    }
    row.recipe = std::move(preset.recipe);
    fillExpectations(row, *m_snapshot);
    rows.push_back(std::move(row));
  }
  return rows;
}

// A group's name goes over all columns.
void RecipesPage::setHeadings() {
  m_presetTable->clearSpans();
  for (int row = 0; row < m_presets->rowCount(); ++row)
    if (!m_presets->row(row).heading.isEmpty()) m_presetTable->setSpan(row, 0, 1, PresetModel::Count);
}

// What each student would weigh and take: once per model, in a worker.
void RecipesPage::requestPredictions() {
  const LoadedModelPtr loaded = services().model.loaded();
  const auto& api = services().study.api();
  if (!loaded || !m_snapshot || !m_snapshot->source || !api.predictStudent || !api.studentPresets) return;
  const QString key = QStringLiteral("%1|%2").arg(loaded->path).arg(m_snapshot->threads);
  if (key == m_predicted) return;
  m_predicted = key;
  const quint64 request = ++m_predictionRequest;
  m_pool.start([this, request, loaded, source = *m_snapshot->source, data = m_snapshot->data, threads = m_snapshot->threads, presets = api.studentPresets, predict = api.predictStudent] {
    std::map<std::string, distill::StudentPrediction> found;
    for (const Preset& preset : presets(source, data)) {
      const auto recipe = distill::distill_recipe_from_json(preset.recipe.student);
      if (!recipe) continue;
      if (const auto prediction = predict(*loaded->model, *recipe, threads)) found[preset.recipe.student] = *prediction;
    }
    QMetaObject::invokeMethod(this, [this, request, found = std::move(found)] {
      if (request != m_predictionRequest) return;
      m_predictions = found;
      refreshPresets();
    }, Qt::QueuedConnection);
  });
}

void RecipesPage::refreshSelected() {
  const CandidateInfo* candidate = selected();
  const int row = m_candidateTable->currentIndex().row();
  m_newStudent->setEnabled(m_snapshot && m_snapshot->source && m_snapshot->source->kind != SourceKind::kEncoder);
  m_duplicate->setEnabled(candidate && makesSomething(candidate->recipe));
  m_remove->setEnabled(candidate && !candidate->is_original);
  m_up->setEnabled(candidate && !candidate->is_original && row > 1);
  m_down->setEnabled(candidate && !candidate->is_original && row + 1 < m_candidates->rowCount());
  if (candidate) m_editor->edit(candidate->id, candidate->recipe, QString::fromStdString(candidate->command_line));
}

void RecipesPage::addPreset() {
  const QModelIndex now = m_presetTable->currentIndex();
  if (!m_snapshot || !now.isValid() || !m_presets->row(now.row()).heading.isEmpty() || !m_presets->row(now.row()).problem.isEmpty()) return;
  services().study.addCandidate(m_presets->row(now.row()).recipe);
}

// Half the layers, from the answers of the source: a place to start from.
void RecipesPage::newStudent() {
  const LoadedModelPtr loaded = services().model.loaded();
  distill::DistillRecipe student;
  student.student.layers = loaded ? std::max<std::int64_t>(1, loaded->model->config.layers / 2) : 0;
  Recipe recipe;
  recipe.name = tr("student").toStdString();
  recipe.student = distill::distill_recipe_to_json(student);
  m_editor->edit({}, recipe, {});
}

void RecipesPage::duplicate() {
  const CandidateInfo* candidate = selected();
  if (!candidate || !makesSomething(candidate->recipe)) return;
  Recipe copy = candidate->recipe;
  copy.name = tr("%1 (copy)").arg(QString::fromStdString(copy.name)).toStdString();
  services().study.addCandidate(copy);
}

void RecipesPage::remove() {
  const CandidateInfo* candidate = selected();
  if (!candidate || candidate->is_original) return;
  emit message(tr("%1 was removed; Ctrl+Z brings it back").arg(QString::fromStdString(candidate->name)));
  services().study.removeCandidate(candidate->id);
}

void RecipesPage::move(int step) {
  const CandidateInfo* candidate = selected();
  const int target = m_candidateTable->currentIndex().row() + step;
  if (!candidate || candidate->is_original || target < 1 || target >= m_candidates->rowCount()) return;
  services().study.moveCandidate(candidate->id, target);
}

}  // namespace retort::ui
