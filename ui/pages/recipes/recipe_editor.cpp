#include "ui/pages/recipes/recipe_editor.h"

#include <QKeyEvent>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QStackedWidget>
#include <QTabBar>
#include <QVBoxLayout>

#include "ui/format.h"
#include "ui/models/command_lines.h"
#include "ui/pages/recipes/distill_card.h"
#include "ui/pages/recipes/level_card.h"
#include "ui/widgets/basics.h"

namespace retort::ui {
namespace {
constexpr std::size_t kMostPast = 200;
}

RecipeEditor::RecipeEditor(StudyService& study, ModelService& model, QWidget* parent) : QWidget(parent), m_study(study), m_model(model) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(kGap);
  auto* head = new QHBoxLayout;
  head->addWidget(makeHeading(tr("Recipe")));
  m_name = new QLineEdit;
  m_name->setAccessibleName(tr("Name of the recipe"));
  m_name->setPlaceholderText(tr("Name"));
  head->addWidget(m_name, 1);
  m_undo = makeToolButton(QStringLiteral("undo"), tr("Undo the last edit of this draft (Ctrl+Z in the editor)"));
  head->addWidget(m_undo);
  m_sides = new QTabBar;
  m_sides->setAccessibleName(tr("Recipe as card or as JSON"));
  m_sides->addTab(tr("Card"));
  m_sides->addTab(tr("JSON"));
  m_sides->setDrawBase(false);
  head->addWidget(m_sides);
  column->addLayout(head);
  m_stack = new QStackedWidget;
  m_cards = new QStackedWidget;
  m_levelCard = new LevelCard(study, model);
  m_cards->addWidget(m_levelCard);
  m_stack->addWidget(m_cards);
  m_stack->addWidget(buildJson());
  column->addWidget(m_stack, 1);
  m_problem = makeLabel({}, Tone::Bad, Theme::Size::Small);
  m_problem->setWordWrap(true);
  m_problem->hide();
  column->addWidget(m_problem);
  m_command = new CodeBox(tr("command line"));
  column->addWidget(m_command);
  column->addLayout(buildButtons());
  connectParts();
  refreshButtons();
}

QHBoxLayout* RecipeEditor::buildButtons() {
  auto* buttons = new QHBoxLayout;
  m_apply = makeButton(tr("Apply"), QStringLiteral("check"), true);
  m_apply->setToolTip(tr("Changes this candidate; its measurements are dropped. Undo brings them back."));
  m_add = makeButton(tr("Add"));
  m_add->setToolTip(tr("Adds this recipe as a candidate of its own"));
  m_revert = makeButton(tr("Revert"));
  buttons->addWidget(m_revert);
  buttons->addStretch();
  buttons->addWidget(m_add);
  buttons->addWidget(m_apply);
  return buttons;
}

QWidget* RecipeEditor::buildJson() {
  m_json = new QPlainTextEdit;
  m_json->setAccessibleName(tr("Recipe as JSON"));
  m_json->setFont(Theme::instance().monospace(Theme::Size::Small));
  m_json->setLineWrapMode(QPlainTextEdit::NoWrap);
  return m_json;
}

void RecipeEditor::connectParts() {
  connect(m_sides, &QTabBar::currentChanged, m_stack, &QStackedWidget::setCurrentIndex);
  connect(m_json, &QPlainTextEdit::textChanged, this, &RecipeEditor::takeJson);
  connect(m_undo, &QToolButton::clicked, this, &RecipeEditor::undo);
  connect(m_name, &QLineEdit::textEdited, this, [this] {
    Recipe recipe = m_draft;
    recipe.name = m_name->text().trimmed().toStdString();
    take(recipe, From::Name, recipe.name.empty() ? tr("A recipe needs a name.") : QString());
  });
  connect(m_levelCard, &LevelCard::edited, this, [this](Recipe recipe, const QString& problem) {
    recipe.name = m_draft.name;
    take(recipe, From::Card, problem);
  });
  connect(m_apply, &QPushButton::clicked, this, [this] {
    if (m_candidate) m_study.updateCandidate(*m_candidate, m_draft);
    m_original = m_draft;
    m_past.clear();
    refreshButtons();
  });
  connect(m_add, &QPushButton::clicked, this, [this] { m_study.addCandidate(m_draft); });
  connect(m_revert, &QPushButton::clicked, this, [this] { take(m_original, From::Outside); });
}

bool RecipeEditor::isEdited() const {
  const auto& json = m_study.api().recipeToJson;
  return json && json(m_draft) != json(m_original);
}

void RecipeEditor::edit(std::optional<std::int64_t> candidate, const Recipe& recipe, const QString& commandLine) {
  m_commandLine = commandLine;
  const bool sameThing = candidate == m_candidate && m_original.name == recipe.name;
  if (sameThing && isEdited()) return;   // a snapshot of the run must not eat what is being typed
  const auto& json = m_study.api().recipeToJson;
  if (sameThing && json && json(recipe) == json(m_original)) return refreshCommand();
  m_candidate = candidate;
  m_original = m_draft = recipe;
  m_past.clear();
  m_lastEdit = From::Outside;
  setProblem({});
  showDraft(From::Outside);
}

