#include "ui/pages/compare/loss_views.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QSignalBlocker>
#include <QTabWidget>
#include <QVBoxLayout>
#include <algorithm>
#include <set>

#include "ui/format.h"
#include "ui/models/flips_model.h"
#include "ui/models/slices_model.h"
#include "ui/models/stage_steps.h"
#include "ui/plots/heat_grid.h"
#include "ui/plots/profile_chart.h"
#include "ui/plots/stair_chart.h"
#include "ui/services/selection.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

QVBoxLayout* tabColumn(QWidget* tab) {
  auto* column = new QVBoxLayout(tab);
  column->setContentsMargins(0, kGapSmall, 0, 0);
  column->setSpacing(kGapSmall);
  return column;
}

int rowOf(const StudySnapshot& study, std::int64_t id) {
  for (std::size_t i = 0; i < study.candidates.size(); ++i)
    if (study.candidates[i].id == id) return static_cast<int>(i);
  return 0;
}

// The candidate whose loss is greatest among those with errors per tensor.
const CandidateInfo* worstDamaged(const StudySnapshot& study) {
  const CandidateInfo* worst = nullptr;
  double most = -1;
  for (const CandidateInfo& c : study.candidates) {
    const auto loss = c.figure("kld_mean");
    if (!c.tensor_errors.empty() && loss && loss->value > most) worst = &c, most = loss->value;
  }
  return worst;
}

}  // namespace

QString shortName(const StudySnapshot& study, const CandidateInfo& candidate) {
  static const QString kMatrix = QStringLiteral(" + importance matrix");
  QString name = toQString(candidate.name);
  if (!name.endsWith(kMatrix)) return name;
  name.chop(kMatrix.size());
  const bool twin = std::any_of(study.candidates.begin(), study.candidates.end(), [&](const CandidateInfo& other) { return toQString(other.name) == name; });
  return twin ? name + QStringLiteral(" +im") : name;
}

LossViews::LossViews(Services& services, QTabWidget* tabs) : QObject(tabs), m_services(services), m_tabs(tabs) {
  m_stairs = new StairChart;
  m_stairs->setObjectName(QStringLiteral("stairs"));
  m_stairsFrame = new ChartFrame(tr("What each smaller candidate saves and costs"), m_stairs);
  m_layers = new HeatGrid;
  m_layersFrame = new ChartFrame(tr("Damage by layer"), m_layers);
  m_difficultyTab = buildDifficulty();
  m_flipsTab = buildFlips();
  m_slicesTab = buildSlices();
  tabs->addTab(m_stairsFrame, tr("Staircase"));
  m_stagesTab = buildStages();
  tabs->addTab(m_stagesTab, tr("Stages"));
  tabs->setTabVisible(tabs->indexOf(m_stagesTab), false);
  tabs->addTab(m_layersFrame, tr("Layers"));
  tabs->addTab(m_difficultyTab, tr("Difficulty"));
  tabs->addTab(m_slicesTab, tr("Slices"));
  tabs->addTab(m_flipsTab, tr("Flips"));
  connect(m_stairs, &Chart::chosen, this, &LossViews::chosen);
  connect(m_profile, &Chart::chosen, this, &LossViews::chosen);
  connect(m_layers, &HeatGrid::tensorChosen, this, [this](const QString& tensor) { m_services.selection.setTensor(tensor); });
  connect(&services.selection, &Selection::tensorChanged, m_layers, &HeatGrid::setSelectedTensor);
  connect(tabs, &QTabWidget::currentChanged, this, &LossViews::fillVisible);
}

QWidget* LossViews::buildStages() {
  auto* tab = new QWidget;
  QVBoxLayout* column = tabColumn(tab);
  m_stages = new StairChart;
  m_stagesFrame = new ChartFrame(tr("What each stage kept and cost"), m_stages);
  column->addWidget(m_stagesFrame, 1);
  m_stagesWarning = new WrappedText(Tone::Warn, Theme::instance().font());
  m_stagesWarning->hide();
  column->addWidget(m_stagesWarning);
  connect(m_stages, &Chart::chosen, m_stages, [this](std::int64_t stage) { m_stages->setSelected(stage); });
  return tab;
}

