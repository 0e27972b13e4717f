// The editor of one recipe: its stage as a card on one side, the same as JSON on the other, edited either way. What the
// draft would weigh is computed while it is edited. Nothing changes in the study before "Apply" or "Add".
#pragma once

#include <QFrame>
#include <QThreadPool>
#include <optional>

#include "core/study/snapshot.h"
#include "ui/services/model_service.h"
#include "ui/services/study_service.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QStackedWidget;
class QTabBar;
class QTableWidget;
class QTimer;

namespace retort::ui {

class CodeBox;

class RecipeEditor : public QWidget {
  Q_OBJECT
 public:
  RecipeEditor(StudyService& study, ModelService& model, QWidget* parent = nullptr);
  ~RecipeEditor() override;
  // Shows a candidate's recipe, or a preset's when it has no id. An edited draft of the same candidate is kept.
  void edit(std::optional<std::int64_t> candidate, const Recipe& recipe, const QString& commandLine);
  Recipe draft() const { return m_draft; }
  bool isEdited() const;

 private:
  QWidget* buildCard();
  QWidget* buildJson();
  void showDraft();
  void takeCard();
  void takeJson();
  void setProblem(const QString& problem);
  void requestPlan();
  void refreshButtons();
  void addOverride(const QString& pattern, const QString& type);

  StudyService& m_study;
  ModelService& m_model;
  std::optional<std::int64_t> m_candidate;
  Recipe m_original, m_draft;
  bool m_filling = false;
  quint64 m_request = 0;
  QLineEdit* m_name;
  QTabBar* m_sides;
  QStackedWidget* m_stack;
  QComboBox *m_level, *m_activations;
  QCheckBox* m_importance;
  QLabel *m_explanation, *m_plan, *m_problem;
  QTableWidget* m_overrides;
  QPlainTextEdit* m_json;
  CodeBox* m_command;
  QPushButton *m_apply, *m_add, *m_revert;
  QTimer* m_later;
  QThreadPool m_pool;
};

}  // namespace retort::ui