void RecipeEditor::take(const Recipe& recipe, From from, const QString& problem) {
  if (m_filling) return;
  // What is typed letter by letter into a name or a text goes back in one.
  const bool typing = from == m_lastEdit && (from == From::Name || from == From::Json);
  if (!typing) m_past.push_back(m_draft);
  if (m_past.size() > kMostPast) m_past.erase(m_past.begin());
  m_lastEdit = from;
  m_draft = recipe;
  setProblem(problem);
  showDraft(from);
}

void RecipeEditor::undo() {
  if (m_past.empty()) return;
  m_draft = m_past.back();
  m_past.pop_back();
  m_lastEdit = From::Outside;
  setProblem({});
  showDraft(From::Outside);
}

void RecipeEditor::showDraft(From from) {
  m_filling = true;
  if (from != From::Name) {
    m_name->setText(QString::fromStdString(m_draft.name));
    m_name->setCursorPosition(0);   // a long name shows how it begins
  }
  const bool student = !m_draft.student.empty();
  if (student && !m_distillCard) {
    m_distillCard = new DistillCard(m_study, m_model);
    m_cards->addWidget(m_distillCard);
    connect(m_distillCard, &DistillCard::refused, this, &RecipeEditor::setProblem);
    connect(m_distillCard, &DistillCard::edited, this, [this](const distill::DistillRecipe& edited) {
      Recipe recipe = m_draft;
      recipe.student = distill::distill_recipe_to_json(edited);
      // What the reader would refuse is said here, at once, and not when it is added.
      const auto& api = m_study.api();
      const auto checked = api.recipeFromJson && api.recipeToJson ? api.recipeFromJson(api.recipeToJson(recipe)) : Result<Recipe>(recipe);
      take(recipe, From::Card, checked ? QString() : failureOf(checked.error()).text);
    });
  }
  m_cards->setCurrentWidget(student ? static_cast<QWidget*>(m_distillCard) : m_levelCard);
  if (student && from != From::Name) {
    if (const auto recipe = distill::distill_recipe_from_json(m_draft.student)) m_distillCard->setRecipe(*recipe);
  } else if (!student && from != From::Card && from != From::Name) {
    m_levelCard->setRecipe(m_draft);
  }
  if (const auto& json = m_study.api().recipeToJson; json && from != From::Json) m_json->setPlainText(QString::fromStdString(json(m_draft)));
  m_filling = false;
  refreshCommand();
  refreshButtons();
}

void RecipeEditor::takeJson() {
  if (m_filling || !m_study.api().recipeFromJson) return;
  const auto recipe = m_study.api().recipeFromJson(m_json->toPlainText().toStdString());
  if (recipe) return take(*recipe, From::Json);
  setProblem(failureOf(recipe.error()).text);
  refreshButtons();
}

// The candidate's own line while nothing is edited; a draft's otherwise.
void RecipeEditor::refreshCommand() {
  const SnapshotPtr study = m_study.snapshot();
  const QString line = !m_commandLine.isEmpty() && !isEdited() ? m_commandLine : study ? draftCommand(*study, m_draft) : QString();
  m_command->setCode(line);
  m_command->setVisible(!line.isEmpty());
}

void RecipeEditor::setProblem(const QString& problem) {
  m_problem->setText(problem);
  m_problem->setVisible(!problem.isEmpty());
}

void RecipeEditor::refreshButtons() {
  const bool valid = m_problem->text().isEmpty() && !m_draft.name.empty();
  const bool edited = isEdited(), makes = !m_draft.stages.empty() || !m_draft.student.empty();
  m_apply->setVisible(m_candidate.has_value());
  m_apply->setEnabled(valid && edited && makes);
  m_add->setEnabled(valid && makes);
  m_revert->setEnabled(edited || !m_problem->text().isEmpty());
  m_undo->setEnabled(canUndo());
}

void RecipeEditor::showPart(const QString& part) {
  if (part == QStringLiteral("json")) return m_sides->setCurrentIndex(1);
  m_sides->setCurrentIndex(0);
  if (m_distillCard) m_distillCard->showTab(part);
}

bool RecipeEditor::event(QEvent* event) {
  // Ctrl+Z in here is the draft's; outside it is the study's.
  if (event->type() == QEvent::ShortcutOverride && canUndo() && static_cast<QKeyEvent*>(event)->matches(QKeySequence::Undo)) {
    event->accept();
    return true;
  }
  return QWidget::event(event);
}

void RecipeEditor::keyPressEvent(QKeyEvent* event) {
  if (canUndo() && event->matches(QKeySequence::Undo)) return undo();
  QWidget::keyPressEvent(event);
}

}  // namespace retort::ui
