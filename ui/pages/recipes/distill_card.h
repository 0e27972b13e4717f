// DistillCard: the editor of a student's recipe: student, teachers, losses, training, data and stages on tabs, the stages
// in short below.
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

namespace retort::ui {

class BlockStrips;
class FigureTiles;
class ParameterTable;
class ProposalBar;
class StageList;

class DistillCard : public QWidget {
  Q_OBJECT
 public:
  DistillCard(StudyService& study, ModelService& source, QWidget* parent = nullptr);
  ~DistillCard() override;
  void setRecipe(const distill::DistillRecipe& recipe);
  const distill::DistillRecipe& recipe() const { return m_recipe; }
  // "student", "teachers", "loss", "training", "data", "stages"; others are ignored.
  void showTab(const QString& name);

 signals:
  void edited(const retort::distill::DistillRecipe& recipe);
  void refused(const QString& why);

 private:
  QWidget* buildStudent();
  void showPage(int index);
  void fillPage(int index);
  ParameterTable* makeTable(const QString& name, DistillParameter::Group group);
  void take(const distill::DistillRecipe& recipe);
  void refresh();
  void refreshTeacher();
  void addTeacher();
  QString wherePartsAre() const;
  void requestPrediction();
  void showPrediction(const Result<distill::StudentPrediction>& prediction);
  ModelService& partsModel() const;         // what the student is made of

  StudyService& m_study;
  ModelService& m_source;
  std::unique_ptr<ModelService> m_other;    // of parts that aren't the source's
  distill::DistillRecipe m_recipe;
  std::optional<TeacherShape> m_teacher;
  std::vector<ShapeRow> m_rows;
  QTabBar* m_tabs;
  QStackedWidget* m_pages;
  QLabel *m_teacherLine, *m_note;
  ProposalBar* m_proposals;
  BlockStrips* m_blocks;
  FigureTiles* m_figures;
  std::vector<ParameterTable*> m_tables;    // by tab; null until it is looked at
  StageList* m_stages;
  QTimer* m_later;
  quint64 m_request = 0;
  QThreadPool m_pool;
};

}  // namespace retort::ui
