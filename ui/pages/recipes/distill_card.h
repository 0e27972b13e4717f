// DistillCard: the editor of a student's recipe: teacher, student, losses, training and data on tabs, the stages below.
// What the student would weigh, need and take is worked out while it is edited.
#pragma once

#include <QThreadPool>
#include <QWidget>
#include <optional>

#include "core/distill/distill_recipe.h"
#include "ui/models/distill_parameters.h"
#include "ui/models/student_shape.h"
#include "ui/services/study_service.h"

class QLabel;
class QStackedWidget;
class QTabBar;
class QTimer;
class QToolButton;

namespace retort::ui {

class BlockStrips;
class FigureTiles;
class ParameterTable;
class StageList;

class DistillCard : public QWidget {
  Q_OBJECT
 public:
  DistillCard(StudyService& study, ModelService& source, QWidget* parent = nullptr);
  ~DistillCard() override;
  void setRecipe(const distill::DistillRecipe& recipe);
  const distill::DistillRecipe& recipe() const { return m_recipe; }
  // "student", "loss", "training", "data"; others are ignored.
  void showTab(const QString& name);

 signals:
  void edited(const retort::distill::DistillRecipe& recipe);
  void refused(const QString& why);

 private:
  QWidget* buildStudent();
  void showPage(int index);
  ParameterTable* makeTable(const QString& name, DistillParameter::Group group);
  void take(const distill::DistillRecipe& recipe);
  void refresh();
  void refreshTeacher();
  void chooseTeacher();
  void requestPrediction();
  void showPrediction(const Result<distill::StudentPrediction>& prediction);
  ModelService& teacherModel() const;

  StudyService& m_study;
  ModelService& m_source;
  std::unique_ptr<ModelService> m_other;    // of a teacher that isn't the source
  distill::DistillRecipe m_recipe;
  std::optional<TeacherShape> m_teacher;
  std::vector<ShapeRow> m_rows;
  QTabBar* m_tabs;
  QStackedWidget* m_pages;
  QLabel *m_teacherLine, *m_note;
  QToolButton *m_otherTeacher, *m_sourceTeacher;
  BlockStrips* m_blocks;
  FigureTiles* m_figures;
  ParameterTable* m_tables[4] = {};
  StageList* m_stages;
  QTimer* m_later;
  quint64 m_request = 0;
  QThreadPool m_pool;
};

}  // namespace retort::ui
