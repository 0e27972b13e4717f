#include "ui/pages/compare/compare_page.h"

#include <QComboBox>
#include <QDate>
#include <QDir>
#include <QLabel>
#include <QSplitter>
#include <QStackedWidget>
#include <QTabBar>
#include <QTabWidget>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>

#include "core/base/version.h"
#include "ui/format.h"
#include "ui/models/measures.h"
#include "ui/pages/compare/compare_table.h"
#include "ui/pages/compare/goals_bar.h"
#include "ui/pages/compare/loss_views.h"
#include "ui/plots/bar_chart.h"
#include "ui/plots/scatter_plot.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

bool measured(const CandidateInfo& candidate) { return !candidate.evaluations.empty() || candidate.bench; }

QComboBox* makeChoice(const QStringList& ids, const QString& name) {
  auto* box = new QComboBox;
  for (const QString& id : ids) box->addItem(measure(id).axisTitle(), id);
  box->setAccessibleName(name);
  return box;
}

const QStringList kSpeeds{QStringLiteral("decode"), QStringLiteral("prefill"), QStringLiteral("first"), QStringLiteral("p50"), QStringLiteral("p95"), QStringLiteral("p99")};

// Offers what this study has measured; what was chosen stays while it is among it, else the first of `preferred` that is.
void offerMeasured(QComboBox* box, const StudySnapshot& study, const QStringList& all, const QStringList& preferred) {
  QStringList ids, before;
  for (const QString& id : all)
    if (isMeasured(study, measure(id))) ids << id;
  for (int i = 0; i < box->count(); ++i) before << box->itemData(i).toString();
  if (ids.isEmpty() || ids == before) return;
  const QString keep = box->currentData().toString();
  const QSignalBlocker quiet(box);
  box->clear();
  for (const QString& id : ids) box->addItem(measure(id).axisTitle(), id);
  QString wanted = ids.contains(keep) ? keep : QString();
  for (const QString& id : preferred)
    if (wanted.isEmpty() && ids.contains(id)) wanted = id;
  box->setCurrentIndex(std::max(0, box->findData(wanted)));
}

QString hoverOf(const CandidateInfo& candidate, const QStringList& ids) {
  QString text = QStringLiteral("<b>%1</b>").arg(toQString(candidate.name).toHtmlEscaped());
  for (const QString& id : ids) {
    const Measure& m = measure(id);
    if (!m.figure(candidate)) continue;
    text += QStringLiteral("<br>%1: %2 %3").arg(m.title, measureText(m, candidate), m.unit);
  }
  return text;
}

// All that this page shows, in one line: while tensors are made and jobs report, it stays the same.
QString contents(const StudySnapshot& study) {
  QString key = toQString(study.path.string()) + toQString(study.recommendation.what + study.recommendation.why + study.recommendation.would_change);
  for (const CandidateInfo& c : study.candidates) {
    for (const StageInfo& stage : c.stages) key += QStringLiteral("~%1 %2 %3").arg(toQString(stage.name)).arg(stage.bytes).arg(stage.figures.size()) + toQString(stage.warning);
    key += QStringLiteral("|%1,%2,%3,%4,%5,%6,%7,%8").arg(c.id).arg(toQString(c.name)).arg(c.chosen).arg(c.bytes).arg(c.bytes_predicted).arg(c.bench ? c.bench->prefill_tokens_per_second : 0).arg(c.state == CandidateState::kFailed).arg(c.device_bench ? c.device_bench->prefill_tokens_per_second : 0);
    for (const auto& [set, evaluation] : c.evaluations) key += QStringLiteral(";%1 %2 %3").arg(toQString(set)).arg(evaluation.n).arg(evaluation.seconds);
    // Errors come tensor by tensor; they matter here once the candidate is made.
    if (c.state != CandidateState::kQuantizing) key += QStringLiteral(";%1").arg(c.tensor_errors.size());
  }
  for (const auto& goal : {study.goals.max_bytes, study.goals.max_kld, study.goals.max_time_to_first_token, study.goals.min_decode, study.goals.min_accuracy})
    key += QStringLiteral("/%1").arg(goal.value_or(-1));
  return key;
}

