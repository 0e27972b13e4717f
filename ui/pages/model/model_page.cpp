#include "ui/pages/model/model_page.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QSlider>
#include <QStackedLayout>
#include <QTabBar>
#include <QTabWidget>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "ui/format.h"
#include "ui/pages/model/colour_bar.h"
#include "ui/pages/model/config_view.h"
#include "ui/pages/model/graph_view.h"
#include "ui/pages/model/layer_map.h"
#include "ui/pages/model/levels_strip.h"
#include "ui/pages/model/tensors_view.h"
#include "ui/pages/model/text_view.h"
#include "ui/services/selection.h"
#include "ui/services/study_service.h"
#include "ui/settings.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

constexpr std::uint64_t kGigabyte = 1000ull * 1000 * 1000;
constexpr int kShortest = 8;   // the slider's steps are powers of two from 2⁸

}  // namespace

ModelPage::ModelPage(Services& services, QWidget* parent) : Page(services, parent) {
  m_pool.setMaxThreadCount(1);
  m_stack = new QStackedLayout(this);
  m_empty = new EmptyState(QStringLiteral("model"), tr("No model yet"),
                           tr("Here you see what a model is made of, how small every level would make it and where that fits. "
                              "Drop a GGUF file, a model folder or an ONNX graph on the window."));
  connect(m_empty->addButton(tr("Open a model …"), QStringLiteral("file")), &QPushButton::clicked, this, &ModelPage::askModel);
  m_stack->addWidget(m_empty);
  auto* body = new QWidget;
  auto* column = new QVBoxLayout(body);
  column->setContentsMargins(0, kGapLarge, 0, 0);
  column->setSpacing(kGap);
  column->addWidget(buildHeader());
  column->addWidget(buildTabs(), 1);
  m_stack->addWidget(body);
  m_graph = new GraphView(services);
  connect(m_graph, &GraphView::openWanted, this, &ModelPage::askModel);
  m_stack->addWidget(m_graph);

  m_later = new QTimer(this);
  m_later->setSingleShot(true);
  m_later->setInterval(80);
  connect(m_later, &QTimer::timeout, this, [this] {
    this->services().model.requestMemory(context(), m_snapshot ? m_snapshot->threads : 0);
    Settings::setValue(Setting::ModelContext, static_cast<int>(context()));
  });
  connect(m_context, &QSlider::valueChanged, this, &ModelPage::refreshContext);
  connect(&services.model, &ModelService::loadedChanged, this, &ModelPage::refreshModel);
  connect(&services.model, &ModelService::memoryReady, this, [this](std::int64_t at, const MemoryByPart& memory) {
    if (at == context()) m_levels->setMemory(memory);
  });
  connect(&services.model, &ModelService::graphChanged, this, &ModelPage::refreshStack);
  connect(&services.model, &ModelService::outliersChanged, this, [this] {
    if (!this->services().model.graph()) m_map->setOutliers(this->services().model.outliers());
  });
  describeMachine();
  refreshModel();
}

ModelPage::~ModelPage() { m_pool.waitForDone(); }

QWidget* ModelPage::buildTabs() {
  m_tabs = new QTabWidget;
  m_tabs->setAccessibleName(tr("Views of the model"));
  m_tabs->setObjectName(QStringLiteral("modelTabs"));
  m_tabs->setDocumentMode(true);
  m_tabs->tabBar()->setDrawBase(false);
  m_map = new LayerMap(services().selection);
  m_tensors = new TensorsView(services().selection);
  auto* mapBox = new QWidget;
  auto* mapColumn = new QVBoxLayout(mapBox);
  mapColumn->setContentsMargins(kGapSmall, kGapSmall, kGapSmall, kGapSmall);
  m_colours = new ColourBar;
  mapColumn->addWidget(m_colours);
  mapColumn->addWidget(m_map, 1);
  m_tabs->addTab(mapBox, tr("Map"));
  m_tabs->addTab(m_tensors, tr("Tensors"));
  m_config = new ConfigView;
  m_tabs->addTab(m_config, tr("Configuration"));
  m_text = new TextView(services().model);
  m_tabs->addTab(m_text, tr("Text"));
  connect(m_colours, &ColourBar::changed, this, [this](LayerMap::Colouring colouring) {
    m_map->setColouring(colouring);
    if (colouring == LayerMap::Colouring::Outliers) services().model.requestOutliers();
  });
  return m_tabs;
}

