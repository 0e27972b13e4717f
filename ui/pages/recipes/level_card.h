// LevelCard: the editor of a recipe that quantizes the source's own weights: level, importance matrix, activations, types
// by pattern, and what that would weigh.
#pragma once

#include <QFrame>
#include <QThreadPool>

#include "ui/services/model_service.h"
#include "ui/services/study_service.h"

class QCheckBox;
class QComboBox;
class QLabel;
class QTableWidget;
class QTimer;

namespace retort::ui {

class LevelCard : public QWidget {
  Q_OBJECT
 public:
  LevelCard(StudyService& study, ModelService& model, QWidget* parent = nullptr);
  ~LevelCard() override;
  void setRecipe(const Recipe& recipe);

 signals:
  // `problem`: why it cannot be used as it stands; empty otherwise.
  void edited(const retort::Recipe& recipe, const QString& problem);

 private:
  void build();
  void takeCard();
  void requestPlan();
  void addOverride(const QString& pattern, const QString& type);

  StudyService& m_study;
  ModelService& m_model;
  Recipe m_recipe;
  bool m_filling = false;
  quint64 m_request = 0;
  QComboBox *m_level, *m_activations;
  QCheckBox* m_importance;
  QLabel *m_explanation, *m_plan;
  QTableWidget* m_overrides;
  QTimer* m_later;
  QThreadPool m_pool;
};

}  // namespace retort::ui
