#include "ui/pages/recipes/level_card.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHeaderView>
#include <QRegularExpression>
#include <QTableWidget>
#include <QTimer>
#include <QVBoxLayout>

#include "core/quantize/quantizer.h"
#include "ui/format.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {

// A labelled control with one muted line of explanation.
QVBoxLayout* field(const QString& name, QWidget* control, QLabel* help = nullptr) {
  auto* column = new QVBoxLayout;
  column->setSpacing(2);
  QLabel* label = makeLabel(name, Tone::Muted, Theme::Size::Small);
  label->setBuddy(control);
  column->addWidget(label);
  column->addWidget(control);
  if (help) column->addWidget(help);
  return column;
}

}  // namespace

LevelCard::LevelCard(StudyService& study, ModelService& model, QWidget* parent) : QWidget(parent), m_study(study), m_model(model) {
  m_pool.setMaxThreadCount(1);
  build();
  m_later = new QTimer(this);
  m_later->setSingleShot(true);
  m_later->setInterval(200);
  connect(m_later, &QTimer::timeout, this, &LevelCard::requestPlan);
  connect(&model, &ModelService::loadedChanged, m_later, qOverload<>(&QTimer::start));
}

LevelCard::~LevelCard() { m_pool.waitForDone(); }

void LevelCard::build() {
  auto* outer = new QVBoxLayout(this);
  outer->setContentsMargins(0, 0, 0, 0);
  outer->setSpacing(kGap);
  auto* card = new QFrame;
  card->setProperty("card", "raised");
  outer->addWidget(card);
  auto* column = new QVBoxLayout(card);
  column->setContentsMargins(kGap, kGap, kGap, kGap);
  column->setSpacing(kGap);
  column->addWidget(makeHeading(tr("1 · Quantize")));
  m_level = new QComboBox;
  m_level->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_level->setAccessibleName(tr("Level"));
  m_level->setPlaceholderText(tr("as the source is stored"));
  if (m_study.api().levels)
    for (const Level& level : m_study.api().levels())
      m_level->addItem(QStringLiteral("%1 · %2").arg(toQString(level.plain), toQString(level.id)), toQString(level.id));
  m_explanation = makeLabel({}, Tone::Muted, Theme::Size::Small);
  m_explanation->setWordWrap(true);
  m_activations = new QComboBox;
  m_activations->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_activations->setAccessibleName(tr("Activations"));
  m_activations->addItem(tr("8-bit per block · q8 (fast)"), QStringLiteral("q8"));
  m_activations->addItem(tr("32-bit · f32 (exact)"), QStringLiteral("f32"));
  auto* both = new QHBoxLayout;
  both->setSpacing(kGapLarge);
  both->addLayout(field(tr("Level"), m_level), 1);
  both->addLayout(field(tr("Runs with activations"), m_activations), 1);
  column->addLayout(both);
  column->addWidget(m_explanation);
  m_importance = new QCheckBox(tr("Importance matrix"));
  m_importance->setToolTip(tr("Made from the calibration text: weighs each column's error by how strongly the text excites it"));
  column->addWidget(m_importance);

  auto* head = new QHBoxLayout;
  QLabel* patterns = makeLabel(tr("Types by pattern"), Tone::Muted, Theme::Size::Small);
  patterns->setToolTip(tr("The first pattern that matches a tensor's name decides"));
  head->addWidget(patterns, 1);
  auto* add = makeToolButton(QStringLiteral("plus"), tr("Add a pattern"));
  auto* remove = makeToolButton(QStringLiteral("trash"), tr("Remove the pattern"));
  head->addWidget(add);
  head->addWidget(remove);
  column->addLayout(head);
  m_overrides = new QTableWidget(0, 2);
  m_overrides->setAccessibleName(tr("Types by pattern"));
  m_overrides->setHorizontalHeaderLabels({tr("Tensors that match"), tr("Type")});
  m_overrides->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
  m_overrides->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  m_overrides->setColumnWidth(1, 100);
  m_overrides->verticalHeader()->hide();
  m_overrides->verticalHeader()->setDefaultSectionSize(kRowHeight + 2);
  m_overrides->setShowGrid(false);
  m_overrides->setMinimumHeight(86);
  m_overrides->setMaximumHeight(180);
  column->addWidget(m_overrides, 1);
  m_plan = makeLabel({}, Tone::Normal);
  m_plan->setWordWrap(true);
  outer->addWidget(m_plan);
  outer->addStretch(1);

  connect(m_level, &QComboBox::currentIndexChanged, this, &LevelCard::takeCard);
  connect(m_activations, &QComboBox::currentIndexChanged, this, &LevelCard::takeCard);
  connect(m_importance, &QCheckBox::toggled, this, &LevelCard::takeCard);
  connect(m_overrides, &QTableWidget::itemChanged, this, &LevelCard::takeCard);
  connect(add, &QToolButton::clicked, this, [this] {
    addOverride(QStringLiteral("ffn_down"), QStringLiteral("Q8_0"));
    takeCard();
    m_overrides->editItem(m_overrides->item(m_overrides->rowCount() - 1, 0));
  });
  connect(remove, &QToolButton::clicked, this, [this] {
    if (const int row = m_overrides->currentRow(); row >= 0) m_overrides->removeRow(row);
    takeCard();
  });
}

