// The editor of one recipe: a card on one side, the same as JSON on the other, edited either way; the card is that of a
// level or that of a student. Every edit of the draft can be undone (Ctrl+Z inside the editor). Nothing changes in the
// study before "Apply" or "Add".
#pragma once

#include <QWidget>
#include <optional>
#include <vector>

#include "core/study/snapshot.h"
#include "ui/services/model_service.h"
#include "ui/services/study_service.h"

class QHBoxLayout;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QStackedWidget;
class QTabBar;
class QToolButton;

namespace retort::ui {

class CodeBox;
class DistillCard;
class LevelCard;

class RecipeEditor : public QWidget {
  Q_OBJECT
 public:
  RecipeEditor(StudyService& study, ModelService& model, QWidget* parent = nullptr);
  // Shows a candidate's recipe, or a preset's when it has no id. An edited draft of the same candidate is kept.
  void edit(std::optional<std::int64_t> candidate, const Recipe& recipe, const QString& commandLine);
  Recipe draft() const { return m_draft; }
  bool isEdited() const;
  bool canUndo() const { return !m_past.empty(); }
  void undo();
  // A tab of the card of a student ("loss"), "card" or "json".
  void showPart(const QString& part);

 protected:
  bool event(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  QWidget* buildJson();
  QHBoxLayout* buildButtons();
  void connectParts();
  // A new draft from any side; the other sides follow.
  enum class From { Name, Card, Json, Outside };
  void take(const Recipe& recipe, From from, const QString& problem = {});
  void showDraft(From from);
  void takeJson();
  void setProblem(const QString& problem);
  void refreshButtons();
  void refreshCommand();

  StudyService& m_study;
  ModelService& m_model;
  std::optional<std::int64_t> m_candidate;
  Recipe m_original, m_draft;
  std::vector<Recipe> m_past;
  From m_lastEdit = From::Outside;
  QString m_commandLine;          // of the candidate as it is in the study
  bool m_filling = false;
  QLineEdit* m_name;
  QTabBar* m_sides;
  QStackedWidget *m_stack, *m_cards;
  LevelCard* m_levelCard;
  DistillCard* m_distillCard = nullptr;   // made when the first student is shown
  QLabel* m_problem;
  QPlainTextEdit* m_json;
  CodeBox* m_command;
  QToolButton* m_undo;
  QPushButton *m_apply, *m_add, *m_revert;
};

}  // namespace retort::ui
