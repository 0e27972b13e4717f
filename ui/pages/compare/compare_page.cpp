#include "ui/pages/compare/compare_page.h"

#include <QComboBox>
#include <QDate>
#include <QDir>
#include <QHeaderView>
#include <QLabel>
#include <QScrollArea>
#include <QSplitter>
#include <QStackedWidget>
#include <QTabWidget>
#include <QTableView>
#include <QVBoxLayout>
#include <algorithm>

#include "core/base/version.h"
#include "ui/format.h"
#include "ui/models/compare_model.h"
#include "ui/models/flips_model.h"
#include "ui/models/measures.h"
#include "ui/pages/compare/goals_bar.h"
#include "ui/plots/bar_chart.h"
#include "ui/plots/heat_grid.h"
#include "ui/plots/scatter_plot.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

// Charts have little room; the table beside them says the whole name.
QString shortName(const CandidateInfo& candidate) {
  return toQString(candidate.name).replace(QStringLiteral(" + importance matrix"), QStringLiteral(" im"));
}

bool measured(const CandidateInfo& candidate) { return !candidate.evaluations.empty() || candidate.bench; }

QComboBox* makeChoice(const QStringList& ids, const QString& name, QWidget* parent) {
  auto* box = new QComboBox(parent);
  for (const QString& id : ids) box->addItem(measure(id).axisTitle(), id);
  box->setAccessibleName(name);
  return box;
}

QString hoverOf(const CandidateInfo& candidate, const QStringList& ids) {
  QString text = QStringLiteral("<b>%1</b>").arg(toQString(candidate.name).toHtmlEscaped());
  for (const QString& id : ids) {
    const Measure& m = measure(id);
    text += QStringLiteral("<br>%1: %2 %3").arg(m.title, measureText(m, candidate), m.unit);
  }
  return text;
}

}  // namespace

PageStatus ComparePage::status(const StudySnapshot* study) {
  if (!study) return {PageState::Empty, tr("No study is open")};
  const auto count = std::count_if(study->candidates.begin(), study->candidates.end(), measured);
  if (count == 0) return {PageState::Empty, tr("Nothing is measured yet")};
  return {study->running ? PageState::Running : PageState::Ready, tr("%n candidate(s) measured", nullptr, static_cast<int>(count))};
}

Page* ComparePage::make(Services& services, QWidget* parent) { return new ComparePage(services, parent); }

ComparePage::ComparePage(Services& s, QWidget* parent) : Page(s, parent) {
  m_stack = new QStackedWidget(this);
  auto* empty = new EmptyState(QStringLiteral("compare"), tr("Which version should you take?"),
                               tr("Here every measured candidate stands side by side: quality, size, speed and memory, with error bars. Run the study to see the first point."), m_stack);
  connect(empty->addButton(tr("Run the study"), QStringLiteral("run")), &QPushButton::clicked, this, [this] {
    services().study.run();
    emit pageWanted(QStringLiteral("run"));
  });
  m_stack->addWidget(empty);

  m_goals = new GoalsBar(this);
  connect(m_goals, &GoalsBar::goalsChanged, this, [this](const Goals& goals) { services().study.setGoals(goals); });
  connect(m_goals, &GoalsBar::recommendedChosen, this, &ComparePage::select);
  auto* content = new QWidget(m_stack);
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(kGapLarge, kGapLarge, kGapLarge, kGap);
  column->setSpacing(kGap);
  column->addWidget(m_goals);
  auto* split = new QSplitter(Qt::Vertical, content);
  split->addWidget(buildCharts());
  split->addWidget(buildTable());
  split->addWidget(buildViews());
  split->setStretchFactor(0, 5);
  split->setStretchFactor(1, 4);
  split->setStretchFactor(2, 3);
  split->setChildrenCollapsible(false);
  split->setSizes({300, 230, 130});
  column->addWidget(split, 1);
  m_stack->addWidget(content);

  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->addWidget(m_stack);

  connect(&services().selection, &Selection::candidateChanged, this, [this](std::int64_t id) {
    for (Chart* chart : {static_cast<Chart*>(m_scatter), static_cast<Chart*>(m_speed), static_cast<Chart*>(m_memory)}) chart->setSelected(id);
    if (const int row = m_model->rowOf(id); row >= 0 && m_table->currentIndex().row() != row) m_table->selectRow(row);
    fillViews();
  });
  connect(&services().selection, &Selection::tensorChanged, m_layers, &HeatGrid::setSelectedTensor);
}