QWidget* LossViews::buildDifficulty() {
  auto* tab = new QWidget;
  QVBoxLayout* column = tabColumn(tab);
  m_profile = new ProfileChart;
  m_profileFrame = new ChartFrame(tr("Loss from the easiest to the hardest part, for the original"), m_profile);
  m_profileChoice = new QComboBox;
  m_profileChoice->setAccessibleName(tr("Data set"));
  m_profileFrame->addControl(m_profileChoice);
  column->addWidget(m_profileFrame, 1);
  connect(m_profileChoice, &QComboBox::activated, this, &LossViews::fillDifficulty);
  return tab;
}

QWidget* LossViews::buildSlices() {
  auto* tab = new QWidget;
  QVBoxLayout* column = tabColumn(tab);
  auto* head = new QHBoxLayout;
  m_cut = new QComboBox;
  m_cut->setAccessibleName(tr("How the data is cut"));
  for (const auto& [name, cut] : {std::pair{tr("by group of prompts"), Slice::Cut::Group}, {tr("by data set"), Slice::Cut::Set}, {tr("by difficulty"), Slice::Cut::Difficulty}})
    m_cut->addItem(name, static_cast<int>(cut));
  m_slicesNote = makeLabel(tr("Right answers or KL divergence in each part; shaded by what is lost. ≈ can't be told apart from the original."), Tone::Muted, Theme::Size::Small);
  head->addWidget(m_cut);
  head->addWidget(m_slicesNote, 1);
  column->addLayout(head);
  m_slices = new SlicesModel(this);
  m_slicesTable = new TableView(tr("Parts of the data by candidate"));
  m_slicesTable->setModel(m_slices);
  m_slicesTable->setObjectName(QStringLiteral("slices"));
  m_slicesTable->setSelectionBehavior(QAbstractItemView::SelectItems);
  m_slicesTable->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_slicesTable->verticalHeader()->setMinimumSectionSize(kRowHeight - 3);
  column->addWidget(m_slicesTable, 1);
  connect(m_cut, &QComboBox::activated, this, &LossViews::fillSlices);
  connect(m_slicesTable->selectionModel(), &QItemSelectionModel::currentChanged, this, [this](const QModelIndex& now) {
    if (now.isValid() && m_slices->idAt(now.column()) != 0) emit chosen(m_slices->idAt(now.column()));
  });
  return tab;
}

QWidget* LossViews::buildFlips() {
  auto* tab = new QWidget;
  QVBoxLayout* column = tabColumn(tab);
  m_flips = new FlipsModel(this);
  m_flipsSummary = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_flipsTable = new TableView(tr("Changed answers and hardest text"));
  m_flipsTable->setModel(m_flips);
  m_flipsTable->verticalHeader()->setDefaultSectionSize(kRowHeight - 3);
  m_flipsTable->verticalHeader()->setMinimumSectionSize(kRowHeight - 3);
  m_flipsTable->setWidths({112, 128, 0, 132, 152});
  column->addWidget(m_flipsSummary);
  column->addWidget(m_flipsTable, 1);
  connect(m_flipsTable->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& current) {
    if (!current.isValid()) return;
    const auto& row = m_flips->rows()[static_cast<std::size_t>(current.row())];
    m_services.selection.setExample({row.dataSet, row.index});
  });
  return tab;
}

const CandidateInfo* LossViews::candidate(std::int64_t id) const {
  if (m_snapshot)
    for (const CandidateInfo& c : m_snapshot->candidates)
      if (c.id == id) return &c;
  return nullptr;
}

QWidget* LossViews::tab(const QString& part) const {
  if (part == QStringLiteral("stairs")) return m_stairsFrame;
  if (part == QStringLiteral("stages")) return m_stagesTab;
  if (part == QStringLiteral("layers")) return m_layersFrame;
  if (part == QStringLiteral("difficulty")) return m_difficultyTab;
  if (part == QStringLiteral("slices")) return m_slicesTab;
  if (part == QStringLiteral("flips")) return m_flipsTab;
  return nullptr;
}

