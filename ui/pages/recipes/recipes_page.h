// Recipes: presets in their groups and below them the study's candidates on the left, the editor of the selected recipe
// on the right.
#pragma once

#include <QThreadPool>
#include <map>

#include "ui/models/candidate_model.h"
#include "ui/models/preset_model.h"
#include "ui/page.h"
#include "ui/services/model_service.h"

class QLabel;
class QPushButton;
class QToolButton;

namespace retort::ui {

class RecipeEditor;
class TableView;

class RecipesPage : public Page {
  Q_OBJECT
 public:
  RecipesPage(Services& services, QWidget* parent);
  ~RecipesPage() override;
  void setSnapshot(const SnapshotPtr& snapshot) override;
  // "json", or a tab of a student's card: "student", "loss", "training", "data".
  void showPart(const QString& part) override;
  static PageStatus status(const StudySnapshot* study);

 private:
  QWidget* buildPresets();
  QWidget* buildCandidates();
  void connectParts();
  void refreshPresets();
  std::vector<PresetRow> levelPresets() const;
  std::vector<PresetRow> studentPresets() const;
  void setHeadings();
  void requestPredictions();
  void refreshSelected();
  void addPreset();
  void newStudent();
  void duplicate();
  void remove();
  void move(int step);
  const CandidateInfo* selected() const;

  SnapshotPtr m_snapshot;
  bool m_filling = false;
  std::optional<MemoryByPart> m_memory;
  std::int64_t m_memoryContext = -1;
  std::map<std::string, distill::StudentPrediction> m_predictions;   // of students, by recipe
  QString m_predicted;                                      // the source and presets that were asked for
  quint64 m_predictionRequest = 0;
  PresetModel* m_presets;
  CandidateModel* m_candidates;
  TableView *m_presetTable, *m_candidateTable;
  RecipeEditor* m_editor;
  QLabel* m_hint;
  QPushButton *m_addPreset, *m_newStudent;
  QToolButton *m_duplicate, *m_remove, *m_up, *m_down, *m_undo;
  QThreadPool m_pool;
};

}  // namespace retort::ui