std::optional<double> goalOf(const Measure& m, const Goals& goals) {
  const auto scaled = [&](std::optional<double> value) { return value ? std::optional(*value * m.scale) : std::nullopt; };
  if (m.id == QStringLiteral("size")) return scaled(goals.max_bytes);
  if (m.id == QStringLiteral("kld")) return scaled(goals.max_kld);
  if (m.id == QStringLiteral("first")) return scaled(goals.max_time_to_first_token);
  if (m.id == QStringLiteral("decode")) return scaled(goals.min_decode);
  if (m.id == QStringLiteral("accuracy")) return scaled(goals.min_accuracy);
  return std::nullopt;
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
  m_pool.setMaxThreadCount(1);
  m_stack = new QStackedWidget(this);
  auto* empty = new EmptyState(QStringLiteral("compare"), tr("Which version should you take?"),
                               tr("Here every measured candidate stands side by side: quality, size, speed and memory, with error bars. Run the study to see the first point."), m_stack);
  connect(empty->addButton(tr("Run the study"), QStringLiteral("run")), &QPushButton::clicked, this, [this] {
    services().study.run();
    emit pageWanted(QStringLiteral("run"));
  });
  m_stack->addWidget(empty);

  m_goals = new GoalsBar(this);
  auto* content = new QWidget(m_stack);
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  column->setSpacing(kGap);
  column->addWidget(m_goals);
  auto* split = new QSplitter(Qt::Vertical, content);
  split->setHandleWidth(kGap);
  split->setObjectName(QStringLiteral("cards"));
  split->addWidget(buildCharts());
  m_tabs = new QTabWidget;
  m_tabs->setAccessibleName(tr("Table and linked views"));
  m_tabs->setObjectName(QStringLiteral("lossTabs"));
  m_table = new CompareTable(s);
  m_tabs->addTab(m_table, tr("Table"));
  m_tabs->setCornerWidget(m_table->corner());
  m_views = new LossViews(s, m_tabs);
  split->addWidget(m_tabs);
  split->setStretchFactor(0, 1);
  split->setStretchFactor(1, 1);
  split->setSizes({250, 330});
  split->setChildrenCollapsible(false);
  column->addWidget(split, 1);
  m_stack->addWidget(content);
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->addWidget(m_stack);
  connectParts();
}

ComparePage::~ComparePage() {
  ++*m_newest;
  m_pool.waitForDone();
}

QFrame* ComparePage::chartCard(QWidget* content) {
  auto* box = new QFrame;
  box->setProperty("card", QStringLiteral("true"));
  auto* layout = new QVBoxLayout(box);
  layout->setContentsMargins(1, 1, 1, kGapSmall);
  layout->setSpacing(0);
  layout->addWidget(content, 1);
  return box;
}

QWidget* ComparePage::buildCharts() {
  auto* split = new QSplitter(Qt::Horizontal, this);
  split->setHandleWidth(kGap);
  split->setObjectName(QStringLiteral("cards"));
  m_scatter = new ScatterPlot;
  m_scatterFrame = new ChartFrame(tr("Quality against size"), m_scatter);
  QStringList all;
  for (const Measure& m : measures()) all << m.id;
  m_yChoice = makeChoice(all, tr("Measure of the vertical axis"));
  m_yChoice->setCurrentIndex(static_cast<int>(all.indexOf(QStringLiteral("kld"))));
  m_xChoice = makeChoice(all, tr("Measure of the horizontal axis"));
  m_speedChoice = makeChoice(kSpeeds, tr("Measure of speed"));
  for (QWidget* control : {static_cast<QWidget*>(m_yChoice), static_cast<QWidget*>(makeLabel(tr("against"), Tone::Muted)), static_cast<QWidget*>(m_xChoice)}) m_scatterFrame->addControl(control);
  m_scatterFrame->setTitleShown(false);
  split->addWidget(chartCard(m_scatterFrame));
  m_speed = new BarChart;
  m_speedFrame = new ChartFrame(tr("Speed"), m_speed);
  m_memory = new BarChart;
  m_memory->setParts({tr("weights"), tr("KV cache"), tr("work")});
  m_memory->setMeasure(tr("Memory, MB"));
  m_memory->setNamesShown(false);
  m_memoryFrame = new ChartFrame(tr("Memory"), m_memory);
  auto* both = new QWidget;
  auto* beside = new QHBoxLayout(both);
  beside->setContentsMargins(0, 0, 0, 0);
  beside->setSpacing(0);
  beside->addWidget(m_speedFrame, 11);
  beside->addWidget(m_memoryFrame, 10);
  m_speedFrame->addControl(m_speedChoice);
  m_speedFrame->setTitleShown(false);
  m_speedChoice->setToolTip(tr("Whiskers of the decode rate: tokens from the slow end (p95) to the median"));
  split->addWidget(chartCard(both));
  split->setStretchFactor(0, 1);
  split->setStretchFactor(1, 1);
  split->setSizes({410, 430});
  split->setChildrenCollapsible(false);
  return split;
}