std::vector<ChartFrame*> LossViews::frames() const { return {m_stairsFrame, m_layersFrame, m_profileFrame, m_stagesFrame}; }

void LossViews::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  m_flipsShown.clear();
  m_layersShown.clear();
  fillStages();
  fillVisible();
}

void LossViews::setFigures(const CompareFigures& figures) {
  m_figures = figures;
  fillStairs();
  const QString keep = m_profileChoice->currentText();
  const QSignalBlocker quiet(m_profileChoice);
  m_profileChoice->clear();
  for (const Slice& slice : m_figures.slices)
    if (slice.cut == Slice::Cut::Difficulty)
      if (m_profileChoice->findText(slice.set) < 0) m_profileChoice->addItem(slice.set, slice.isText);
  m_profileChoice->setCurrentIndex(std::max(0, m_profileChoice->findText(keep)));
  if (std::none_of(m_figures.slices.begin(), m_figures.slices.end(), [this](const Slice& s) { return static_cast<int>(s.cut) == m_cut->currentData().toInt(); }))
    m_cut->setCurrentIndex(m_cut->findData(static_cast<int>(Slice::Cut::Set)));
  fillDifficulty();
  fillSlices();
}

void LossViews::setSelected(std::int64_t id) {
  m_selected = id;
  m_stairs->setSelected(id);
  m_profile->setSelected(id);
  fillStages();
  fillVisible();
}

// Flips and layers are of one candidate: filled when they are looked at.
void LossViews::fillVisible() {
  if (!m_snapshot) return;
  if (m_tabs->currentWidget() == m_flipsTab) fillFlips();
  if (m_tabs->currentWidget() == m_layersFrame) fillLayers();
}

void LossViews::fillStairs() {
  if (!m_snapshot) return;
  std::vector<StairTread> treads;
  for (const StairStep& step : m_figures.stairs)
    if (const CandidateInfo* c = candidate(step.id))
      if (const auto loss = c->figure("kld_mean"); loss && loss->value > 0)
        treads.push_back({c->id, rowOf(*m_snapshot, c->id), shortName(*m_snapshot, *c), static_cast<double>(c->bytes), *loss, treads.empty() ? std::nullopt : step.loss});
  m_stairs->setTreads(std::move(treads));
}

// Of the selected candidate, or of the first student where another is selected.
void LossViews::fillStages() {
  if (!m_snapshot) return;
  const CandidateInfo* shown = candidate(m_selected);
  if (!shown || shown->stages.size() < 2) {
    shown = nullptr;
    for (const CandidateInfo& c : m_snapshot->candidates)
      if (!shown && c.stages.size() >= 2) shown = &c;
  }
  m_tabs->setTabVisible(m_tabs->indexOf(m_stagesTab), shown != nullptr);
  if (!shown) return m_stages->setTreads({});
  StageSteps steps = stageSteps(*shown);
  m_stagesFrame->setTitle(tr("What each stage kept and cost · %1").arg(shortName(*m_snapshot, *shown)));
  m_stagesWarning->setVisible(!steps.warnings.isEmpty());
  m_stagesWarning->setText(steps.warnings.join(QLatin1Char('\n')));
  m_stages->setTreads(std::move(steps.treads), steps.measure, steps.facts);
}

void LossViews::fillDifficulty() {
  if (!m_snapshot) return;
  const QString set = m_profileChoice->currentText();
  const bool text = m_profileChoice->currentData().toBool();
  QStringList categories;
  std::vector<const Slice*> parts;
  for (const Slice& slice : m_figures.slices) {
    if (slice.cut != Slice::Cut::Difficulty || slice.set != set) continue;
    parts.push_back(&slice);
    categories << (text ? tr("%1\n%2 nats, %3 chunks").arg(slice.place, significant(slice.difficulty, 3)).arg(slice.n) : tr("%1\n%2 examples").arg(slice.place).arg(slice.n));
  }
  std::vector<ProfileLine> lines;
  for (const CandidateInfo& c : m_snapshot->candidates) {
    ProfileLine line{c.id, rowOf(*m_snapshot, c.id), shortName(*m_snapshot, c), {}};
    bool any = false;
    for (const Slice* slice : parts) {
      const auto cell = slice->cells.find(c.id);
      line.values.push_back(cell == slice->cells.end() ? std::nullopt : std::optional(cell->second.figure));
      any = any || line.values.back();
    }
    if (any) lines.push_back(std::move(line));
  }
  m_profile->setLines(categories, std::move(lines), text ? tr("KL divergence, nats") : tr("Right answers, %"), text ? 1 : 100, text);
  m_profile->setSelected(m_selected);
}

