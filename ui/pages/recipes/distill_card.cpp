#include "ui/pages/recipes/distill_card.h"

#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QStackedWidget>
#include <QTabBar>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>

#include "core/distill/grids.h"
#include "core/quantize/levels.h"
#include "ui/format.h"
#include "ui/pages/recipes/parameter_table.h"
#include "ui/pages/recipes/proposal_bar.h"
#include "ui/pages/recipes/stage_list.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/block_strips.h"
#include "ui/widgets/figure_tiles.h"

namespace retort::ui {
namespace {

using distill::DistillRecipe;
using Group = DistillParameter::Group;

struct Tab {
  const char* id;
  const char* title;
  Group group;
};
constexpr Tab kTabs[] = {{"student", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Student"), Group::Student},    {"teachers", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Teachers"), Group::Teachers},
                         {"loss", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Loss"), Group::Loss},             {"training", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Training"), Group::Training},
                         {"data", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Data"), Group::Data},             {"stages", QT_TRANSLATE_NOOP("retort::ui::DistillCard", "Stages"), Group::Stages}};

QString partOf(double now, double before) { return before > 0 ? percent(now / before, 0) : QString(); }

}  // namespace

DistillCard::DistillCard(StudyService& study, ModelService& source, QWidget* parent) : QWidget(parent), m_study(study), m_source(source) {
  m_pool.setMaxThreadCount(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(kGap);
  m_tabs = new QTabBar;
  m_tabs->setAccessibleName(tr("Parts of the recipe"));
  m_tabs->setDrawBase(false);
  m_tabs->setExpanding(false);
  for (const Tab& tab : kTabs) m_tabs->addTab(tr(tab.title));
  m_tables.resize(std::size(kTabs));
  column->addWidget(m_tabs);
  m_pages = new QStackedWidget;
  m_pages->addWidget(buildStudent());
  for (int i = 1; i < m_tabs->count(); ++i) m_pages->addWidget(new QWidget);   // made when they are looked at
  column->addWidget(m_pages, 1);
  std::vector<std::pair<QString, QString>> levels;
  if (study.api().levels)
    for (const Level& level : study.api().levels()) levels.emplace_back(QStringLiteral("%1 · %2").arg(toQString(level.plain), toQString(level.id)), toQString(level.id));
  for (const distill::Grid& grid : distill::grids())
    if (!find_level(grid.level)) levels.emplace_back(tr("%1-bit, folder · %2").arg(grid.bits).arg(toQString(grid.level)), toQString(grid.level));
  m_stages = new StageList(std::move(levels));
  column->addWidget(m_stages);
  m_later = new QTimer(this);
  m_later->setSingleShot(true);
  m_later->setInterval(60);
  connect(m_later, &QTimer::timeout, this, &DistillCard::requestPrediction);
  connect(m_tabs, &QTabBar::currentChanged, this, &DistillCard::showPage);
  connect(m_stages, &StageList::refused, this, &DistillCard::refused);
  connect(m_stages, &StageList::detailsWanted, this, [this](std::size_t stage) {
    showTab(QStringLiteral("stages"));
    m_tables[static_cast<std::size_t>(m_tabs->currentIndex())]->showPlace(QStringLiteral("stages[%1]").arg(stage));
  });
  connect(m_stages, &StageList::edited, this, [this](const std::vector<distill::TrainStage>& stages) {
    DistillRecipe recipe = m_recipe;
    recipe.stages = stages;
    take(recipe);
  });
  connect(&source, &ModelService::loadedChanged, this, &DistillCard::refreshTeacher);
}

DistillCard::~DistillCard() { m_pool.waitForDone(); }

QWidget* DistillCard::buildStudent() {
  auto* page = new QWidget;
  auto* column = new QVBoxLayout(page);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(kGap);
  m_teacherLine = makeLabel({}, Tone::Normal, Theme::Size::Small);
  m_teacherLine->setMinimumWidth(60);
  column->addWidget(m_teacherLine);
  m_proposals = new ProposalBar(m_study);
  column->addWidget(m_proposals);
  connect(m_proposals, &ProposalBar::chosen, this, [this](const distill::StudentProposal& proposal) {
    take(proposal.taken_into(m_recipe));
  });
  m_blocks = new BlockStrips(tr("Student designer"));
  column->addWidget(m_blocks);
  auto* box = new QFrame;
  box->setProperty("card", "raised");
  auto* inside = new QVBoxLayout(box);
  inside->setContentsMargins(kGap, kGapSmall + 2, kGapSmall, kGapSmall + 2);
  m_figures = new FigureTiles;
  inside->addWidget(m_figures);
  column->addWidget(box);
  m_note = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_note->setWordWrap(true);
  m_note->hide();
  column->addWidget(m_note);
  m_tables[0] = makeTable(tr("Student"), Group::Student);
  column->addWidget(m_tables[0], 1);
  connect(m_blocks, &BlockStrips::toggled, this, [this](int row, int block) {
    if (!m_teacher || m_rows[static_cast<std::size_t>(row)] != ShapeRow::Layers) return;
    DistillRecipe recipe = m_recipe;
    recipe.student = withLayerToggled(*m_teacher, recipe.student, block);
    take(recipe);
  });
  connect(m_blocks, &BlockStrips::countWanted, this, [this](int row, int kept) {
    if (!m_teacher) return;
    DistillRecipe recipe = m_recipe;
    recipe.student = withCount(*m_teacher, recipe.student, m_rows[static_cast<std::size_t>(row)], kept);
    take(recipe);
  });
  return page;
}

ParameterTable* DistillCard::makeTable(const QString& name, Group group) {
  auto* table = new ParameterTable(name, group);
  connect(&table->parameters(), &ParameterModel::edited, this, &DistillCard::take);
  connect(&table->parameters(), &ParameterModel::refused, this, &DistillCard::refused);
  return table;
}

void DistillCard::showPage(int index) {
  if (!m_tables[static_cast<std::size_t>(index)]) fillPage(index);
  m_pages->setCurrentIndex(index);
}

void DistillCard::fillPage(int index) {
  const Group group = kTabs[index].group;
  ParameterTable* const table = m_tables[static_cast<std::size_t>(index)] = makeTable(m_tabs->tabText(index), group);
  auto* column = new QVBoxLayout(m_pages->widget(index));
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(kGapSmall);
  if (group == Group::Teachers) {
    auto* head = new QHBoxLayout;
    QLabel* says = makeLabel(tr("Several answer together, by their weights."), Tone::Muted, Theme::Size::Small);
    says->setMinimumWidth(60);
    head->addWidget(says, 1);
    QPushButton* add = makeButton(tr("Add a teacher"), QStringLiteral("plus"));
    connect(add, &QPushButton::clicked, this, &DistillCard::addTeacher);
    head->addWidget(add);
    column->addLayout(head);
  }
  column->addWidget(table);
  table->parameters().setRecipe(m_recipe, m_teacher);
}

void DistillCard::showTab(const QString& name) {
  for (int i = 0; i < m_tabs->count(); ++i)
    if (name == QLatin1String(kTabs[i].id)) m_tabs->setCurrentIndex(i);
}

// Empty: the study's source.
QString DistillCard::wherePartsAre() const {
  return QString::fromStdU16String(distill::parts_of(m_recipe).u16string());
}

ModelService& DistillCard::partsModel() const { return wherePartsAre().isEmpty() || !m_other ? m_source : *m_other; }

void DistillCard::setRecipe(const DistillRecipe& recipe) {
  m_recipe = recipe;
  refresh();
}

void DistillCard::take(const DistillRecipe& recipe) {
  m_recipe = recipe;
  refresh();
  emit edited(m_recipe);
}

void DistillCard::refresh() {
  if (const QString parts = wherePartsAre(); !parts.isEmpty()) {
    if (!m_other) {
      m_other = std::make_unique<ModelService>(m_study.api());
      connect(m_other.get(), &ModelService::loadedChanged, this, &DistillCard::refreshTeacher);
    }
    m_other->ensure(parts);
  }
  m_stages->setStages(m_recipe.stages, m_recipe.student.classes > 0);
  refreshTeacher();
}

void DistillCard::refreshTeacher() {
  const ModelService& model = partsModel();
  const LoadedModelPtr loaded = model.loaded();
  m_teacher.reset();
  if (loaded) m_teacher = teacherShape(*loaded);
  for (ParameterTable* table : m_tables)
    if (table) table->parameters().setRecipe(m_recipe, m_teacher);
  const QString whose = wherePartsAre().isEmpty() ? tr("the study's source") : QFileInfo(wherePartsAre()).fileName();
  if (m_teacher)
    m_teacherLine->setText(tr("Made of %1 · %2 parameters, %n layer(s)", nullptr, static_cast<int>(m_teacher->layers)).arg(whose, countQuantity(static_cast<double>(m_teacher->parameters)).text()));
  else if (model.failure())
    m_teacherLine->setText(tr("Made of %1 · %2").arg(whose, model.failure()->text));
  else
    m_teacherLine->setText(tr("Made of %1 · being read …").arg(whose));
  setTone(m_teacherLine, model.failure() && !m_teacher ? Tone::Bad : Tone::Normal);
  m_teacherLine->setToolTip(m_teacherLine->text());
  m_blocks->setRows(m_teacher ? blockRows(*m_teacher, m_recipe.student, m_rows) : std::vector<BlockRow>{});
  m_proposals->setSource(loaded, m_recipe);
  m_later->start();
}

// A further one: who learns from another model alone names it in the first row.
void DistillCard::addTeacher() {
  const QString path = ParameterTable::chosenModel(this, tr("Add a teacher"));
  if (path.isEmpty()) return;
  DistillRecipe recipe = m_recipe;
  recipe.teachers.push_back({std::filesystem::path(path.toStdU16String()), 1});
  take(recipe);
}

void DistillCard::requestPrediction() {
  const LoadedModelPtr loaded = partsModel().loaded();
  const auto& predictor = m_study.api().predictStudent;
  if (!loaded || !predictor) return m_figures->setTiles({});
  const int threads = m_study.snapshot() ? m_study.snapshot()->threads : 0;
  const quint64 request = ++m_request;
  m_pool.start([this, request, loaded, predictor, threads, recipe = m_recipe] {
    auto prediction = std::make_shared<Result<distill::StudentPrediction>>(predictor(*loaded->model, recipe, threads));
    QMetaObject::invokeMethod(this, [this, request, prediction] {
      if (request == m_request) showPrediction(*prediction);
    }, Qt::QueuedConnection);
  });
}

void DistillCard::showPrediction(const Result<distill::StudentPrediction>& prediction) {
  m_note->setVisible(!prediction);
  if (!prediction) {
    setTone(m_note, Tone::Bad);
    setTextOf(m_note, failureOf(prediction.error()).text);
    m_figures->setTiles({});
    return;
  }
  const distill::StudentPrediction& p = *prediction;
  std::vector<FigureTile> tiles;
  tiles.push_back({tr("Parameters"), countQuantity(static_cast<double>(p.parameters)), m_teacher ? tr("of %1").arg(countQuantity(static_cast<double>(m_teacher->parameters)).text()) : QString(), tr("Of the student, before any training") + (m_teacher ? tr(": %1 of the teacher's").arg(partOf(static_cast<double>(p.parameters), static_cast<double>(m_teacher->parameters))) : QString()), Tone::Normal});
  tiles.push_back({tr("File"), bytesQuantity(p.bytes), tr("memory %1").arg(bytesQuantity(p.memory).text()), tr("Bytes after the last stage; memory of a run at the study's context"), Tone::Normal});
  tiles.push_back({tr("Speed"), rateQuantity(p.tokens_per_second, tr("tok")), tr("answer %1").arg(secondsQuantity(p.latency_seconds).text()), tr("Of inference on this machine, from its measured rates: reading text; an answer is one text of a classifier, one token of a language model"), Tone::Normal});
  tiles.push_back({tr("Training"), secondsQuantity(p.training_seconds), tr("memory %1").arg(bytesQuantity(p.training_memory).text()), tr("%1 a step on this machine").arg(secondsQuantity(p.seconds_per_step).text()) + (m_recipe.teachers.empty() ? QString() : tr("; further teachers come on top")), Tone::Normal});
  m_figures->setTiles(std::move(tiles));
}

}  // namespace retort::ui
