#include "ui/pages/recipes/recipe_editor.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHeaderView>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QRegularExpression>
#include <QStackedWidget>
#include <QTabBar>
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

RecipeEditor::RecipeEditor(StudyService& study, ModelService& model, QWidget* parent)
    : QWidget(parent), m_study(study), m_model(model) {
  m_pool.setMaxThreadCount(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(kGap);
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Recipe")));
  head->addStretch();
  m_sides = new QTabBar;
  m_sides->setAccessibleName(tr("Recipe as card or as JSON"));
  m_sides->addTab(tr("Card"));
  m_sides->addTab(tr("JSON"));
  m_sides->setDrawBase(false);
  head->addWidget(m_sides);
  column->addLayout(head);
  m_name = new QLineEdit;
  m_name->setAccessibleName(tr("Name of the recipe"));
  column->addLayout(field(tr("Name"), m_name));
  m_stack = new QStackedWidget;
  m_stack->addWidget(buildCard());
  m_stack->addWidget(buildJson());
  column->addWidget(m_stack, 1);
  m_problem = makeLabel({}, Tone::Bad, Theme::Size::Small);
  m_problem->setWordWrap(true);
  m_problem->hide();
  column->addWidget(m_problem);
  m_plan = makeLabel({}, Tone::Normal);
  m_plan->setWordWrap(true);
  column->addWidget(m_plan);
  m_command = new CodeBox(tr("command line"));
  column->addWidget(m_command);
  auto* buttons = new QHBoxLayout;
  m_apply = makeButton(tr("Apply"), QStringLiteral("check"), true);
  m_apply->setToolTip(tr("Changes this candidate; its measurements are dropped. Undo brings them back."));
  m_add = makeButton(tr("Add"));
  m_add->setToolTip(tr("Adds this recipe as a candidate of its own"));
  m_revert = makeButton(tr("Revert"));
  for (QPushButton* button : {m_revert, m_add, m_apply}) {
    if (button == m_add) buttons->addStretch();
    buttons->addWidget(button);
  }
  column->addLayout(buttons);
  m_later = new QTimer(this);
  m_later->setSingleShot(true);
  m_later->setInterval(200);

  connect(m_later, &QTimer::timeout, this, &RecipeEditor::requestPlan);
  connect(m_sides, &QTabBar::currentChanged, m_stack, &QStackedWidget::setCurrentIndex);
  connect(m_name, &QLineEdit::textEdited, this, &RecipeEditor::takeCard);
  connect(m_apply, &QPushButton::clicked, this, [this] {
    if (m_candidate) m_study.updateCandidate(*m_candidate, m_draft);
    m_original = m_draft;
    refreshButtons();
  });
  connect(m_add, &QPushButton::clicked, this, [this] { m_study.addCandidate(m_draft); });
  connect(m_revert, &QPushButton::clicked, this, [this] {
    m_draft = m_original;
    setProblem({});
    showDraft();
  });
  connect(&model, &ModelService::loadedChanged, m_later, qOverload<>(&QTimer::start));
  refreshButtons();
}

RecipeEditor::~RecipeEditor() { m_pool.waitForDone(); }

QWidget* RecipeEditor::buildCard() {
  auto* card = new QFrame;
  card->setProperty("card", "raised");
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
  column->addLayout(field(tr("Level"), m_level, m_explanation));
  m_importance = new QCheckBox(tr("Importance matrix"));
  m_importance->setToolTip(tr("Made from the calibration text: weighs each column's error by how strongly the text excites it"));
  column->addWidget(m_importance);
  m_activations = new QComboBox;
  m_activations->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_activations->setAccessibleName(tr("Activations"));
  m_activations->addItem(tr("8-bit per block · q8 (fast)"), QStringLiteral("q8"));
  m_activations->addItem(tr("32-bit · f32 (exact)"), QStringLiteral("f32"));
  column->addLayout(field(tr("Runs with activations"), m_activations));

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
  m_overrides->setColumnWidth(1, 92);
  m_overrides->verticalHeader()->hide();
  m_overrides->verticalHeader()->setDefaultSectionSize(kRowHeight + 2);
  m_overrides->setShowGrid(false);
  m_overrides->setMinimumHeight(86);
  column->addWidget(m_overrides, 1);

  connect(m_level, &QComboBox::currentIndexChanged, this, &RecipeEditor::takeCard);
  connect(m_activations, &QComboBox::currentIndexChanged, this, &RecipeEditor::takeCard);
  connect(m_importance, &QCheckBox::toggled, this, &RecipeEditor::takeCard);
  connect(m_overrides, &QTableWidget::itemChanged, this, &RecipeEditor::takeCard);
  connect(add, &QToolButton::clicked, this, [this] {
    addOverride(QStringLiteral("ffn_down"), QStringLiteral("Q8_0"));
    takeCard();
    m_overrides->editItem(m_overrides->item(m_overrides->rowCount() - 1, 0));
  });
  connect(remove, &QToolButton::clicked, this, [this] {
    if (const int row = m_overrides->currentRow(); row >= 0) m_overrides->removeRow(row);
    takeCard();
  });
  return card;
}

QWidget* RecipeEditor::buildJson() {
  m_json = new QPlainTextEdit;
  m_json->setAccessibleName(tr("Recipe as JSON"));
  m_json->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_json->setLineWrapMode(QPlainTextEdit::NoWrap);
  connect(m_json, &QPlainTextEdit::textChanged, this, &RecipeEditor::takeJson);
  return m_json;
}

void RecipeEditor::addOverride(const QString& pattern, const QString& type) {
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
  connect(types, &QComboBox::currentIndexChanged, this, &RecipeEditor::takeCard);
  m_filling = wasFilling;
}

bool RecipeEditor::isEdited() const {
  const auto& json = m_study.api().recipeToJson;
  return json && json(m_draft) != json(m_original);
}

void RecipeEditor::edit(std::optional<std::int64_t> candidate, const Recipe& recipe, const QString& commandLine) {
  m_command->setVisible(!commandLine.isEmpty());
  if (m_command->code() != commandLine) m_command->setCode(commandLine);
  const bool sameThing = candidate == m_candidate && m_original.name == recipe.name;
  if (sameThing && isEdited()) return;   // a snapshot of the run must not eat what is being typed
  const auto& json = m_study.api().recipeToJson;
  if (sameThing && json && json(recipe) == json(m_original)) return;
  m_candidate = candidate;
  m_original = m_draft = recipe;
  setProblem({});
  showDraft();
}

void RecipeEditor::showDraft() {
  m_filling = true;
  m_name->setText(QString::fromStdString(m_draft.name));
  const bool plain = m_draft.stages.size() == 1;
  for (QWidget* widget : {static_cast<QWidget*>(m_level), static_cast<QWidget*>(m_importance), static_cast<QWidget*>(m_overrides)})
    widget->setEnabled(plain);
  m_overrides->setRowCount(0);
  if (plain) {
    const Stage& stage = m_draft.stages.front();
    m_level->setCurrentIndex(m_level->findData(QString::fromStdString(stage.level)));
    m_importance->setChecked(stage.importance);
    for (const TypeOverride& wish : stage.overrides)
      addOverride(QString::fromStdString(wish.pattern), toQString(kernels::traits(wish.type).name));
  } else {
    m_level->setCurrentIndex(-1);
    m_importance->setChecked(false);
  }
  m_activations->setCurrentIndex(m_activations->findData(QString::fromStdString(m_draft.activations)));
  if (const auto& json = m_study.api().recipeToJson) m_json->setPlainText(QString::fromStdString(json(m_draft)));
  m_filling = false;
  m_later->start();
  refreshButtons();
}

void RecipeEditor::takeCard() {
  if (m_filling) return;
  m_draft.name = m_name->text().trimmed().toStdString();
  m_draft.activations = m_activations->currentData().toString().toStdString();
  QString problem = m_draft.name.empty() ? tr("A recipe needs a name.") : QString();
  if (m_draft.stages.size() == 1) {
    Stage& stage = m_draft.stages.front();
    stage.level = m_level->currentData().toString().toStdString();
    stage.importance = m_importance->isChecked();
    stage.overrides.clear();
    for (int row = 0; row < m_overrides->rowCount(); ++row) {
      const auto* pattern = m_overrides->item(row, 0);
      const auto* type = qobject_cast<QComboBox*>(m_overrides->cellWidget(row, 1));
      if (!pattern || !type) continue;
      const QString text = pattern->text();
      if (const QRegularExpression check(text); !check.isValid()) problem = tr("Pattern %1: %2").arg(text, check.errorString());
      if (const auto* traits = kernels::find_type(type->currentText().toStdString()))
        stage.overrides.push_back({text.toStdString(), traits->type});
    }
  }
  setProblem(problem);
  m_filling = true;
  if (const auto& json = m_study.api().recipeToJson) m_json->setPlainText(QString::fromStdString(json(m_draft)));
  m_filling = false;
  m_later->start();
  refreshButtons();
}

void RecipeEditor::takeJson() {
  if (m_filling || !m_study.api().recipeFromJson) return;
  const auto recipe = m_study.api().recipeFromJson(m_json->toPlainText().toStdString());
  if (!recipe) {
    setProblem(failureOf(recipe.error()).text);
    refreshButtons();
    return;
  }
  setProblem({});
  m_draft = *recipe;
  // The card follows; the text stays as it is typed.
  const QSignalBlocker quiet(m_json);
  const QString typed = m_json->toPlainText();
  const QTextCursor cursor = m_json->textCursor();
  const int position = cursor.position();
  showDraft();
  m_json->setPlainText(typed);
  QTextCursor back = m_json->textCursor();
  back.setPosition(std::min(position, static_cast<int>(typed.size())));
  m_json->setTextCursor(back);
}

void RecipeEditor::setProblem(const QString& problem) {
  m_problem->setText(problem);
  m_problem->setVisible(!problem.isEmpty());
}

void RecipeEditor::requestPlan() {
  const LoadedModelPtr loaded = m_model.loaded();
  const auto& planner = m_study.api().planLevel;
  m_explanation->clear();
  if (m_draft.stages.size() != 1) {
    m_plan->setText(m_draft.stages.empty() ? tr("The source as it is stored; nothing is made.") : QString());
    return;
  }
  if (m_study.api().levels)
    for (const Level& level : m_study.api().levels())
      if (level.id == m_draft.stages.front().level) m_explanation->setText(toQString(level.explanation));
  if (!loaded || !planner) return m_plan->clear();
  const quint64 request = ++m_request;
  m_pool.start([this, request, loaded, planner, stage = m_draft.stages.front()] {
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

void RecipeEditor::refreshButtons() {
  const bool valid = m_problem->text().isEmpty() && !m_draft.name.empty();
  const bool edited = isEdited();
  m_apply->setVisible(m_candidate.has_value());
  m_apply->setEnabled(valid && edited && !m_draft.stages.empty());
  m_add->setEnabled(valid && !m_draft.stages.empty());
  m_revert->setEnabled(edited || !m_problem->text().isEmpty());
}

}  // namespace retort::ui