void ComparePage::connectParts() {
  connect(m_goals, &GoalsBar::goalsChanged, this, [this](const Goals& goals) { services().study.setGoals(goals); });
  connect(m_goals, &GoalsBar::recommendedChosen, this, &ComparePage::select);
  for (QComboBox* box : {m_xChoice, m_yChoice}) connect(box, &QComboBox::currentIndexChanged, this, &ComparePage::fillScatter);
  connect(m_speedChoice, &QComboBox::currentIndexChanged, this, &ComparePage::fillBars);
  for (Chart* chart : {static_cast<Chart*>(m_scatter), static_cast<Chart*>(m_speed), static_cast<Chart*>(m_memory)}) {
    connect(chart, &Chart::chosen, this, &ComparePage::select);
    connect(chart, &Chart::pinWanted, this, [this](std::int64_t id) { services().selection.togglePin(id); });
  }
  connect(m_speed, &BarChart::scrolled, m_memory, &BarChart::setScroll);
  connect(m_memory, &BarChart::scrolled, m_speed, &BarChart::setScroll);
  connect(m_table, &CompareTable::chosen, this, &ComparePage::select);
  connect(m_table, &CompareTable::referenceChanged, this, &ComparePage::computeFigures);
  connect(m_views, &LossViews::chosen, this, &ComparePage::select);
  connect(&services().selection, &Selection::candidateChanged, this, &ComparePage::selectionChanged);
  for (ChartFrame* frame : frames())
    connect(frame, &ChartFrame::saveFailed, this, [this](const QString& path) { emit message(tr("%1 could not be written; choose another folder").arg(path)); });
}

std::vector<ChartFrame*> ComparePage::frames() const {
  std::vector<ChartFrame*> all{m_scatterFrame, m_speedFrame, m_memoryFrame};
  for (ChartFrame* frame : m_views->frames()) all.push_back(frame);
  return all;
}

void ComparePage::showPart(const QString& part) {
  if (const int at = m_yChoice->findData(part); at >= 0) m_yChoice->setCurrentIndex(at);
  if (part == QStringLiteral("table")) m_tabs->setCurrentWidget(m_table);
  if (QWidget* tab = m_views->tab(part); tab && m_tabs->isTabVisible(m_tabs->indexOf(tab))) m_tabs->setCurrentWidget(tab);
}

void ComparePage::select(std::int64_t id) { services().selection.setCandidate(id); }

void ComparePage::selectionChanged(std::int64_t id) {
  for (Chart* chart : {static_cast<Chart*>(m_scatter), static_cast<Chart*>(m_speed), static_cast<Chart*>(m_memory)}) chart->setSelected(id);
  m_table->setSelected(id);
  m_views->setSelected(id);
}

void ComparePage::setSnapshot(const SnapshotPtr& snapshot) {
  const bool any = snapshot && std::any_of(snapshot->candidates.begin(), snapshot->candidates.end(), measured);
  m_stack->setCurrentIndex(any ? 1 : 0);
  if (!any) {
    m_snapshot.reset();
    m_shown.clear();
    m_steps.clear();
    return;
  }
  const QString now = contents(*snapshot);
  if (now == m_shown) return;
  m_shown = now;
  m_snapshot = snapshot;
  showSnapshot();
}

void ComparePage::later(std::function<void()> step) {
  m_steps.push_back(std::move(step));
  if (!std::exchange(m_scheduled, true)) QTimer::singleShot(0, this, &ComparePage::nextStep);
}

void ComparePage::nextStep() {
  m_scheduled = false;
  if (m_steps.empty()) return;
  const auto step = std::move(m_steps.front());
  m_steps.pop_front();
  step();
  if (!m_steps.empty() && !std::exchange(m_scheduled, true)) QTimer::singleShot(0, this, &ComparePage::nextStep);
}

void ComparePage::finishSteps() {
  while (!m_steps.empty()) nextStep();
}