QWidget* ModelPage::buildHeader() {
  auto* header = new QWidget;
  auto* outer = new QVBoxLayout(header);
  outer->setContentsMargins(kGapLarge, 0, kGapLarge, 0);
  outer->setSpacing(kGap);
  auto* line = new QHBoxLayout;
  line->setSpacing(kGapLarge);
  auto* texts = new QVBoxLayout;
  texts->setSpacing(2);
  m_name = makeHeading({});
  QFont large = Theme::instance().font(Theme::Size::Body, true);
  large.setPointSizeF(large.pointSizeF() > 0 ? large.pointSizeF() * 1.25 : 15);
  m_name->setFont(large);
  m_facts = makeLabel({}, Tone::Muted);
  m_facts->setWordWrap(true);
  texts->addWidget(m_name);
  texts->addWidget(m_facts);
  line->addLayout(texts, 1);
  QPushButton* other = makeButton(tr("Open another …"), QStringLiteral("file"));
  line->addWidget(other, 0, Qt::AlignTop);
  connect(other, &QPushButton::clicked, this, &ModelPage::askModel);
  outer->addLayout(line);
  m_quantized = new Notice;
  m_problem = new Notice;
  outer->addWidget(m_problem);
  outer->addWidget(m_quantized);
  auto* card = new QFrame;
  card->setProperty("card", "true");
  auto* inside = new QVBoxLayout(card);
  inside->setContentsMargins(kGapLarge, kGap, kGapLarge, kGap);
  inside->setSpacing(kGapSmall);
  auto* contextRow = new QHBoxLayout;
  contextRow->addWidget(makeHeading(tr("What each level makes of it")));
  contextRow->addStretch();
  contextRow->addWidget(makeLabel(tr("at a context of"), Tone::Muted));
  m_context = new QSlider(Qt::Horizontal);
  m_context->setAccessibleName(tr("Context in tokens"));
  m_context->setRange(kShortest, 15);
  m_context->setPageStep(1);
  m_context->setFixedWidth(140);
  contextRow->addWidget(m_context);
  m_contextLabel = makeLabel({});
  m_contextLabel->setMinimumWidth(96);
  contextRow->addWidget(m_contextLabel);
  inside->addLayout(contextRow);
  m_levels = new LevelsStrip;
  inside->addWidget(m_levels);
  outer->addWidget(card);
  const int stored = Settings::value(Setting::ModelContext).toInt();
  m_context->setValue(static_cast<int>(std::lround(std::log2(std::max(stored, 256)))));
  return header;
}

PageStatus ModelPage::status(const StudySnapshot* study) {
  if (!study || !study->source) return {PageState::Empty, tr("no model yet")};
  if (study->source->quantized) return {PageState::Ready, tr("already quantized: %1").arg(QString::fromStdString(*study->source->quantized))};
  return {PageState::Ready, QString::fromStdString(study->source->name)};
}

std::int64_t ModelPage::context() const { return std::int64_t{1} << m_context->value(); }

void ModelPage::setSnapshot(const SnapshotPtr& snapshot) {
  m_snapshot = snapshot;
  refreshStack();
  refreshHeader();
}

// A model is shown as soon as it is open, before a study has taken it in.
void ModelPage::refreshStack() {
  const ModelService& model = services().model;
  const bool any = (m_snapshot && m_snapshot->source) || !model.path().isEmpty();
  m_graph->setCanClose(any);
  m_stack->setCurrentIndex(!model.graphPath().isEmpty() ? 2 : any ? 1 : 0);
}

void ModelPage::showPart(const QString& part) {
  m_graph->showPart(part);
  if (part == QStringLiteral("map")) m_tabs->setCurrentIndex(0);
  if (part == QStringLiteral("tensors")) m_tabs->setCurrentWidget(m_tensors);
  if (part == QStringLiteral("outliers")) {
    m_tabs->setCurrentIndex(0);
    m_colours->setColouring(LayerMap::Colouring::Outliers);
  }
  if (part == QStringLiteral("configuration")) m_tabs->setCurrentWidget(m_config);
  if (part == QStringLiteral("text")) m_tabs->setCurrentWidget(m_text);
}

