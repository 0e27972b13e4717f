#include "ui/pages/model/graph_view.h"

#include <QFileInfo>
#include <QHeaderView>
#include <QLabel>
#include <QRegularExpression>
#include <QSortFilterProxyModel>
#include <QTabBar>
#include <QTabWidget>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/pages/model/colour_bar.h"
#include "ui/pages/model/compare_view.h"
#include "ui/pages/model/graph_map.h"
#include "ui/pages/model/tensors_view.h"
#include "ui/services/selection.h"
#include "ui/widgets/basics.h"
#include "ui/widgets/table.h"

namespace retort::ui {
namespace {

constexpr qsizetype kMostPorts = 4;   // inputs or outputs in the header's line

// Sizes without the long names that exporters make up for open ones.
QString sizes(const onnx::ValueInfo& info) {
  static const QRegularExpression madeUp(QStringLiteral("[^ ×]{13,}"));
  return info.has_shape ? toQString(onnx::dimensions(info)).replace(madeUp, QStringLiteral("?")) : toQString(onnx::dimensions(info));
}

template <class Ports>
QString ports(const Ports& values) {
  QStringList texts;
  for (const auto& value : values) {
    const onnx::ValueInfo* info;
    if constexpr (std::is_pointer_v<std::decay_t<decltype(value)>>) info = value;
    else info = &value;
    if (texts.size() == kMostPorts) {
      texts << GraphView::tr("%n more", nullptr, static_cast<int>(values.size() - static_cast<std::size_t>(kMostPorts)));
      break;
    }
    texts << QStringLiteral("%1 %2 [%3]").arg(toQString(info->name).toHtmlEscaped(), toQString(onnx::traits(info->type).plain), sizes(*info).toHtmlEscaped());
  }
  return texts.join(QStringLiteral(", "));
}

}  // namespace

GraphView::GraphView(Services& services, QWidget* parent) : QWidget(parent), m_services(services) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, kGapLarge, 0, 0);
  column->setSpacing(kGap);
  column->addWidget(buildHeader());
  m_tabs = new QTabWidget;
  m_tabs->setAccessibleName(tr("Views of the graph"));
  m_tabs->setObjectName(QStringLiteral("modelTabs"));
  m_tabs->setDocumentMode(true);
  m_tabs->tabBar()->setDrawBase(false);
  m_map = new GraphMap(services.selection);
  m_colours = new ColourBar;
  auto* mapBox = new QWidget;
  auto* mapColumn = new QVBoxLayout(mapBox);
  mapColumn->setContentsMargins(kGapSmall, kGapSmall, kGapSmall, kGapSmall);
  mapColumn->addWidget(m_colours);
  mapColumn->addWidget(m_map, 1);
  m_tabs->addTab(mapBox, tr("Map"));
  m_tensors = new TensorsView(services.selection, true);
  m_tabs->addTab(m_tensors, tr("Weights"));
  m_operators = new OperatorModel(this);
  auto* sorted = new QSortFilterProxyModel(this);
  sorted->setSourceModel(m_operators);
  sorted->setSortRole(kSortRole);
  m_table = new TableView(tr("Operators"));
  m_table->setModel(sorted);
  m_table->setSortingEnabled(true);
  m_table->horizontalHeader()->setSortIndicatorClearable(true);
  m_table->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  m_table->setWidths({220, 80, 100, 0});
  auto* tableBox = new QWidget;
  auto* tableColumn = new QVBoxLayout(tableBox);
  tableColumn->setContentsMargins(kGapLarge, kGap, kGapLarge, kGapLarge);
  tableColumn->addWidget(m_table);
  m_tabs->addTab(tableBox, tr("Operators"));
  m_compare = new CompareView;
  m_tabs->addTab(m_compare, tr("Compare"));
  column->addWidget(m_tabs, 1);
  connect(m_colours, &ColourBar::changed, this, [this](LayerMap::Colouring colouring) {
    m_map->setColouring(colouring);
    if (colouring == LayerMap::Colouring::Outliers) m_services.model.requestOutliers();
  });
  connect(&services.model, &ModelService::graphChanged, this, &GraphView::refresh);
  connect(&services.model, &ModelService::outliersChanged, this, [this] {
    if (m_services.model.graph()) m_map->setOutliers(m_services.model.outliers());
  });
  refresh();
}