// Axes and bars of what was measured: of a classifier right answers against size, and the time of one text.
void ComparePage::offerMeasures() {
  QStringList all;
  for (const Measure& m : measures()) all << m.id;
  offerMeasured(m_yChoice, *m_snapshot, all, {QStringLiteral("kld"), QStringLiteral("accuracy")});
  offerMeasured(m_xChoice, *m_snapshot, all, {QStringLiteral("size")});
  offerMeasured(m_speedChoice, *m_snapshot, kSpeeds, {QStringLiteral("decode"), QStringLiteral("p50"), QStringLiteral("prefill")});
}

void ComparePage::showSnapshot() {
  m_steps.clear();
  offerMeasures();
  m_table->setSnapshot(m_snapshot);
  later([this] { m_goals->setSnapshot(*m_snapshot); });
  later([this] { fillScatter(); });
  later([this] { fillBars(); });
  later([this] {
    m_views->setSnapshot(m_snapshot);
    QStringList texts;
    for (const DataInfo& set : m_snapshot->data)
      if (set.role == DataRole::kEvaluation) texts << toQString(set.name);
    const QString provenance = tr("%1 · %2 · %3 · %4 · Retort %5")
                                   .arg(toQString(m_snapshot->name), texts.join(QStringLiteral(", ")), toQString(m_snapshot->device),
                                        QDate::currentDate().toString(Qt::ISODate), toQString(kVersion));
    for (ChartFrame* frame : frames()) frame->setProvenance(provenance);
  });
  later([this] {
    const auto selected = services().selection.candidate();
    const bool known = selected && m_table->model().rowOf(*selected) >= 0;
    const std::int64_t id = known ? *selected : m_snapshot->recommendation.candidate.value_or(m_snapshot->candidates.front().id);
    if (selected == id) selectionChanged(id);
    else select(id);
  });
  computeFigures();
}

void ComparePage::computeFigures() {
  if (!m_snapshot) return;
  const quint64 request = ++*m_newest;
  ++m_computing;
  m_pool.start([this, request, newest = m_newest, snapshot = m_snapshot, reference = m_table->reference()] {
    const auto stale = [&] { return *newest != request; };
    auto figures = std::make_shared<const CompareFigures>(stale() ? CompareFigures{} : compareFigures(*snapshot, reference, stale));
    QMetaObject::invokeMethod(this, [this, request, figures] {
      --m_computing;
      if (request != *m_newest) return;
      later([this, figures] { m_table->setFigures(*figures); });
      later([this, figures] { m_views->setFigures(*figures); });
    }, Qt::QueuedConnection);
  });
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
    points.push_back({c.id, shortName(*m_snapshot, c), std::max(0, m_table->model().rowOf(c.id)), x->value, x->low, x->high, y->value, y->low, y->high, false, hoverOf(c, {mx.id, my.id, QStringLiteral("size"), QStringLiteral("bpw")})});
    values.push_back({c.id, {mx.lowerIsBetter ? x->value : -x->value, my.lowerIsBetter ? y->value : -y->value}});
  }
  std::vector<std::int64_t> front = pareto_front(values);
  for (PlotPoint& point : points) point.dominated = std::find(front.begin(), front.end(), point.id) == front.end();
  if (!mx.lowerIsBetter) std::reverse(front.begin(), front.end());
  PlotAxis x{mx.axisTitle(), mx.logarithmic, mx.scale, goalOf(mx, m_snapshot->goals), !mx.lowerIsBetter};
  PlotAxis y{my.axisTitle(), my.logarithmic, my.scale, goalOf(my, m_snapshot->goals), !my.lowerIsBetter};
  m_scatterFrame->setTitle(tr("%1 against %2").arg(my.title, mx.title.toLower()));
  m_scatter->setAxes(x, y);
  m_scatter->setPoints(std::move(points), std::move(front));
}