QWidget* ComparePage::buildCharts() {
  auto* split = new QSplitter(Qt::Horizontal, this);
  m_scatter = new ScatterPlot(split);
  m_scatterFrame = new ChartFrame(tr("Quality against size"), m_scatter, split);
  m_speed = new BarChart(split);
  m_speedFrame = new ChartFrame(tr("Speed"), m_speed, split);
  m_memory = new BarChart(split);
  m_memory->setParts({tr("weights"), tr("KV cache"), tr("work space")});
  m_memory->setMeasure(tr("Memory, MB"));
  m_memoryFrame = new ChartFrame(tr("Memory"), m_memory, split);
  const QStringList all = [] { QStringList ids; for (const Measure& m : measures()) ids << m.id; return ids; }();
  m_yChoice = makeChoice(all, tr("Measure of the vertical axis"), split);
  m_yChoice->setCurrentIndex(static_cast<int>(all.indexOf(QStringLiteral("kld"))));
  m_xChoice = makeChoice(all, tr("Measure of the horizontal axis"), split);
  m_speedChoice = makeChoice({QStringLiteral("decode"), QStringLiteral("prefill"), QStringLiteral("first"), QStringLiteral("p50"), QStringLiteral("p95"), QStringLiteral("p99")}, tr("Measure of speed"), split);
  const auto card = [split](ChartFrame* frame, std::initializer_list<QWidget*> choices) {
    auto* box = new QFrame(split);
    box->setProperty("card", QStringLiteral("true"));
    auto* layout = new QVBoxLayout(box);
    layout->setContentsMargins(0, 0, 0, kGapSmall);
    layout->setSpacing(0);
    layout->addWidget(frame, 1);
    if (choices.size() > 0) {
      auto* line = new QHBoxLayout;
      line->setContentsMargins(kGapLarge, 0, kGapLarge, kGapSmall);
      for (QWidget* choice : choices) line->addWidget(choice);
      line->addStretch();
      layout->addLayout(line);
    }
    return box;
  };
  split->addWidget(card(m_scatterFrame, {m_yChoice, makeLabel(tr("against"), Tone::Muted), m_xChoice}));
  split->addWidget(card(m_speedFrame, {m_speedChoice}));
  split->addWidget(card(m_memoryFrame, {}));
  split->setStretchFactor(0, 5);
  split->setStretchFactor(1, 3);
  split->setStretchFactor(2, 3);
  split->setChildrenCollapsible(false);
  for (QComboBox* box : {m_xChoice, m_yChoice}) connect(box, &QComboBox::currentIndexChanged, this, [this] { fillScatter(); });
  connect(m_speedChoice, &QComboBox::currentIndexChanged, this, [this] { fillBars(); });
  for (Chart* chart : {static_cast<Chart*>(m_scatter), static_cast<Chart*>(m_speed), static_cast<Chart*>(m_memory)})
    connect(chart, &Chart::chosen, this, &ComparePage::select);
  for (ChartFrame* frame : {m_scatterFrame, m_speedFrame, m_memoryFrame})
    connect(frame, &ChartFrame::saveFailed, this, [this](const QString& path) { emit message(tr("%1 could not be written; choose another folder").arg(path)); });
  return split;
}

QWidget* ComparePage::buildTable() {
  m_model = new CompareModel(this);
  m_table = new QTableView(this);
  m_table->setModel(m_model);
  m_table->setAccessibleName(tr("Candidates"));
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setSelectionMode(QAbstractItemView::SingleSelection);
  m_table->setShowGrid(false);
  m_table->setWordWrap(false);
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(kRowHeight - 2);
  m_table->horizontalHeader()->setHighlightSections(false);
  m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  m_table->setMinimumHeight(120);
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& current) {
    if (current.isValid()) select(m_model->idAt(current.row()));
  });
  return m_table;
}

QWidget* ComparePage::buildViews() {
  m_views = new QTabWidget(this);
  m_layers = new HeatGrid(m_views);
  m_layersFrame = new ChartFrame(tr("Damage by layer"), m_layers, m_views);
  connect(m_layers, &HeatGrid::tensorChosen, this, [this](const QString& tensor) { services().selection.setTensor(tensor); });
  m_flips = new FlipsModel(this);
  auto* flips = new QWidget(m_views);
  auto* column = new QVBoxLayout(flips);
  column->setContentsMargins(0, kGapSmall, 0, 0);
  m_flipsSummary = makeLabel(QString(), Tone::Muted, Theme::Size::Small, false, flips);
  m_flipsTable = new QTableView(flips);
  m_flipsTable->setModel(m_flips);
  m_flipsTable->setAccessibleName(tr("Changed answers and hardest text"));
  m_flipsTable->setShowGrid(false);
  m_flipsTable->setWordWrap(false);
  m_flipsTable->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_flipsTable->setSelectionMode(QAbstractItemView::SingleSelection);
  m_flipsTable->verticalHeader()->hide();
  m_flipsTable->verticalHeader()->setDefaultSectionSize(kRowHeight - 4);
  m_flipsTable->horizontalHeader()->setSectionResizeMode(QHeaderView::Interactive);
  m_flipsTable->setColumnWidth(0, 120);
  m_flipsTable->setColumnWidth(1, 130);
  m_flipsTable->setColumnWidth(2, 420);
  m_flipsTable->setColumnWidth(3, 170);
  m_flipsTable->horizontalHeader()->setStretchLastSection(true);
  connect(m_flipsTable->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& current) {
    if (!current.isValid()) return;
    const auto& row = m_flips->rows()[static_cast<std::size_t>(current.row())];
    services().selection.setExample({row.dataSet, row.index});
  });
  column->addWidget(m_flipsSummary);
  column->addWidget(m_flipsTable, 1);
  m_views->addTab(flips, tr("Flips and worst examples"));
  m_views->addTab(m_layersFrame, tr("Damage by layer"));
  m_views->setMinimumHeight(130);
  return m_views;
}