void LossViews::fillSlices() {
  if (!m_snapshot) return;
  std::vector<Slice> slices;
  for (const Slice& slice : m_figures.slices)
    if (static_cast<int>(slice.cut) == m_cut->currentData().toInt()) slices.push_back(slice);
  std::vector<SlicesModel::Column> columns;
  for (const CandidateInfo& c : m_snapshot->candidates)
    if (std::any_of(slices.begin(), slices.end(), [&](const Slice& s) { return s.cells.contains(c.id); })) columns.push_back({c.id, shortName(*m_snapshot, c), c.is_original});
  m_slices->setSlices(std::move(slices), std::move(columns));
  m_slicesTable->resizeColumnsToContents();
  m_slicesTable->setColumnWidth(0, std::clamp(m_slicesTable->columnWidth(0) + 40, 160, 300));
  for (int column = SlicesModel::kFirst; column < m_slices->columnCount(); ++column)
    m_slicesTable->setColumnWidth(column, std::clamp(m_slicesTable->columnWidth(column), 58, 104));
}

void LossViews::fillFlips() {
  const CandidateInfo* chosen = candidate(m_selected);
  const QString key = QString::number(m_selected);
  if (key == m_flipsShown) return;
  m_flipsShown = key;
  const CandidateInfo* original = nullptr;
  for (const CandidateInfo& c : m_snapshot->candidates)
    if (c.is_original) original = &c;
  m_flips->setCandidates(original, chosen);
  QString text;
  if (chosen && chosen->is_original) text = tr("Select a candidate: what it answers otherwise than the original stands here.");
  else if (chosen) text = toQString(chosen->name) + QStringLiteral(": ") + (m_flips->summary().isEmpty() ? tr("no labelled examples measured yet") : m_flips->summary());
  m_flipsSummary->setText(text);
}

void LossViews::fillLayers() {
  const CandidateInfo* chosen = candidate(m_selected);
  QString before;
  if (chosen && chosen->tensor_errors.empty()) {   // the source as it is: the most damaged of the others says more than nothing
    if (const CandidateInfo* worst = worstDamaged(*m_snapshot)) {
      before = tr("%1 has no tensors of its own. ").arg(shortName(*m_snapshot, *chosen));
      chosen = worst;
    }
  }
  const QString key = QStringLiteral("%1|%2|%3").arg(m_selected).arg(chosen ? chosen->id : 0).arg(chosen ? chosen->tensor_errors.size() : 0);
  if (key == m_layersShown) return;
  m_layersShown = key;
  std::map<std::pair<QString, int>, HeatCell> cells;
  if (chosen)
    for (const auto& [name, error] : chosen->tensor_errors) {
      QString kind = toQString(name).remove(QStringLiteral(".weight"));
      int layer = -1;
      if (kind.startsWith(QStringLiteral("blk."))) {
        layer = kind.section(QLatin1Char('.'), 1, 1).toInt();
        kind = kind.section(QLatin1Char('.'), 2);
      }
      const auto type = chosen->tensor_types.find(name);
      cells[{kind, layer}] = {toQString(name), type == chosen->tensor_types.end() ? QString() : toQString(type->second), error};
    }
  m_layersFrame->setTitle(!chosen ? tr("Damage by layer") : cells.empty() ? tr("No tensor was quantized")
                                                                          : before + tr("Relative error of each tensor's weights · %1").arg(toQString(chosen->name)));
  m_layers->setCells(std::move(cells), tr("relative error"));
}

}  // namespace retort::ui