namespace {

// The same candidate on the study's GPU, right below its bar of the processor.
BarRow gpuBar(const BarRow& processor, const Measure& speed, const CandidateInfo& candidate) {
  BarRow row{processor.id, processor.series, ComparePage::tr("%1 · GPU").arg(processor.name), {}, 0, 0, {}, QStringLiteral("–"), toQString(candidate.device_bench->device)};
  CandidateInfo onDevice;
  onDevice.bench = candidate.device_bench;
  if (const auto figure = speed.figure(onDevice)) {
    row.parts = {figure->value * speed.scale};
    row.text = significant(figure->value * speed.scale, 3);
  }
  return row;
}

BarRow gpuMemoryBar(const BarRow& processor, const CandidateInfo& candidate) {
  const MemoryByPart& parts = candidate.device_bench->memory;
  BarRow row{processor.id, processor.series, ComparePage::tr("%1 · GPU").arg(processor.name), {}, 0, 0, {}, significant(static_cast<double>(parts.total()) * 1e-6, 3), QString()};
  row.parts = {static_cast<double>(parts.weights) * 1e-6, static_cast<double>(parts.kv_cache) * 1e-6, static_cast<double>(parts.work_space) * 1e-6};
  row.hover = ComparePage::tr("on the GPU: weights %1 · KV cache %2 · work space %3")
                  .arg(bytesQuantity(parts.weights).text(), bytesQuantity(parts.kv_cache).text(), bytesQuantity(parts.work_space).text());
  return row;
}

}  // namespace

void ComparePage::fillBars() {
  if (!m_snapshot) return;
  const Measure& speed = measure(m_speedChoice->currentData().toString());
  std::vector<BarRow> speeds, memories;
  for (const CandidateInfo& c : m_snapshot->candidates) {
    if (!c.chosen && !measured(c)) continue;
    const int series = std::max(0, m_table->model().rowOf(c.id));
    const auto figure = speed.figure(c);
    BarRow row{c.id, series, shortName(*m_snapshot, c), {}, 0, 0, {}, QStringLiteral("–"), hoverOf(c, kSpeeds)};
    if (figure) {
      row.parts = {figure->value * speed.scale};
      row.text = significant(figure->value * speed.scale, 3);
      // The spread of single tokens: from the slow end (p95) to the median, as a rate.
      if (speed.id == QStringLiteral("decode") && c.bench && c.bench->p95 > 0) row.low = 1 / c.bench->p95, row.high = 1 / c.bench->p50;
    }
    speeds.push_back(row);
    BarRow memory{c.id, series, shortName(*m_snapshot, c), {}, 0, 0, {}, QStringLiteral("–"), QString()};
    if (c.bench) {
      const MemoryByPart& parts = c.bench->memory;
      memory.parts = {static_cast<double>(parts.weights) * 1e-6, static_cast<double>(parts.kv_cache) * 1e-6, static_cast<double>(parts.work_space) * 1e-6};
      memory.text = significant(static_cast<double>(parts.total()) * 1e-6, 3);
      memory.hover = tr("weights %1 · KV cache %2 · work space %3 · peak of the process %4")
                         .arg(bytesQuantity(parts.weights).text(), bytesQuantity(parts.kv_cache).text(), bytesQuantity(parts.work_space).text(), bytesQuantity(c.bench->peak_memory_bytes).text());
    }
    const BarRow onProcessor = speeds.back();
    if (c.device_bench) speeds.push_back(gpuBar(onProcessor, speed, c));
    if (c.predicted_memory) memory.marker = static_cast<double>(c.predicted_memory) * 1e-6;
    memories.push_back(memory);
    if (c.device_bench) memories.push_back(gpuMemoryBar(memory, c));
  }
  m_speedFrame->setTitle(speed.axisTitle());
  m_speed->setMeasure(speed.axisTitle());
  m_speed->setRows(std::move(speeds));
  m_memoryFrame->setTitle(tr("Memory, MB"));
  m_memoryFrame->setToolTip(tr("Dotted: predicted before the measurement"));
  m_memory->setRows(std::move(memories));
}

QStringList ComparePage::saveCharts(const QString& folder) {
  finishSteps();
  if (m_computing > 0) {
    m_pool.waitForDone();
    QCoreApplication::sendPostedEvents(this, QEvent::MetaCall);
    finishSteps();
  }
  m_tabs->setCurrentWidget(m_views->tab(QStringLiteral("layers")));
  QStringList failed;
  const char* const names[] = {"quality-size", "speed", "memory", "staircase", "damage-by-layer", "damage-by-difficulty", "stages"};
  const std::vector<ChartFrame*> charts = frames();
  for (std::size_t i = 0; i < charts.size(); ++i)
    for (const char* suffix : {"png", "svg", "csv"}) {
      const QString path = QDir(folder).filePath(QStringLiteral("%1.%2").arg(QString::fromLatin1(names[i]), QString::fromLatin1(suffix)));
      if (!charts[i]->save(path)) failed << path;
    }
  return failed;
}

}  // namespace retort::ui