void ComparePage::showPart(const QString& part) {
  if (const int at = m_yChoice->findData(part); at >= 0) m_yChoice->setCurrentIndex(at);
  if (part == QStringLiteral("layers")) m_views->setCurrentIndex(1);
  if (part == QStringLiteral("flips")) m_views->setCurrentIndex(0);
}

const CandidateInfo* ComparePage::candidate(std::optional<std::int64_t> id) const {
  if (!m_snapshot || !id) return nullptr;
  for (const CandidateInfo& c : m_snapshot->candidates)
    if (c.id == *id) return &c;
  return nullptr;
}
const CandidateInfo* ComparePage::original() const {
  if (!m_snapshot) return nullptr;
  for (const CandidateInfo& c : m_snapshot->candidates)
    if (c.is_original) return &c;
  return nullptr;
}
int ComparePage::seriesOf(std::int64_t id) const { return std::max(0, m_model->rowOf(id)); }

void ComparePage::select(std::int64_t id) { services().selection.setCandidate(id); }

void ComparePage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  const bool any = snapshot && std::any_of(snapshot->candidates.begin(), snapshot->candidates.end(), measured);
  m_stack->setCurrentIndex(any ? 1 : 0);
  if (!any) return;
  const auto keep = services().selection.candidate();
  m_model->setSnapshot(snapshot);
  m_goals->setSnapshot(*snapshot);
  QStringList texts;
  for (const DataInfo& set : snapshot->data)
    if (set.role == DataRole::kEvaluation) texts << toQString(set.name);
  const QString provenance = tr("%1 · %2 · %3 · %4 · Retort %5")
                                 .arg(toQString(snapshot->name), texts.join(QStringLiteral(", ")), toQString(snapshot->device),
                                      QDate::currentDate().toString(Qt::ISODate), toQString(kVersion));
  for (ChartFrame* frame : {m_scatterFrame, m_speedFrame, m_memoryFrame, m_layersFrame}) frame->setProvenance(provenance);
  fillScatter();
  fillBars();
  std::optional<std::int64_t> id = keep && candidate(keep) ? keep : snapshot->recommendation.candidate;
  if (!id) id = snapshot->candidates.front().id;
  if (keep == id) {
    if (const int row = m_model->rowOf(*id); row >= 0) m_table->selectRow(row);
    fillViews();
  } else {
    select(*id);
  }
}

void ComparePage::fillScatter() {
  if (!m_snapshot) return;
  const Measure& mx = measure(m_xChoice->currentData().toString());
  const Measure& my = measure(m_yChoice->currentData().toString());
  std::vector<PlotPoint> points;
  std::vector<std::pair<std::int64_t, std::pair<double, double>>> values;
  for (const CandidateInfo& c : m_snapshot->candidates) {
    const auto x = mx.figure(c), y = my.figure(c);
    if (!x || !y) continue;
    points.push_back({c.id, shortName(c), seriesOf(c.id), x->value, x->low, x->high, y->value, y->low, y->high, false, hoverOf(c, {mx.id, my.id, QStringLiteral("size"), QStringLiteral("bpw")})});
    values.push_back({c.id, {mx.lowerIsBetter ? x->value : -x->value, my.lowerIsBetter ? y->value : -y->value}});
  }
  std::vector<std::int64_t> front = pareto_front(values);
  for (PlotPoint& point : points) point.dominated = std::find(front.begin(), front.end(), point.id) == front.end();
  if (!mx.lowerIsBetter) std::reverse(front.begin(), front.end());
  PlotAxis x{mx.axisTitle(), mx.logarithmic, mx.scale, {}, !mx.lowerIsBetter}, y{my.axisTitle(), my.logarithmic, my.scale, {}, !my.lowerIsBetter};
  const auto goalOf = [this](const Measure& m) -> std::optional<double> {
    const Goals& goals = m_snapshot->goals;
    const auto scaled = [&](std::optional<double> value) { return value ? std::optional(*value * m.scale) : std::nullopt; };
    if (m.id == QStringLiteral("size")) return scaled(goals.max_bytes);
    if (m.id == QStringLiteral("kld")) return scaled(goals.max_kld);
    if (m.id == QStringLiteral("first")) return scaled(goals.max_time_to_first_token);
    if (m.id == QStringLiteral("decode")) return scaled(goals.min_decode);
    if (m.id == QStringLiteral("accuracy")) return scaled(goals.min_accuracy);
    return std::nullopt;
  };
  x.goal = goalOf(mx);
  y.goal = goalOf(my);
  m_scatterFrame->setTitle(tr("%1 against %2").arg(my.title, mx.title.toLower()));
  m_scatter->setAxes(x, y);
  m_scatter->setPoints(std::move(points), std::move(front));
}