QWidget* GraphView::buildHeader() {
  auto* header = new QWidget;
  auto* outer = new QVBoxLayout(header);
  outer->setContentsMargins(kGapLarge, 0, kGapLarge, 0);
  outer->setSpacing(kGap);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGap);
  auto* texts = new QVBoxLayout;
  texts->setSpacing(2);
  m_name = makeHeading({});
  QFont large = Theme::instance().font(Theme::Size::Body, true);
  large.setPointSizeF(large.pointSizeF() > 0 ? large.pointSizeF() * 1.25 : 15);
  m_name->setFont(large);
  m_facts = makeLabel({}, Tone::Muted);
  m_facts->setWordWrap(true);
  m_ports = makeLabel({}, Tone::Muted);
  m_ports->setWordWrap(true);
  m_ports->setTextFormat(Qt::RichText);
  for (QLabel* label : {m_name, m_facts, m_ports}) texts->addWidget(label);
  line->addLayout(texts, 1);
  m_close = makeButton(tr("Back to the model"));
  connect(m_close, &QPushButton::clicked, &m_services.model, &ModelService::closeGraph);
  line->addWidget(m_close, 0, Qt::AlignTop);
  QPushButton* other = makeButton(tr("Open another …"), QStringLiteral("file"));
  connect(other, &QPushButton::clicked, this, &GraphView::openWanted);
  line->addWidget(other, 0, Qt::AlignTop);
  outer->addLayout(line);
  m_problem = new Notice;
  m_state = new Notice;
  outer->addWidget(m_problem);
  outer->addWidget(m_state);
  return header;
}

void GraphView::setCanClose(bool can) { m_close->setVisible(can); }

void GraphView::showPart(const QString& part) {
  if (part == QStringLiteral("map")) m_tabs->setCurrentIndex(0);
  if (part == QStringLiteral("outliers")) {
    m_tabs->setCurrentIndex(0);
    m_colours->setColouring(LayerMap::Colouring::Outliers);
  }
  if (part == QStringLiteral("tensors")) m_tabs->setCurrentIndex(1);
  if (part == QStringLiteral("operators")) m_tabs->setCurrentIndex(2);
  if (part == QStringLiteral("compare")) m_tabs->setCurrentWidget(m_compare);
}

void GraphView::refresh() {
  const LoadedGraphPtr graph = m_services.model.graph();
  const QString path = m_services.model.graphPath();
  m_name->setText(QFileInfo(path).fileName());
  m_map->setGraph(graph);
  m_compare->setGraph(graph ? path : QString(), graph && graph->summary.problems.empty());
  m_tensors->setTensors(graph ? graph->tensors : std::vector<TensorRow>());
  m_operators->setRows(graph ? operatorRows(graph->summary) : std::vector<OperatorRow>());
  if (const auto failure = m_services.model.graphFailure()) m_problem->showFailure(*failure);
  else m_problem->hide();
  m_state->hide();
  m_facts->clear();
  m_ports->clear();
  if (!graph) return;
  const onnx::Summary& found = graph->summary;
  QStringList facts{QStringLiteral("ONNX"), tr("IR version %1").arg(graph->file->ir_version)};
  for (const onnx::OperatorSet& set : graph->file->operator_sets)
    facts << tr("%1 operator set %2").arg(set.domain.empty() ? QStringLiteral("ai.onnx") : toQString(set.domain).toHtmlEscaped()).arg(set.version);
  if (!graph->file->producer.empty()) facts << tr("by %1").arg(toQString(graph->file->producer).toHtmlEscaped());
  facts << tr("%1 parameters").arg(richQuantity(countQuantity(static_cast<double>(found.parameters)))) << richQuantity(bytesQuantity(found.bytes));
  if (found.parameters > 0) facts << tr("%1 bits per weight").arg(significant(8.0 * static_cast<double>(found.bytes) / static_cast<double>(found.parameters), 3));
  facts << tr("%1 nodes").arg(integer(static_cast<std::int64_t>(graph->file->graph.nodes.size()))) << (found.quantized ? tr("already quantized (INT8)") : tr("not quantized"));
  m_facts->setText(facts.join(QStringLiteral("&nbsp;&nbsp;·&nbsp; ")).replace(QChar(0x202f), QChar(0x00a0)));
  m_facts->setToolTip(path);
  m_ports->setText(QStringLiteral("%1 &nbsp;→&nbsp; %2").arg(ports(found.inputs), ports(graph->file->graph.outputs)));
  refreshNotice(*graph);
  if (m_colours->colouring() == LayerMap::Colouring::Outliers) m_services.model.requestOutliers();
}

void GraphView::refreshNotice(const LoadedGraph& graph) {
  const auto& problems = graph.summary.problems;
  if (problems.empty()) {
    m_state->showText(Notice::Kind::Good, tr("Retort runs this graph. Compare puts it beside its INT8, on inputs of yours."));
    return;
  }
  QStringList details;
  for (const onnx::Problem& problem : problems) details << failureOf(problem.error).text;
  m_state->showText(Notice::Kind::Warn, tr("Retort can't run this graph: %1").arg(details.front()), details.join(QLatin1Char('\n')));
}

}  // namespace retort::ui