void ModelPage::refreshHeader() {
  const LoadedModelPtr loaded = services().model.loaded();
  const QString path = services().model.path();
  // The study's words where it has this model as its source; before that, what the file says.
  const SourceInfo* source = m_snapshot && m_snapshot->source && (path.isEmpty() || path == QString::fromStdU16String(m_snapshot->source->path.u16string())) ? &*m_snapshot->source : nullptr;
  const QString file = source ? QString::fromStdU16String(source->path.filename().u16string()) : QFileInfo(path).fileName();
  const Model* model = loaded ? loaded->model.get() : nullptr;
  const auto text = [](const std::string& value) { return QString::fromStdString(value).toHtmlEscaped(); };
  m_name->setText(source ? QString::fromStdString(source->name) : model && !model->config.name.empty() ? QString::fromStdString(model->config.name) : file);
  QStringList facts{file.toHtmlEscaped()};
  if (source || model) {
    const std::int64_t parameters = source ? source->parameters : model->parameters();
    const double bits = source ? source->bits_per_weight : 8.0 * static_cast<double>(model->weight_bytes()) / static_cast<double>(std::max<std::int64_t>(parameters, 1));
    facts << text(source ? source->architecture : model->config.architecture) << tr("%1 parameters").arg(richQuantity(countQuantity(static_cast<double>(parameters))))
          << richQuantity(bytesQuantity(source ? source->bytes : model->checkpoint->tensor_bytes())) << tr("%1 bits per weight").arg(significant(bits, 3));
  } else if (services().model.isLoading()) {
    facts << tr("opening …");
  }
  if (model) {
    const ModelConfig& config = model->config;
    facts << (model->checkpoint->format == CheckpointFormat::kGguf ? QStringLiteral("GGUF") : model->checkpoint->format == CheckpointFormat::kPyTorch ? QStringLiteral("PyTorch") : QStringLiteral("safetensors"));
    facts << tr("%1 layers of %2").arg(config.layers).arg(integer(config.hidden));
    if (config.context > 0) facts << tr("trained on %1 tokens of context").arg(integer(config.context));
  }
  if (source || model) {
    const std::string& licence = source ? source->licence : model->config.licence;
    facts << (licence.empty() ? tr("licence not stated") : tr("licence %1").arg(text(licence)));
  }
  // Rich text breaks at narrow spaces; at these it does not.
  m_facts->setText(facts.join(QStringLiteral("&nbsp;&nbsp;·&nbsp; ")).replace(QChar(0x202f), QChar(0x00a0)));
  m_facts->setToolTip(path);
  if (source && source->quantized) {
    m_quantized->showText(Notice::Kind::Warn,
                          tr("This source is already quantized (%1). Its expansion to 16 bits is taken as the original, and the file "
                             "itself is a candidate: making it smaller again loses what its own grid has not lost yet.")
                              .arg(QString::fromStdString(*source->quantized)));
  } else {
    m_quantized->hide();
  }
}

void ModelPage::refreshModel() {
  const LoadedModelPtr loaded = services().model.loaded();
  // Planned levels come later, for tensors that are shown already: their search, selection and outliers stay.
  if (const auto model = loaded ? loaded->model : nullptr; model != m_shown || !model) {
    m_shown = model;
    m_map->setTensors(loaded ? loaded->tensors : std::vector<TensorRow>());
    m_tensors->setTensors(loaded ? loaded->tensors : std::vector<TensorRow>());
    m_config->setEntries(loaded ? loaded->config : std::vector<ConfigEntry>());
    m_map->setOutliers({});
  }
  if (loaded && m_colours->colouring() == LayerMap::Colouring::Outliers && services().model.graphPath().isEmpty()) {
    services().model.requestOutliers();
    m_map->setOutliers(services().model.outliers());
  }
  m_levels->setLevels(loaded ? loaded->levels : std::vector<LevelRow>());
  if (const auto failure = services().model.failure())
    m_problem->showFailure(*failure);
  else
    m_problem->hide();
  if (loaded) {
    const std::int64_t longest = loaded->model->config.context;
    m_context->setMaximum(std::clamp(static_cast<int>(std::lround(std::log2(static_cast<double>(std::max<std::int64_t>(longest, 512))))), kShortest + 1, 20));
  }
  refreshStack();
  refreshHeader();
  refreshContext();
}

void ModelPage::refreshContext() {
  m_contextLabel->setText(tr("%1 tokens").arg(integer(context())));
  m_later->start();
}

void ModelPage::describeMachine() {
  // What remains for a model beside the system and its programs; this machine says it itself.
  std::vector<Machine> machines{{tr("this machine"), 0}, {tr("8 GB laptop"), 5 * kGigabyte}, {tr("6 GB phone"), 5 * kGigabyte / 2}};
  m_levels->setMachines(machines);
  const auto describe = services().study.api().describeHardware;
  if (!describe) return;
  m_pool.start([this, describe, machines]() mutable {
    machines[0].available = describe().free_memory_bytes;
    QMetaObject::invokeMethod(this, [this, machines] { m_levels->setMachines(machines); }, Qt::QueuedConnection);
  });
}

void ModelPage::askModel() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open a model"), Settings::value(Setting::LastFolder).toString(),
                                                    tr("Models (*.gguf *.safetensors *.onnx);;All files (*)"));
  if (path.isEmpty()) return;
  Settings::setValue(Setting::LastFolder, QFileInfo(path).absolutePath());
  if (ModelService::isGraph(path)) return services().model.showGraph(path);
  services().model.preview(path);
  if (m_snapshot && !m_snapshot->source)
    services().study.setSource(path);
  else
    services().study.createFromModel(path);
}

}  // namespace retort::ui