void ComparePage::fillBars() {
  if (!m_snapshot) return;
  const Measure& speed = measure(m_speedChoice->currentData().toString());
  std::vector<BarRow> speeds, memories;
  for (const CandidateInfo& c : m_snapshot->candidates) {
    if (!c.chosen && !measured(c)) continue;
    const int series = seriesOf(c.id);
    const auto figure = speed.figure(c);
    BarRow row{c.id, series, shortName(c), {}, 0, 0, {}, QStringLiteral("–"), hoverOf(c, {QStringLiteral("decode"), QStringLiteral("prefill"), QStringLiteral("first"), QStringLiteral("p50"), QStringLiteral("p95"), QStringLiteral("p99")})};
    if (figure) {
      row.parts = {figure->value * speed.scale};
      row.text = significant(figure->value * speed.scale, 3);
      // The spread of single tokens: from the slow end (p95) to the median, as a rate.
      if (speed.id == QStringLiteral("decode") && c.bench && c.bench->p95 > 0) row.low = 1 / c.bench->p95, row.high = 1 / c.bench->p50;
    }
    speeds.push_back(row);
    BarRow memory{c.id, series, shortName(c), {}, 0, 0, {}, QStringLiteral("–"), QString()};
    if (c.bench) {
      const MemoryByPart& parts = c.bench->memory;
      memory.parts = {static_cast<double>(parts.weights) * 1e-6, static_cast<double>(parts.kv_cache) * 1e-6, static_cast<double>(parts.work_space) * 1e-6};
      memory.text = significant(static_cast<double>(parts.total()) * 1e-6, 3);
      memory.hover = tr("weights %1 · KV cache %2 · work space %3 · peak of the process %4")
                         .arg(bytesQuantity(parts.weights).text(), bytesQuantity(parts.kv_cache).text(), bytesQuantity(parts.work_space).text(), bytesQuantity(c.bench->peak_memory_bytes).text());
    }
    if (c.predicted_memory) memory.marker = static_cast<double>(c.predicted_memory) * 1e-6;
    memories.push_back(memory);
  }
  m_speedFrame->setTitle(speed.axisTitle());
  m_speed->setMeasure(speed.axisTitle());
  m_speed->setRows(std::move(speeds));
  m_memoryFrame->setTitle(tr("Memory, MB (dotted: predicted)"));
  m_memory->setRows(std::move(memories));
}

void ComparePage::fillViews() {
  const CandidateInfo* chosen = candidate(services().selection.candidate());
  m_flips->setCandidates(original(), chosen);
  m_flipsSummary->setText(chosen ? toQString(chosen->name) + QStringLiteral(": ") + (m_flips->summary().isEmpty() ? tr("no labelled prompts measured yet") : m_flips->summary()) : QString());
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
  m_layersFrame->setTitle(chosen ? tr("Relative error of each tensor's weights · %1").arg(toQString(chosen->name)) : tr("Damage by layer"));
  m_layers->setCells(std::move(cells), tr("relative error"));
}

QStringList ComparePage::saveCharts(const QString& folder) {
  QStringList failed;
  const std::pair<ChartFrame*, const char*> charts[] = {{m_scatterFrame, "quality-size"}, {m_speedFrame, "speed"}, {m_memoryFrame, "memory"}, {m_layersFrame, "damage-by-layer"}};
  for (const auto& [frame, name] : charts)
    for (const char* suffix : {"png", "svg", "csv"}) {
      const QString path = QDir(folder).filePath(QStringLiteral("%1.%2").arg(QString::fromLatin1(name), QString::fromLatin1(suffix)));
      if (!frame->save(path)) failed << path;
    }
  return failed;
}

}  // namespace retort::ui