void LevelCard::addOverride(const QString& pattern, const QString& type) {
  const bool wasFilling = std::exchange(m_filling, true);
  const int row = m_overrides->rowCount();
  m_overrides->insertRow(row);
  m_overrides->setItem(row, 0, new QTableWidgetItem(pattern));
  auto* types = new QComboBox;
  types->setAccessibleName(tr("Type for the pattern"));
  for (const auto& traits : kernels::tensor_types())
    if (find_quantizer(traits.type) && (traits.packed() || traits.type == kernels::TensorType::kF16))
      types->addItem(toQString(traits.name));
  types->setCurrentText(type);
  m_overrides->setCellWidget(row, 1, types);
  connect(types, &QComboBox::currentIndexChanged, this, &LevelCard::takeCard);
  m_filling = wasFilling;
}

void LevelCard::setRecipe(const Recipe& recipe) {
  m_recipe = recipe;
  m_filling = true;
  const bool plain = recipe.stages.size() == 1;
  for (QWidget* widget : {static_cast<QWidget*>(m_level), static_cast<QWidget*>(m_importance), static_cast<QWidget*>(m_overrides)}) widget->setEnabled(plain);
  m_overrides->setRowCount(0);
  m_level->setCurrentIndex(plain ? m_level->findData(QString::fromStdString(recipe.stages.front().level)) : -1);
  m_importance->setChecked(plain && recipe.stages.front().importance);
  if (plain)
    for (const TypeOverride& wish : recipe.stages.front().overrides) addOverride(QString::fromStdString(wish.pattern), toQString(kernels::traits(wish.type).name));
  m_activations->setCurrentIndex(m_activations->findData(QString::fromStdString(recipe.activations)));
  m_filling = false;
  m_later->start();
}

void LevelCard::takeCard() {
  if (m_filling) return;
  m_recipe.activations = m_activations->currentData().toString().toStdString();
  QString problem;
  if (m_recipe.stages.size() == 1) {
    Stage& stage = m_recipe.stages.front();
    stage.level = m_level->currentData().toString().toStdString();
    stage.importance = m_importance->isChecked();
    stage.overrides.clear();
    for (int row = 0; row < m_overrides->rowCount(); ++row) {
      const auto* pattern = m_overrides->item(row, 0);
      const auto* type = qobject_cast<QComboBox*>(m_overrides->cellWidget(row, 1));
      if (!pattern || !type) continue;
      const QString text = pattern->text();
      if (const QRegularExpression check(text); !check.isValid()) problem = tr("Pattern %1: %2").arg(text, check.errorString());
      if (const auto* traits = kernels::find_type(type->currentText().toStdString())) stage.overrides.push_back({text.toStdString(), traits->type});
    }
  }
  m_later->start();
  emit edited(m_recipe, problem);
}

void LevelCard::requestPlan() {
  const LoadedModelPtr loaded = m_model.loaded();
  const auto& planner = m_study.api().planLevel;
  m_explanation->clear();
  m_explanation->setVisible(m_recipe.stages.size() == 1);
  if (m_recipe.stages.size() != 1) {
    m_plan->setText(m_recipe.stages.empty() ? tr("The source as it is stored; nothing is made.") : QString());
    return;
  }
  if (m_study.api().levels)
    for (const Level& level : m_study.api().levels())
      if (level.id == m_recipe.stages.front().level) m_explanation->setText(toQString(level.explanation));
  if (!loaded || !planner) return m_plan->clear();
  const quint64 request = ++m_request;
  m_pool.start([this, request, loaded, planner, stage = m_recipe.stages.front()] {
    const auto plan = planner(*loaded->model, stage.level, stage.importance, stage.overrides);
    QString text;
    if (plan) {
      int fallbacks = 0;
      for (const TensorPlan& tensor : plan->tensors) fallbacks += tensor.wanted.has_value();
      text = tr("Predicted: %1, %2 bits per weight").arg(bytesQuantity(plan->file_bytes).text(), significant(plan->bits_per_weight, 3));
      if (fallbacks > 0) text += tr(" · %n tensor(s) fall back", nullptr, fallbacks);
    } else {
      text = failureOf(plan.error()).text;
    }
    QMetaObject::invokeMethod(this, [this, request, text, ok = plan.ok()] {
      if (request != m_request) return;
      m_plan->setText(text);
      setTone(m_plan, ok ? Tone::Normal : Tone::Bad);
    }, Qt::QueuedConnection);
  });
}

}  // namespace retort::ui
